import { describe, expect, test } from 'vitest';
import { broadcast, defineProcessor, type ErrorPolicy, keyed } from '#pipeline/processor.ts';
import { keyValue } from '#pipeline/state/key-value.ts';
import type { Json } from '#pipeline/state/store.ts';
import { eventTimer, logTimer } from '#pipeline/state/timer.ts';
import { aPrice, facts, first, next, openFold, raw } from '#pipeline/testing/fold-run.ts';
import type { Price, price } from '#schemas/price.ts';
import { FoldFailure } from './fold.ts';

describe('event time', () => {
  const timed = { seen: keyValue<Json>(), due: eventTimer() };
  const at = (eventTimeMs: number, id = String(eventTimeMs)): Price => ({ ...aPrice(id), eventTimeMs });
  const sets = defineProcessor({
    name: 'sets',
    summary: 'sets a timer 10 ms after each record',
    stores: timed,
    inputs: [
      keyed<typeof price, typeof timed>(
        raw,
        ({ value, eventTimeMs }, { stores: { due }, emit, streamTimeMs }) => {
          if (value === null) return;
          emit(first, 'ETH', { ...value, id: `${value.id} seen at ${streamTimeMs}` });
          if (value.source === 'refuse') throw new Error('no');
          due.set(value.id, eventTimeMs + 10);
        },
        { maxAheadMs: 1_000 },
      ),
    ],
    onTimer: {
      due: ({ key, atMs, time }, { emit, place, streamTimeMs, logTimeMs, stores: { due } }) => {
        const id = `${key} fired: ${time} ${atMs}, stream ${streamTimeMs}, log ${logTimeMs}, ${place}`;
        emit(first, 'ETH', { ...aPrice(id) });
        if (key === 'twice') due.set('again', atMs + 1);
        if (key === 'throws') throw new Error('in the timer');
      },
    },
    outputs: [first],
  });

  test('fires timers before the record that shows it, in order, with the log time of that record', () => {
    const run = openFold([sets]);
    run.feed(at(20));
    run.feed(at(15));
    expect(run.timers()).toEqual(['due 15 25', 'due 20 30']);
    run.feed(at(29));
    run.feed(at(40));
    expect(run.values()).toEqual([
      '20 seen at 20',
      '15 seen at 20',
      '15 fired: event 25, stream 29, log 102, sets/due/15@25',
      '29 seen at 29',
      '20 fired: event 30, stream 40, log 103, sets/due/20@30',
      '29 fired: event 39, stream 40, log 103, sets/due/29@39',
      '40 seen at 40',
    ]);
    expect(run.times()).toEqual([100, 101, 102, 102, 103, 103, 103]);
    expect(run.streamTimes()).toEqual({ sets: 40 });
  });

  test('also fires what a timer sets for a time that was reached already', () => {
    const run = openFold([sets]);
    run.feed(at(1, 'twice'));
    run.feed(at(100));
    expect(run.values().map((id) => id.split(':')[0])).toEqual([
      'twice seen at 1',
      'twice fired',
      'again fired',
      '100 seen at 100',
    ]);
  });

  test('that a refused record showed has been reached all the same', () => {
    const run = openFold([sets]);
    run.feed(at(1));
    run.feed({ ...at(50), source: 'refuse' });
    expect(run.values().map((id) => id.split(',')[0])).toEqual(['1 seen at 1', '1 fired: event 11']);
    expect(run.letters()).toMatchObject([{ place: 'raw/0/1', code: 'LOGIC_FAILED' }]);
    expect([run.streamTimes(), run.timers()]).toEqual([{ sets: 50 }, []]);
  });

  test('a timer that throws is put aside under its own place, and does not fire again', () => {
    const run = openFold([sets]);
    run.feed(at(1, 'throws'));
    run.feed(at(20));
    expect(run.values()).toEqual(['throws seen at 1', '20 seen at 20']);
    expect(run.letters()).toMatchObject([
      { place: 'sets/due/throws@11', component: 'sets', key: 'throws', reason: 'in the timer' },
    ]);
    expect(run.timers()).toEqual(['due 20 30']);
  });

  test('too far ahead of log time closes nothing: the record goes aside', () => {
    const run = openFold([sets]);
    run.feed(at(1));
    run.feed(at(1_102));
    run.feed(at(1_102, 'at the bound'));
    expect(run.letters()).toMatchObject([{ place: 'raw/0/1', code: 'EVENT_TIME_AHEAD', component: 'sets' }]);
    expect(run.letters()[0]?.reason).toContain('at most 1000 ms after the log time 101, found 1102');
    expect(run.values().map((id) => id.split(',')[0])).toEqual([
      '1 seen at 1',
      '1 fired: event 11',
      'at the bound seen at 1102',
    ]);
  });

  test('is the log time of a tombstone', () => {
    const run = openFold([sets]);
    run.feedBytes(null);
    expect(run.streamTimes()).toEqual({ sets: 100 });
  });

  test('is what the input declares, and a declaration that throws puts the record aside', () => {
    const declared = defineProcessor({
      name: 'declared',
      summary: 'takes its time elsewhere',
      inputs: [
        keyed(raw, () => {}, {
          eventTime: ({ receivedAtMs, source }) => {
            if (source === 'refuse') throw new Error('no time');
            return receivedAtMs;
          },
        }),
      ],
      outputs: [],
    });
    const run = openFold([declared]);
    run.feed({ ...aPrice('a'), eventTimeMs: 90, receivedAtMs: 60 });
    run.feed(aPrice('b', 'refuse'));
    expect(run.streamTimes()).toEqual({ declared: 60 });
    expect(run.letters()).toMatchObject([{ place: 'raw/0/1', reason: 'no time' }]);
  });

  test('of a broadcast input moves nothing, and may lie ahead', () => {
    const table = defineProcessor({
      ...sets,
      inputs: [...sets.inputs, broadcast<typeof price, typeof timed>(facts, () => {})],
    });
    const run = openFold([table]);
    run.feed(at(1));
    run.feed(at(1_000_000_000), facts);
    expect([run.streamTimes(), run.letters(), run.timers()]).toEqual([{ sets: 1 }, [], ['due 1 11']]);
  });

  test('is of each processor its own, also within a task', () => {
    const later = defineProcessor({
      name: 'later',
      summary: 'reads what sets writes',
      inputs: [keyed(first, () => {}, { eventTime: ({ eventTimeMs }) => eventTimeMs - 5 })],
      outputs: [],
    });
    const run = openFold([{ ...sets, keepsKey: true }, later]);
    run.feed(at(20));
    expect(run.streamTimes()).toEqual({ sets: 20, later: 15 });
  });

  test('that a record of a stopped task showed was never reached', () => {
    const stopping = { ...sets, onError: { ...sets.onError, logic: 'stop' as const } };
    const run = openFold([stopping]);
    run.feed(at(1));
    expect(() => run.feed({ ...at(50), source: 'refuse' })).toThrow(FoldFailure);
    expect([run.streamTimes(), run.timers(), run.values()]).toEqual([
      { sets: 1 },
      ['due 1 11'],
      ['1 seen at 1'],
    ]);
  });
});

