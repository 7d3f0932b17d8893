import { describe, expect, test } from 'vitest';
import { isPipelineError } from '#pipeline/errors.ts';
import { defineProcessor, keyed, type ProcessContext, rekeyed } from '#pipeline/processor.ts';
import { keyValue } from '#pipeline/state/key-value.ts';
import { eventTimer, logTimer } from '#pipeline/state/timer.ts';
import type { Driver } from './driver/contract.ts';
import { aNote, copying, texts, topic } from './driver/fixture.ts';
import { createDriver } from './driver.ts';

const raw = topic('raw.a', 'raw', 2);
const other = topic('raw.b', 'raw', 2);
const left = topic('left', 'derived', 2);
const right = topic('right', 'derived', 2);
const joined = topic('joined', 'derived', 2);

/** Keys of partition 0 and 1 of two. */
const [ZERO, ONE] = ['a', 'd'];

const note = (driver: Driver, text: string, at: { atMs?: number; key?: string; eventTimeMs?: number } = {}) =>
  driver.write(raw, {
    key: at.key ?? ZERO,
    value: aNote(text, at.eventTimeMs),
    ...(at.atMs !== undefined && { atMs: at.atMs }),
  });

describe('time', () => {
  test('a record is folded once log time has moved past it, and keeps its own log time', () => {
    const driver = createDriver({ processors: [copying('copy', [raw], left)] });
    note(driver, 'x', { atMs: 5 });
    expect(driver.read(left)).toEqual([]);
    driver.advanceTo(5);
    expect(driver.read(left)).toEqual([]);
    driver.advanceBy(1);
    expect(driver.read(left)).toEqual([
      { key: ZERO, value: aNote('x'), logTimeMs: 5, partition: 0, writer: 'copy-0', sequence: 1 },
    ]);
    expect(driver.nowMs).toBe(6);
  });

  test('inputs are taken by log time across topics; at one log time the topics go by name', () => {
    const driver = createDriver({ processors: [copying('copy', [other, raw], left)] });
    const write = (to: typeof raw, text: string, atMs: number) =>
      driver.write(to, { key: ZERO, value: aNote(text), atMs });
    write(other, 'b1', 1);
    write(raw, 'a2', 2);
    write(other, 'b3', 3);
    write(raw, 'a3', 3);
    write(raw, 'a3 too', 3);
    driver.advanceTo(4);
    expect(texts(driver, left)).toEqual(['b1', 'a2', 'a3', 'a3 too', 'b3']);
  });

  test('one jump and many small steps come to the same bytes', () => {
    const run = (stepMs: number) => {
      const driver = createDriver({ processors: [copying('copy', [raw, other], left)] });
      for (const atMs of [3, 4, 9]) note(driver, `at ${atMs}`, { atMs, key: atMs === 4 ? ONE : ZERO });
      for (let ms = 10; ms <= 40; ms += stepMs) driver.advanceTo(ms);
      return driver.streams();
    };
    expect(run(30)).toEqual(run(1));
  });

  test('the clock of a broker may be wrong: log time does not fall, and who waits is shown', () => {
    const skewMs: Record<string, number> = { 'raw.a': 0, 'raw.b': -10 };
    const driver = createDriver({
      processors: [copying('copy', [raw, other], left)],
      startMs: 100,
      appendTimeMs: (name, _partition, nowMs) => nowMs + (skewMs[name] ?? 0),
    });
    note(driver, 'before', { atMs: 200 });
    skewMs['raw.a'] = -50;
    note(driver, 'after the clock was set back', { atMs: 205 });
    driver.advanceTo(209);
    expect(driver.waits()).toContainEqual({ task: 'copy-0', logTimeMs: 200, on: 'raw.b/0/' });
    driver.advanceTo(211);
    expect(driver.read(left)).toMatchObject([{ logTimeMs: 200 }, { logTimeMs: 200 }]);
  });

  test('does not move backwards', () => {
    const driver = createDriver({ processors: [copying('copy', [raw], left)], startMs: 7 });
    expect(() => driver.advanceTo(6)).toThrow('log time is 7: expected no less, found 6');
    expect(() => note(driver, 'x', { atMs: 6 })).toThrow('found 6');
  });
});

