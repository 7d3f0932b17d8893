import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sortableTime } from '#pipeline/state/sortable-time.ts';
import { type FiredTimer, jsonCodec } from '#pipeline/state/store.ts';
import { createStoreHarness } from '#pipeline/testing/store-harness.ts';
import { names } from '#pipeline/testing/windows/sample-aggregates.ts';
import { createModel, type Setup, shown } from '#pipeline/testing/windows/windows-model.ts';
import type { CloseRule } from './closing.ts';
import { createGrid, hopping, tumbling, type WindowShape } from './shapes.ts';
import { windows } from './windows.ts';

type Command =
  | { readonly kind: 'add'; readonly key: string; readonly timeMs: number; readonly advances: boolean }
  | { readonly kind: 'retract'; readonly of: number }
  | { readonly kind: 'retract-unknown' | 'refuse'; readonly key: string; readonly timeMs: number }
  | { readonly kind: 'get'; readonly key: string; readonly timeMs: number }
  | { readonly kind: 'log'; readonly byMs: number }
  | { readonly kind: 'restart' };

/** Gives what a restart at the end of the script would find. */
function play(setup: Setup, commands: readonly Command[], options: { restarts: boolean }) {
  const out: string[] = [];
  const model = createModel(setup);
  const { canRemove, ...declared } = setup;
  const harness = createStoreHarness(
    windows({
      ...declared,
      aggregate: names({ canRemove }),
      inputCodec: jsonCodec<string>(),
      changed: (window) =>
        out.push(`${shown(window, window.key)} ${window.result} #${window.revision} ${window.phase}`),
      late: (window) =>
        out.push(
          `late ${shown(window, window.key)} ${window.isRetraction ? `-${window.input}` : window.input}`,
        ),
    }),
  );
  let logMs = 0;
  let nextId = 0;
  for (const [step, given] of commands.entries()) {
    // Times move on with the script, so that windows are open, closed and past.
    const command = 'timeMs' in given ? { ...given, timeMs: given.timeMs + 2 * step } : given;
    switch (command.kind) {
      case 'add': {
        const { key, timeMs, advances } = command;
        const id = `r${nextId++}`;
        if (advances) {
          harness.streamTime(timeMs);
          model.stream(timeMs);
        }
        harness.handle.add(key, timeMs, id);
        model.add(key, timeMs, id);
        break;
      }
      case 'refuse': {
        const before = out.length;
        harness.refuse(() => {
          harness.handle.add(command.key, command.timeMs, 'refused');
          const last = model.held.findLast(({ isHeld }) => isHeld);
          if (setup.retracts && last !== undefined) harness.handle.remove(last.key, last.timeMs, last.id);
        });
        out.length = before;
        break;
      }
      case 'retract': {
        const record = model.held[command.of % Math.max(1, model.held.length)];
        // An aggregate that undoes must be given back what it got, once.
        if (!setup.retracts || record === undefined || (canRemove && !record.isHeld)) break;
        harness.handle.remove(record.key, record.timeMs, record.id);
        model.retract(record);
        break;
      }
      case 'retract-unknown': {
        if (!setup.retracts || canRemove) break;
        const { key, timeMs } = command;
        harness.handle.remove(key, timeMs, 'unknown');
        model.retract({ key, timeMs, id: 'unknown' });
        break;
      }
      case 'get': {
        const { key, timeMs } = command;
        const found = model
          .windowsAt(timeMs)
          .map(({ name, startMs }) => harness.handle.get(key, name, startMs));
        expect(found).toEqual(model.get(key, timeMs));
        break;
      }
      case 'log':
        logMs += command.byMs;
        harness.logTime(logMs);
        model.log(logMs);
        break;
      case 'restart':
        if (options.restarts) harness.restart();
        break;
    }
    expect(out).toEqual(model.out);
  }
  // Entries that nobody can ask for are dropped sooner or later.
  const pastMs = model.reachedMs() - setup.retentionMs;
  const first =
    pastMs === Number.NEGATIVE_INFINITY
      ? ''
      : sortableTime(createGrid(setup.of).firstSliceEndingAfter(pastMs));
  const durable = {
    entries: harness.entries().filter(([key]) => key >= first),
    timers: shownTimers(harness.timers()),
  };
  harness.streamTime(10_000);
  model.stream(10_000);
  harness.logTime(20_000);
  model.log(20_000);
  expect(out).toEqual(model.out);
  expect([harness.counted('late'), harness.counted('dropped')]).toEqual([
    model.counted.late,
    model.counted.dropped,
  ]);
  return durable;
}

const shownTimers = (timers: readonly FiredTimer[]): string[] =>
  timers.map(({ time, key, atMs }) => `${time} ${key} ${atMs}`).sort();

const keys = fc.constantFrom('', 'a', 'b:1', 'b#0#', '\u{1f40b}', '\uff5e');
const times = fc.integer({ min: -60, max: 20 });
const commands: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant('add' as const),
      key: keys,
      timeMs: times,
      advances: fc.boolean(),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('retract' as const), of: fc.nat(1_000) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom('retract-unknown' as const, 'refuse' as const, 'get' as const),
      key: keys,
      timeMs: times,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('log' as const), byMs: fc.integer({ min: 0, max: 25 }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
);

const shapes: fc.Arbitrary<Record<string, WindowShape>> = fc.constantFrom<Record<string, WindowShape>>(
  { ten: tumbling({ sizeMs: 10 }) },
  { twenty: hopping({ sizeMs: 20, advanceMs: 5 }) },
  { odd: hopping({ sizeMs: 15, advanceMs: 10 }) },
  { ten: tumbling({ sizeMs: 10 }), fifty: hopping({ sizeMs: 50, advanceMs: 10 }) },
  { b: tumbling({ sizeMs: 12 }), a: tumbling({ sizeMs: 30 }), c: hopping({ sizeMs: 30, advanceMs: 6 }) },
);
const setups = (emit: Setup['emit']): fc.Arbitrary<Setup> =>
  fc.record({
    of: shapes,
    graceMs: fc.constantFrom(0, 7, 30),
    emit: fc.constant(emit),
    close: fc.constantFrom<CloseRule>(
      { by: 'event-time' },
      { by: 'log-time', delayMs: 3 },
      { by: 'either', delayMs: 0 },
      { by: 'either', delayMs: 20 },
    ),
    retentionMs: fc.constantFrom(0, 10, 60),
    retracts: fc.boolean(),
    canRemove: fc.boolean(),
  });

describe.each(['on-close', 'on-update'] as const)('windows %s', (emit) => {
  test('give what a look through all records gives, through restarts and refused records', () => {
    fc.assert(
      fc.property(setups(emit), fc.array(commands, { maxLength: 50 }), (setup, script) => {
        const durable = play(setup, script, { restarts: true });
        expect(durable).toEqual(play(setup, script, { restarts: false }));
      }),
      { numRuns: 400 },
    );
  });
});