describe('a log timer', () => {
  const timed = { seen: keyValue<Json>(), due: logTimer() };
  const sets = (onError: Partial<ErrorPolicy> = {}) =>
    defineProcessor({
      name: 'sets',
      summary: 'sets a timer for each record',
      stores: timed,
      onError,
      inputs: [
        keyed<typeof price, typeof timed>(raw, ({ value, logTimeMs }, { stores: { due } }) => {
          if (value !== null) due.set(value.id, logTimeMs + 50);
        }),
      ],
      onTimer: {
        due: ({ key }, { emit, logTimeMs, place, stores: { seen } }) => {
          seen.put(key, true);
          emit(first, 'ETH', aPrice(`${place} at ${logTimeMs}`));
          if (key === 'throws') throw new Error('in the timer');
        },
      },
      outputs: [first],
      keepsKey: true,
    });

  test('writes at the time that it is given, and hands on to the processors behind it', () => {
    const run = openFold([sets(), next]);
    run.feed(aPrice('a'));
    run.fire();
    expect(run.values()).toEqual([
      'sets/due/a@150 at 150',
      'sets/due/a@150 at 150 of first/0/fused-0:1 at 150',
    ]);
    expect(run.times()).toEqual([150, 150]);
    expect(run.streamTimes()).toEqual({ sets: 1, next: 1 });
  });

  test('that throws leaves nothing but its dead letter, and is gone', () => {
    const run = openFold([sets()]);
    run.feed(aPrice('throws'));
    run.fire();
    expect(run.letters()).toMatchObject([
      { place: 'sets/due/throws@150', eventTimeMs: 150, component: 'sets', body: Buffer.alloc(0) },
    ]);
    expect([run.seen('sets', 'throws'), run.timers()]).toEqual([undefined, []]);
  });

  test('that throws and means stop is set again', () => {
    const run = openFold([sets({ logic: 'stop' })]);
    run.feed(aPrice('throws'));
    expect(() => run.fire()).toThrow(FoldFailure);
    expect([run.written(), run.timers()]).toEqual([[], ['due throws 150']]);
  });
});