describe('topologies', () => {
  test('both ways of a diamond meet in the order of log time', () => {
    const driver = createDriver({
      processors: [
        copying('go-left', [raw], left, { keepsKey: false }),
        copying('go-right', [raw], right, { keepsKey: false }),
        copying('meet', [right, left], joined),
      ],
    });
    note(driver, '1', { atMs: 1 });
    note(driver, '2', { atMs: 2, key: ONE });
    note(driver, '3', { atMs: 3 });
    driver.hold('go-left-0');
    driver.advanceTo(10);
    expect(driver.waits()).toEqual([
      { task: 'meet-0', logTimeMs: 1, on: 'left/0/go-left-0' },
      { task: 'meet-1', logTimeMs: 2, on: 'left/1/go-left-0' },
    ]);
    expect(driver.read(joined)).toEqual([]);
    driver.release('go-left-0');
    expect(driver.waits()).toEqual([]);
    expect(texts(driver, joined)).toEqual(['1', '1', '2', '2', '3', '3']);
    expect(driver.read(joined).map(({ writer }) => writer)).toEqual([
      'meet-0',
      'meet-0',
      'meet-1',
      'meet-1',
      'meet-0',
      'meet-0',
    ]);
  });

  test('processors that keep keys share a task, and hand over in it', () => {
    const driver = createDriver({
      processors: [copying('first', [raw], left), copying('second', [left], joined, { withPlace: true })],
    });
    expect(driver.tasks).toEqual(['first-0', 'first-1']);
    note(driver, 'x', { atMs: 1, key: ONE });
    driver.advanceTo(2);
    expect(texts(driver, joined)).toEqual(['x of left/1/first-1:1']);
    expect(Object.keys(driver.streams())).toEqual(['first-1 joined/1', 'first-1 left/1']);
  });

  test('a rekeyed input comes through an internal topic, under its own key', () => {
    const read = defineProcessor({
      name: 'read',
      summary: 'reads by text',
      inputs: [
        rekeyed(
          raw,
          ({ text }) => text,
          ({ key, value, place }, { emit }) => {
            if (value !== null) emit(joined, key, aNote(`${key} of ${place}`));
          },
        ),
      ],
      outputs: [joined],
    });
    const driver = createDriver({ processors: [read] });
    note(driver, ONE, { atMs: 1, key: ZERO });
    driver.advanceTo(2);
    expect(texts(driver, joined)).toEqual([`${ONE} of internal.read.raw.a/1/read-rekey-raw-a-0:1`]);
    const internal = driver.graph.topics.find(({ name }) => name === 'internal.read.raw.a');
    expect(internal && driver.read(internal)).toMatchObject([{ key: ONE, partition: 1 }]);
  });

  test('a derived topic that nobody here writes is written by the test', () => {
    const driver = createDriver({ processors: [copying('copy', [left], joined, { withPlace: true })] });
    const place = driver.write(left, { key: ONE, value: aNote('x'), atMs: 3 });
    driver.write(left, { key: ONE, value: aNote('y'), atMs: 3 });
    driver.advanceTo(4);
    expect(place).toBe('left/1/driver-left-0:1');
    expect(texts(driver, joined)).toEqual(['x of left/1/driver-left-0:1', 'y of left/1/driver-left-0:2']);
    expect(driver.read(joined)).toMatchObject([{ logTimeMs: 3 }, { logTimeMs: 3 }]);
  });
});

