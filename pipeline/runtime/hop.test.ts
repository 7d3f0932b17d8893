import { describe, expect, test } from 'vitest';
import type { Handed } from '#pipeline/merge/handover.ts';
import { createHop, type Door, type HopMode } from './hop.ts';

const record = (sequence: number): Handed => ({
  entry: { timestampMs: 0, key: null, value: null, headers: [] },
  ...{ epoch: 1, sequence, digestBefore: 0, digest: 0 },
});

function open(mode: HopMode) {
  const hop = createHop(mode);
  const seen: string[] = [];
  const door = (name: string, writer: string, destination: string): Door => ({
    writer,
    destination,
    take: ({ sequence }) => seen.push(`${name} takes ${sequence}`),
    promise: (logTimeMs, sequence) => seen.push(`${name} hears ${logTimeMs} after ${sequence}`),
  });
  return { hop, seen, door, said: () => seen.splice(0) };
}

describe('the hop in memory', () => {
  test('reaches every reader of a destination, and no other', () => {
    const { hop, door, said } = open('on');
    const route = hop.from('w-0');
    hop.connect([door('a', 'w-0', 't/0'), door('b', 'w-0', 't/0'), door('c', 'w-0', 't/1')]);
    hop.connect([door('d', 'w-1', 't/0')]);
    route.give('t/0', record(7));
    expect(said()).toEqual(['a takes 7', 'b takes 7']);
    route.give('u/0', record(8));
    expect(said()).toEqual([]);
    expect(route.promise(50, (destination) => (destination === 't/0' ? 7 : 0))).toBe(true);
    expect(said()).toEqual(['a hears 50 after 7', 'b hears 50 after 7', 'c hears 50 after 0']);
  });

  test('tells nobody when nobody is there', () => {
    const { hop, door, said } = open('on');
    const doors = [door('a', 'w-0', 't/0')];
    hop.connect(doors);
    hop.disconnect(doors);
    hop.from('w-0').give('t/0', record(1));
    expect(hop.from('w-0').promise(50, () => 0)).toBe(false);
    expect(said()).toEqual([]);
  });

  test('is silent when it is off, and leaves a part to Kafka when it is mixed', () => {
    const count = (mode: HopMode): number => {
      const { hop, door, said } = open(mode);
      hop.connect([door('a', 'w-0', 't/0')]);
      for (let sequence = 1; sequence <= 100; sequence += 1) hop.from('w-0').give('t/0', record(sequence));
      return said().length;
    };
    expect([count('on'), count('off'), count('mixed')]).toEqual([100, 0, 80]);
  });
});
