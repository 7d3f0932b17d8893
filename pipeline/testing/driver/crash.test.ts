import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isPipelineError } from '#pipeline/errors.ts';
import { broadcast, defineProcessor, keyed, type ProcessContext, rekeyed } from '#pipeline/processor.ts';
import { keyValue } from '#pipeline/state/key-value.ts';
import { eventTimer, logTimer } from '#pipeline/state/timer.ts';
import { createDriver } from '../driver.ts';
import type { CrashOptions, Driver } from './contract.ts';
import { aNote, copying, texts, topic } from './fixture.ts';
import { createStreams } from './streams.ts';

const raw = topic('raw.a', 'raw', 2);
const other = topic('raw.b', 'raw', 2);
const facts = topic('facts', 'fact', 1);
const left = topic('left', 'derived', 2);
const right = topic('right', 'derived', 2);
const joined = topic('joined', 'derived', 2);

const counts = { seen: keyValue<number>(), quiet: logTimer() };
/** Numbers the records of each key, and says when a key was quiet for 7 ms. */
const count = defineProcessor({
  name: 'count',
  summary: 'numbers records',
  stores: counts,
  keepsKey: true,
  inputs: [
    keyed(raw, ({ key, value, logTimeMs }, { stores, emit }: ProcessContext<typeof counts>) => {
      const seen = (stores.seen.get(key) ?? 0) + 1;
      stores.seen.put(key, seen);
      stores.quiet.set(key, logTimeMs + 7);
      if (value?.text === 'bad') throw new Error('refused after a write');
      emit(left, key, aNote(`${value?.text} ${seen} at ${logTimeMs}`, logTimeMs));
    }),
  ],
  onTimer: {
    quiet: ({ key, atMs }, { stores, emit }) =>
      emit(left, key, aNote(`${key} is quiet after ${stores.seen.get(key)}`, atMs)),
  },
  outputs: [left],
});

const turns = { turn: eventTimer(), last: keyValue<string>({ retentionMs: 20 }) };
/** Shares the task of `count`; its readers do not. */
const turn = defineProcessor({
  name: 'turn',
  summary: 'says what came before, and when event time has turned',
  stores: turns,
  inputs: [
    keyed(left, ({ key, value, eventTimeMs }, { stores, emit }: ProcessContext<typeof turns>) => {
      emit(right, key, aNote(`${value?.text}, before: ${stores.last.get(key) ?? 'nothing'}`, eventTimeMs));
      stores.last.put(key, value?.text ?? '');
      if (stores.turn.get(key) === undefined) stores.turn.set(key, eventTimeMs + 5);
    }),
  ],
  onTimer: { turn: ({ key, atMs }, { emit }) => emit(right, key, aNote(`turned at ${atMs}`, atMs)) },
  outputs: [right],
});

const met = { facts: keyValue<string>(), met: keyValue<readonly string[]>() };
/** A diamond over `left` and `right`, with a rekeyed input and a table of facts. */
const meet = defineProcessor({
  name: 'meet',
  summary: 'writes down in what order things meet',
  stores: met,
  inputs: [
    ...[left, right].map((input) =>
      keyed(input, ({ key, value, place }, { stores, emit }: ProcessContext<typeof met>) => {
        const list = [...(stores.met.get(key) ?? []), place].slice(-3);
        stores.met.put(key, list);
        emit(joined, key, aNote(`${value?.text} | ${stores.facts.get('f') ?? 'no fact'} | ${list}`));
      }),
    ),
    rekeyed(
      other,
      ({ text }) => text,
      ({ key, place }, { stores, emit }: ProcessContext<typeof met>) =>
        emit(joined, key, aNote(`${place} after ${stores.met.get(key)}`)),
    ),
    broadcast(facts, ({ key, value }, { stores }: ProcessContext<typeof met>) => {
      if (value === null) stores.facts.delete(key);
      else stores.facts.put(key, value.text);
    }),
  ],
  outputs: [joined],
});

const processors = [count, turn, meet];
const TASKS = ['count-0', 'count-1', 'meet-0', 'meet-1', 'meet-rekey-raw-b-0', 'meet-rekey-raw-b-1', 'all'];
const STAGES = ['nothing', 'outputs', 'changelog', 'local'] as const;

test('the topology of these tests has the tasks that they lose', () => {
  const { tasks } = createDriver({ processors });
  expect([...tasks, 'all'].toSorted()).toEqual(TASKS.toSorted());
});

describe.each(STAGES)('a crash after %s', (after) => {
  test.each([
    ['count-0', true],
    ['count-0', false],
    ['all', true],
    ['all', false],
  ])('of %s changes no byte (keeps its disk: %s)', (task, keepsDisk) => {
    const run = (crash: CrashOptions | null) => {
      const driver = createDriver({ processors });
      const step = (text: string, atMs: number) =>
        driver.write(raw, { key: 'a', value: aNote(text), partition: 0, atMs });
      step('one', 1);
      driver.advanceTo(2);
      driver.checkpoint();
      step('two', 3);
      driver.hold('all');
      driver.advanceTo(4);
      if (crash !== null) driver.crash(task, crash);
      driver.release('all');
      step('three', 5);
      driver.advanceTo(50);
      return driver;
    };
    const driver = run({ after, keepsDisk });
    expect(driver.streams()).toEqual(run(null).streams());
    expect(texts(driver, left)).toEqual(['one 1 at 1', 'two 2 at 3', 'three 3 at 5', 'a is quiet after 3']);
    expect(driver.store('count.seen', 'a')).toBe(3);
  });
});