describe('timers', () => {
  const reminders = { wait: logTimer(), texts: keyValue<string>() };
  const remind = defineProcessor({
    name: 'remind',
    summary: 'says a text again',
    stores: reminders,
    inputs: [
      keyed(raw, ({ key, value, logTimeMs }, { stores }: ProcessContext<typeof reminders>) => {
        stores.texts.put(key, value?.text ?? '');
        stores.wait.set(key, logTimeMs + 10);
      }),
    ],
    onTimer: {
      wait: ({ key }, { stores, emit }) => emit(left, key, aNote(stores.texts.get(key) ?? '')),
    },
    outputs: [left],
  });

  test('fire on a quiet key and a quiet partition, at the log time at which they are due', () => {
    const driver = createDriver({ processors: [remind] });
    note(driver, 'x', { atMs: 5 });
    note(driver, 'other partition', { atMs: 14, key: ONE });
    driver.advanceTo(14);
    expect(driver.timers()).toEqual([
      { task: 'remind-0', processor: 'remind', store: 'wait', time: 'log', key: ZERO, atMs: 15 },
    ]);
    driver.advanceTo(15);
    expect(driver.read(left)).toMatchObject([{ value: { text: 'x' }, logTimeMs: 15 }]);
    driver.advanceTo(100);
    expect(driver.read(left)).toMatchObject([{ logTimeMs: 15 }, { logTimeMs: 24 }]);
    expect(driver.timers()).toEqual([]);
  });

  test('of event time fire before the record that shows the time', () => {
    const ends = { end: eventTimer() };
    const processor = defineProcessor({
      name: 'close',
      summary: 'closes',
      stores: ends,
      inputs: [
        keyed(raw, ({ key, value, eventTimeMs }, { stores, emit }: ProcessContext<typeof ends>) => {
          stores.end.set('end', eventTimeMs + 10);
          emit(left, key, aNote(value?.text ?? ''));
        }),
      ],
      onTimer: { end: ({ atMs }, { emit }) => emit(left, ZERO, aNote(`end at ${atMs}`)) },
      outputs: [left],
    });
    const driver = createDriver({ processors: [processor] });
    note(driver, 'first', { atMs: 1, eventTimeMs: 100 });
    note(driver, 'earlier', { atMs: 2, eventTimeMs: 95 });
    note(driver, 'past the end', { atMs: 3, eventTimeMs: 105 });
    driver.advanceTo(4);
    expect(texts(driver, left)).toEqual(['first', 'earlier', 'end at 105', 'past the end']);
  });

  test('that set themselves again in the past end the test, not the machine', () => {
    const waits = { wait: logTimer() };
    const processor = defineProcessor({
      name: 'spin',
      summary: 'spins',
      stores: waits,
      inputs: [keyed(raw, ({ key }, { stores }: ProcessContext<typeof waits>) => stores.wait.set(key, 0))],
      onTimer: { wait: ({ key }, { stores }) => stores.wait.set(key, 0) },
      outputs: [],
    });
    const driver = createDriver({ processors: [processor], strict: false });
    note(driver, 'x', { atMs: 1 });
    expect(() => driver.advanceTo(2)).toThrow('does a timer set itself again at a time that has passed?');
  });
});

describe('misuse is named', () => {
  test.each<[string, (driver: Driver) => void, string]>([
    [
      'a topic of a task',
      (driver) => driver.write(left, { key: ZERO, value: aNote('x') }),
      'one that a task',
    ],
    [
      'a topic of nobody',
      (driver) => driver.write(other, { key: ZERO, value: aNote('x') }),
      'none that is read',
    ],
    [
      'a partition too many',
      (driver) => driver.write(raw, { key: ZERO, value: null, partition: 2 }),
      'raw.a/2',
    ],
    ['reading what connectors write', (driver) => driver.read(raw), 'a topic that tasks write, found raw'],
    ['a task that is not there', (driver) => driver.crash('copy-7'), 'there are copy-0, copy-1'],
    ['a raw record sent again', (driver) => driver.redeliver(raw), 'it is another one'],
  ])('%s', (_, work, message) => {
    const driver = createDriver({ processors: [copying('copy', [raw], left)] });
    expect(() => work(driver)).toThrow(message);
  });

  test('a value that does not fit its schema is refused where it is written', () => {
    const driver = createDriver({ processors: [copying('copy', [raw], left)] });
    const wrong = { text: 1 } as unknown as ReturnType<typeof aNote>;
    expect(() => driver.write(raw, { key: ZERO, value: wrong })).toThrow(
      expect.toSatisfy((error) => isPipelineError(error, 'VALUE_UNREADABLE')),
    );
  });
});
