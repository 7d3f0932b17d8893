import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readPosition } from '#pipeline/merge/position.ts';
import { defineProcessor, keyed } from '#pipeline/processor.ts';
import { keyValue } from '#pipeline/state/key-value.ts';
import { META_KEY } from '#pipeline/state/task-state.ts';
import { eventTimer, logTimer } from '#pipeline/state/timer.ts';
import { aPrice, first, raw } from '#pipeline/testing/fold-run.ts';
import { createTaskWorld, side, type TaskRun, type TaskWorld } from '#pipeline/testing/task-run.ts';
import type { price } from '#schemas/price.ts';
import { readCheckpoint } from './checkpoint.ts';

const stores = {
  counts: keyValue<number>(),
  lately: keyValue<number>({ retentionMs: 20 }),
  due: logTimer(),
  quiet: eventTimer(),
};

/** Counts for ever and lately, sets and moves timers of both kinds, and throws on some: all of it shows in what it writes. */
const busy = () => {
  const handle: Parameters<typeof keyed<typeof price, typeof stores>>[1] = (record, context) => {
    const { key, value, logTimeMs, eventTimeMs } = record;
    if (value === null) return;
    const { counts, lately, due, quiet } = context.stores;
    const count = (counts.get(key) ?? 0) + 1;
    const recent = (lately.get(key) ?? 0) + 1;
    counts.put(key, count);
    lately.put(key, recent);
    context.emit(
      first,
      key,
      aPrice(`${value.id} ${key} ${count} ${recent} ${due.get(key)} ${quiet.get(key)}`),
    );
    due.set(key, logTimeMs + Number(value.usd));
    if (count % 3 === 0) quiet.cancel(key);
    else quiet.set(key, eventTimeMs + 3);
    if (value.source === 'bad') throw new Error('bad');
  };
  return defineProcessor({
    name: 'busy',
    summary: 'does something of everything',
    stores,
    inputs: [keyed(raw, handle), keyed(side, handle)],
    onTimer: {
      due: ({ key, atMs }, { emit, logTimeMs, stores: { counts } }) =>
        emit(first, key, aPrice(`due ${key} ${atMs} at ${logTimeMs}, ${counts.get(key)}`)),
      quiet: ({ key, atMs }, { emit, streamTimeMs, stores: { lately } }) =>
        emit(first, key, aPrice(`quiet ${key} ${atMs} at ${streamTimeMs}, ${lately.get(key)}`)),
    },
    outputs: [first],
  });
};

/** First occurrence of each position, in its bytes. Throws when a later one has other bytes. */
function streams(world: TaskWorld): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const { topic, partition, headers, timestampMs, key, value } of world.written) {
    if (topic === world.controlTopic) continue;
    const { writer, sequence } = readPosition(headers, topic);
    const name = `${topic}/${partition}/${writer}:${sequence}`;
    const all = headers.map(([header, bytes]) => `${header}=${bytes}`).join();
    const bytes = `${timestampMs} ${key} ${all} ${value?.toString('hex')}`;
    expect(found.get(name) ?? bytes).toBe(bytes);
    found.set(name, bytes);
  }
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** What is on the disk, but for entries past their retention: how long they lie there may differ. */
const stateOf = (disk: ReadonlyMap<string, string>): unknown => ({
  contents: readCheckpoint(disk.get(META_KEY), 'one'),
  entries: [...disk].filter(([key]) => key !== META_KEY && !key.startsWith('busy.lately')).sort(),
});

const UNTIL = ['capture', 'outputs', 'changelog', 'local', 'end'] as const;