test('what a producer still holds is lost with its task, and written again', () => {
  const driver = createDriver({ processors: [copying('copy', [raw], left)] });
  driver.write(raw, { key: 'a', value: aNote('x'), atMs: 1 });
  driver.hold('copy-0');
  driver.advanceTo(2);
  expect(driver.read(left)).toEqual([]);
  driver.crash('copy-0');
  expect(texts(driver, left)).toEqual(['x']);
});

test('records that a zombie appends again are dropped and counted', () => {
  const driver = createDriver({ processors: [copying('copy', [raw], left, { keepsKey: false }), reader()] });
  for (const text of ['1', '2', '3']) driver.write(raw, { key: 'a', value: aNote(text) });
  driver.advanceTo(1);
  driver.redeliver(left, { partition: 0, fromOffset: 1 });
  expect(texts(driver, joined)).toEqual(['1', '2', '3']);
  expect(driver.count('duplicates_dropped_total', { where: 'position' })).toBe(2);
});

const reader = () => copying('read', [left], joined);

test('a task that writes other bytes after a crash is found out', () => {
  let made = 0;
  const processor = copying('copy', [raw], left, {
    textOf: (text) => {
      made += 1;
      return `${text} ${made}`;
    },
  });
  const driver = createDriver({ processors: [processor], strict: false });
  driver.write(raw, { key: 'a', value: aNote('x'), atMs: 1 });
  driver.advanceTo(2);
  expect(() => driver.crash('all')).toThrow(
    expect.toSatisfy((error) => isPipelineError(error, 'STREAM_FORKED')),
  );
});

test('a record whose predecessor is missing is found at once', () => {
  const streams = createStreams();
  const headers = [['position', Buffer.from('copy-0:2;1;00000000')]] as const;
  const record = { offset: 0, timestampMs: 1, key: null, value: null, headers };
  expect(() => streams.add('left', 0, record)).toThrow('left/0/0: copy-0 jumps from 0 to 2');
});

type Action = (driver: Driver, isClean: boolean) => void;

const keys = fc.constantFrom('a', 'b', 'd', 'g');
const tasks = fc.constantFrom(...TASKS);
const gap = fc.nat({ max: 4 });
const inputs: fc.Arbitrary<Action> = fc.oneof(
  fc.tuple(fc.constantFrom(raw, raw, other, facts), keys, gap, fc.constantFrom('x', 'y', 'f', 'bad')).map(
    ([to, key, afterMs, text]): Action =>
      (driver) => {
        driver.write(to, { key: to === facts ? 'f' : key, value: aNote(text), atMs: driver.nowMs + afterMs });
      },
  ),
  fc.nat({ max: 15 }).map(
    (ms): Action =>
      (driver) =>
        driver.advanceBy(ms),
  ),
);
/** What happens to processes, and may not be seen. */
const faults: fc.Arbitrary<Action> = fc
  .oneof(
    tasks.map((task) => (driver: Driver) => driver.checkpoint(task)),
    fc.tuple(tasks, fc.constantFrom(...STAGES), fc.boolean()).map(
      ([task, after, keepsDisk]) =>
        (driver: Driver) =>
          driver.crash(task, { after, keepsDisk }),
    ),
    tasks.map((task) => (driver: Driver) => driver.hold(task)),
    tasks.map((task) => (driver: Driver) => driver.release(task)),
    fc
      .tuple(
        fc.constantFrom(
          'left',
          'right',
          'joined',
          'control.count.v1',
          'changelog.count.v1',
          'changelog.meet.v1',
        ),
        fc.nat({ max: 9 }),
        fc.integer({ min: 1, max: 9 }),
      )
      .map(([name, fromOffset, size]) => (driver: Driver) => {
        driver.redeliver({ name }, { fromOffset, count: size });
      }),
  )
  .map(
    (fault): Action =>
      (driver, isClean) =>
        isClean ? undefined : fault(driver),
  );

test('whatever happens to tasks and producers, the streams stay the same', () => {
  const run = (actions: readonly Action[], options: { isClean: boolean; strict: boolean }) => {
    const driver = createDriver({ processors, strict: options.strict });
    for (const action of actions) action(driver, options.isClean);
    driver.release('all');
    driver.advanceBy(60);
    const names = ['count.seen', 'meet.facts', 'meet.met'];
    return { driver, entries: names.map((name) => driver.entries(name)) };
  };
  fc.assert(
    fc.property(
      fc.array(fc.oneof({ arbitrary: inputs, weight: 3 }, faults), { maxLength: 40 }),
      fc.boolean(),
      (actions, strict) => {
        const clean = run(actions, { isClean: true, strict: false });
        const { driver, entries } = run(actions, { isClean: false, strict });
        expect(driver.streams()).toEqual(clean.driver.streams());
        expect(entries).toEqual(clean.entries);
        expect(driver.waits()).toEqual([]);
        driver.crash('all', { after: 'changelog', keepsDisk: false });
        expect(driver.streams()).toEqual(clean.driver.streams());
        expect(driver.timers()).toEqual(clean.driver.timers());
      },
    ),
    { numRuns: 100 },
  );
});
