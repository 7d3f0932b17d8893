import { describe, expect, test } from 'vitest';
import { isBroker } from './faults.ts';
import { createSchedule, describeFault, type FaultKind, KINDS, ROUND_MS } from './schedule.ts';

describe('the schedule of faults', () => {
  test('is a function of the seed', () => {
    const rounds = (seed: number) => {
      const schedule = createSchedule(seed);
      return [schedule.next(), schedule.next(), schedule.next()];
    };
    expect(rounds(5)).toEqual(rounds(5));
    expect(rounds(5)).not.toEqual(rounds(6));
  });

  test('has every kind within half an hour, in order, and only what is allowed', () => {
    const schedule = createSchedule(9, new Set<FaultKind>(['disk-full']));
    const rounds = Array.from({ length: 30 }, () => schedule.next());
    const kinds = new Set(rounds.flat().map(({ kind }) => kind));
    expect([...kinds].sort()).toEqual(KINDS.filter((kind) => kind !== 'disk-full').toSorted());
    for (const round of rounds) {
      const times = round.map(({ atMs }) => atMs);
      expect(times).toEqual(times.toSorted((a, b) => a - b));
      expect(Math.max(...times)).toBeLessThan(ROUND_MS);
    }
  });

  test('takes one broker away at a time', () => {
    const schedule = createSchedule(11);
    for (let round = 0; round < 50; round += 1) {
      const spans = schedule.next().filter(({ kind }) => /^(broker|isolate)-/.test(kind));
      for (const [index, { atMs }] of spans.entries()) {
        const before = spans[index - 1];
        if (before !== undefined) expect(atMs).toBeGreaterThan(before.atMs + before.forMs);
      }
    }
  });

  test('is told in one line each', () => {
    const lasting = { atMs: 1, forMs: 20 };
    expect(describeFault({ kind: 'kill', workers: ['w0a', 'w0b'], ...lasting })).toBe(
      'kill w0a+w0b for 20 ms',
    );
    expect(describeFault({ kind: 'reset', node: 0, who: '', ...lasting, forMs: 0 })).toBe(
      'reset all brokers all clients',
    );
  });

  test('knows brokers by the names that they use among themselves', () => {
    for (const name of ['broker-2-fetcher-0', 'raft-client-2', '2']) expect(isBroker(name, 2)).toBe(true);
    for (const name of ['broker-12-fetcher-0', 'raft-client-1', '22', 'w2a'])
      expect(isBroker(name, 2)).toBe(false);
  });
});