describe('a start after a checkpoint that was given up', () => {
  test.each(UNTIL.flatMap((until) => [[until, 'its disk'] as const, [until, 'the changelog'] as const]))(
    'after %s, from %s, writes the same',
    (until, from) => {
      const feed = (world: TaskWorld, half: number) => {
        for (let at = half * 10; at < half * 10 + 10; at += 1) {
          const value = { id: String(at), eventTimeMs: at, usd: '7', source: at % 4 === 0 ? 'bad' : 'test' };
          world.write(at % 3 === 0 ? side : raw, 100 + at * 5, value, `k${at % 2}`);
        }
        world.tick(105 + half * 50 + 45);
      };
      const calm = createTaskWorld([busy()]);
      const undisturbed = calm.start();
      const world = createTaskWorld([busy()]);
      let run = world.start();
      for (const half of [0, 1, 2]) {
        feed(calm, half);
        feed(world, half);
        undisturbed.deliver();
        undisturbed.work();
        run.deliver();
        run.work();
        const stepBefore = run.log.lastStep;
        if (half === 0) run.checkpoint();
        if (half === 1) {
          run.checkpoint(until);
          run = world.start(from === 'its disk' ? run.disk : world.restored());
          const isInLog = until === 'changelog' && from === 'the changelog';
          const isSafe = until === 'local' || until === 'end' || isInLog;
          expect(run.task.step > stepBefore).toBe(isSafe);
          run.deliver();
          run.work();
        }
      }
      undisturbed.checkpoint();
      run.checkpoint();
      expect(streams(world)).toEqual(streams(calm));
      expect(streams(world).size).toBeGreaterThan(30);
      expect(stateOf(run.disk)).toEqual(stateOf(undisturbed.disk));
    },
  );

  type Command =
    | {
        readonly kind: 'write';
        readonly isSide: boolean;
        readonly key: string;
        readonly passedMs: number;
        readonly aheadMs: number;
        readonly dueMs: number;
        readonly isBad: boolean;
      }
    | { readonly kind: 'deliver' | 'work'; readonly limit: number }
    | {
        readonly kind: 'checkpoint' | 'crash';
        readonly until: (typeof UNTIL)[number];
        readonly isDiskLost: boolean;
      }
    | { readonly kind: 'tick' };
  const commands: fc.Arbitrary<Command> = fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constant('write' as const),
        isSide: fc.boolean(),
        key: fc.constantFrom('a', 'b', '\u{1f40b}'),
        passedMs: fc.nat(8),
        aheadMs: fc.integer({ min: -20, max: 4 }),
        dueMs: fc.integer({ min: -2, max: 30 }),
        isBad: fc.boolean(),
      }),
    },
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constantFrom('deliver' as const, 'work' as const),
        limit: fc.integer({ min: 1, max: 4 }),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constantFrom('checkpoint' as const, 'crash' as const),
        until: fc.constantFrom(...UNTIL),
        isDiskLost: fc.boolean(),
      }),
    },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('tick' as const) }) },
  );

  test('whatever else happens, writes the same and comes to the same state', () => {
    fc.assert(
      fc.property(fc.array(commands, { maxLength: 80 }), (script) => {
        const world = createTaskWorld([busy()]);
        const calm = createTaskWorld([busy()]);
        let run: TaskRun = world.start();
        let nowMs = 100;
        let written = 0;
        for (const command of script) {
          switch (command.kind) {
            case 'write':
              nowMs += command.passedMs;
              written += 1;
              for (const one of [world, calm]) {
                const value = {
                  id: String(written),
                  usd: String(command.dueMs),
                  source: command.isBad ? 'bad' : 'test',
                };
                const to = command.isSide ? side : raw;
                one.write(to, nowMs, { ...value, eventTimeMs: nowMs + command.aheadMs }, command.key);
              }
              break;
            case 'tick':
              nowMs += 1;
              for (const one of [world, calm]) one.tick(nowMs);
              break;
            case 'deliver':
              run.deliver(command.limit);
              break;
            case 'work':
              run.work(command.limit);
              break;
            case 'checkpoint':
              run.checkpoint();
              break;
            case 'crash':
              run.checkpoint(command.until);
              run = world.start(command.isDiskLost ? world.restored() : run.disk);
              break;
          }
        }
        const endMs = nowMs + 100;
        const undisturbed = calm.start();
        for (const [one, its] of [
          [world, run],
          [calm, undisturbed],
        ] as const) {
          // A last record, so that both take a checkpoint here: without a step none is taken, and ticks alone make no step.
          one.write(raw, endMs, { id: 'last', usd: '1', source: 'test', eventTimeMs: endMs }, 'a');
          one.tick(endMs + 100);
          its.deliver();
          its.work();
          its.checkpoint();
        }
        expect(streams(world)).toEqual(streams(calm));
        expect(stateOf(run.disk)).toEqual(stateOf(undisturbed.disk));
      }),
      { numRuns: 150 },
    );
  });
});
