import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type FiredTimer, jsonCodec } from '#pipeline/state/store.ts';
import { createStoreHarness } from '#pipeline/testing/store-harness.ts';
import { names } from '#pipeline/testing/windows/sample-aggregates.ts';
import { createModel, type Setup } from '#pipeline/testing/windows/sessions-model.ts';
import type { CloseRule } from './closing.ts';
import { sessions } from './sessions.ts';

type Command =
  | { readonly kind: 'add'; readonly key: string; readonly timeMs: number; readonly advances: boolean }
  | { readonly kind: 'retract'; readonly of: number }
  | { readonly kind: 'get' | 'refuse'; readonly key: string; readonly timeMs: number }
  | { readonly kind: 'log'; readonly byMs: number }
  | { readonly kind: 'restart' };

/** Gives what a restart at the end of the script would find. */
function play(setup: Setup, commands: readonly Command[], options: { restarts: boolean }) {
  const out: string[] = [];
  const revisions: [bounds: string, revision: number][] = [];
  const model = createModel(setup);
  const { retracts, retentionMs } = setup;
  const harness = createStoreHarness(
    sessions({
      ...setup,
      retentionMs: retracts ? retentionMs : 0,
      aggregate: names({ canRemove: false }),
      inputCodec: jsonCodec<string>(),
      changed: ({ key, startMs, endMs, result, revision, phase }) => {
        const bounds = `${key} [${startMs},${endMs}]`;
        revisions.push([bounds, revision]);
        out.push(`${bounds} ${result} ${phase}`);
      },
      late: ({ key, eventTimeMs, input, isRetraction }) =>
        out.push(`late ${key} ${eventTimeMs} ${isRetraction ? '-' : ''}${input}`),
    }),
  );
  const given: { readonly key: string; readonly timeMs: number; readonly id: string }[] = [];
  let logMs = 0;
  for (const [step, unmoved] of commands.entries()) {
    // Times move on with the script, so that sessions are open, closed and past.
    const command = 'timeMs' in unmoved ? { ...unmoved, timeMs: unmoved.timeMs + 2 * step } : unmoved;
    switch (command.kind) {
      case 'add': {
        const { key, timeMs, advances } = command;
        const id = `r${step}`;
        if (advances) {
          harness.streamTime(timeMs);
          model.stream(timeMs);
        }
        harness.handle.add(key, timeMs, id);
        model.add(key, timeMs, id);
        given.push({ key, timeMs, id });
        break;
      }
      case 'refuse': {
        const before = [out.length, revisions.length] as const;
        harness.refuse(() => {
          harness.handle.add(command.key, command.timeMs, 'refused');
          for (const { key, timeMs, id } of setup.retracts ? given.slice(-3) : []) {
            harness.handle.remove(key, timeMs, id);
          }
        });
        [out.length, revisions.length] = before;
        break;
      }
      case 'retract': {
        // Some of those that were given are gone, or were late.
        const record = given[command.of % Math.max(1, given.length)];
        if (!setup.retracts || record === undefined) break;
        harness.handle.remove(record.key, record.timeMs, record.id);
        model.retract(record.key, record.timeMs, record.id);
        break;
      }
      case 'get':
        expect(harness.handle.get(command.key, command.timeMs)).toEqual(
          model.get(command.key, command.timeMs),
        );
        break;
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
  const durable = { entries: harness.entries(), timers: shownTimers(harness.timers()) };
  harness.streamTime(10_000);
  model.stream(10_000);
  harness.logTime(20_000);
  model.log(20_000);
  expect(out).toEqual(model.out);
  expect([harness.counted('late'), harness.counted('dropped')]).toEqual([
    model.counted.late,
    model.counted.dropped,
  ]);
  // Who keeps the highest revision of each pair of bounds knows what holds.
  const last = new Map<string, number>();
  for (const [bounds, revision] of revisions) {
    expect(revision).toBeGreaterThan(last.get(bounds) ?? -1);
    last.set(bounds, revision);
  }
  return durable;
}

const shownTimers = (timers: readonly FiredTimer[]): string[] =>
  timers.map(({ time, key, atMs }) => `${time} ${key} ${atMs}`).sort();

const keys = fc.constantFrom('', 'a', '\u{1f40b}', '\uff5e');
const times = fc.integer({ min: -50, max: 15 });
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
      kind: fc.constantFrom('refuse' as const, 'get' as const),
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
const setups = (emit: Setup['emit']): fc.Arbitrary<Setup> =>
  fc.record({
    gapMs: fc.constantFrom(1, 8, 15),
    graceMs: fc.constantFrom(0, 7, 20),
    emit: fc.constant(emit),
    close: fc.constantFrom<CloseRule>(
      { by: 'event-time' },
      { by: 'log-time', delayMs: 3 },
      { by: 'either', delayMs: 0 },
      { by: 'either', delayMs: 20 },
    ),
    retentionMs: fc.constantFrom(0, 10, 60),
    retracts: fc.boolean(),
  });

describe.each(['on-close', 'on-update'] as const)('sessions %s', (emit) => {
  test('give what lists of records give, through restarts and refused records', () => {
    fc.assert(
      fc.property(setups(emit), fc.array(commands, { maxLength: 60 }), (setup, script) => {
        const durable = play(setup, script, { restarts: true });
        expect(durable).toEqual(play(setup, script, { restarts: false }));
      }),
      { numRuns: 400 },
    );
  });
});
