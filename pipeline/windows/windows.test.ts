import { describe, expect, test } from 'vitest';
import { createStoreHarness } from '#pipeline/testing/store-harness.ts';
import { total } from '#pipeline/testing/windows/sample-aggregates.ts';
import { codeOf, recordWindows } from '#pipeline/testing/windows/window-recorder.ts';
import { hopping, tumbling } from './shapes.ts';
import { windows } from './windows.ts';

const TEN = { ten: tumbling({ sizeMs: 10 }) };
const TWENTY_BY_TEN = { twenty: hopping({ sizeMs: 20, advanceMs: 10 }) };
const onClose = { graceMs: 5, emit: 'on-close', close: { by: 'event-time' } } as const;

describe('tumbling windows', () => {
  test('hold their start and not their end, also before 1970', () => {
    const { harness, add, taken } = recordWindows({ of: TEN, aggregate: total, ...onClose });
    for (const timeMs of [-11, -10, -1, 0, 9, 10]) add('k', timeMs, 1);
    harness.streamTime(1_000);
    expect(taken()).toEqual([
      'ten k [-20,-10) 1 #0 final',
      'ten k [-10,0) 2 #0 final',
      'ten k [0,10) 2 #0 final',
      'ten k [10,20) 1 #0 final',
    ]);
  });

  test('close when the stream time is end + grace, and not a millisecond before', () => {
    const { harness, add, taken } = recordWindows({ of: TEN, aggregate: total, ...onClose });
    add('k', 3, 1);
    harness.streamTime(14);
    add('k', 9, 2);
    expect(taken()).toEqual([]);
    harness.streamTime(15);
    expect(taken()).toEqual(['ten k [0,10) 3 #0 final']);
    add('k', 9, 4);
    expect(taken()).toEqual(['late ten k [0,10) 4']);
    expect(harness.counted('late')).toBe(1);
    expect(harness.timers()).toEqual([]);
  });

  test('are emitted by end, then name, then bytes of the key; without a record there are none', () => {
    const of = { b: tumbling({ sizeMs: 10 }), a: tumbling({ sizeMs: 20 }) };
    const { harness, add, taken } = recordWindows({ of, aggregate: total, ...onClose });
    // By code units the emoji would stand before U+FF5E.
    for (const key of ['z', '\u{1f40b}', 'é', '\uff5e', 'a']) add(key, 12, 1);
    add('z', 55, 1);
    harness.streamTime(45);
    expect(taken()).toEqual([
      ...['a', 'z', 'é', '\uff5e', '\u{1f40b}'].map((key) => `a ${key} [0,20) 1 #0 final`),
      ...['a', 'z', 'é', '\uff5e', '\u{1f40b}'].map((key) => `b ${key} [10,20) 1 #0 final`),
    ]);
  });

  test('use one timer for all keys, and none in time that is over', () => {
    const { harness, add } = recordWindows({ of: TEN, aggregate: total, ...onClose });
    for (let key = 0; key < 50; key++) add(`k${key}`, 5, 1);
    expect(harness.timers().map(({ time, atMs }) => [time, atMs])).toEqual([['event', 15]]);
  });

  test('half of a surrogate pair in a key is the same key before and after a restart', () => {
    const { harness, add, taken } = recordWindows({ of: TEN, aggregate: total, ...onClose });
    add('\ud800', 1, 1);
    harness.restart();
    add('\ud800', 1, 1);
    harness.streamTime(15);
    expect(taken()).toEqual(['ten \ufffd [0,10) 2 #0 final']);
  });
});

describe('closing by log time', () => {
  const quiet = { graceMs: 5, emit: 'on-close' } as const;

  test('closes the windows of a quiet partition at end + grace + delay', () => {
    const { harness, add, taken } = recordWindows({
      of: TEN,
      aggregate: total,
      ...quiet,
      close: { by: 'log-time', delayMs: 100 },
    });
    harness.logTime(50);
    add('quiet', 3, 1);
    harness.streamTime(1_000);
    harness.logTime(114);
    add('quiet', 4, 2);
    expect(taken()).toEqual([]);
    harness.logTime(115);
    expect(taken()).toEqual(['ten quiet [0,10) 3 #0 final']);
    add('quiet', 4, 4);
    expect(taken()).toEqual(['late ten quiet [0,10) 4']);
  });

  test('by either: whichever is first closes, once', () => {
    const { harness, add, taken } = recordWindows({
      of: TEN,
      aggregate: total,
      ...quiet,
      close: { by: 'either', delayMs: 100 },
    });
    add('quiet', 3, 1);
    harness.logTime(115);
    expect(taken()).toEqual(['ten quiet [0,10) 1 #0 final']);
    harness.streamTime(20);
    add('busy', 20, 2);
    harness.streamTime(35);
    expect(taken()).toEqual(['ten busy [20,30) 2 #0 final']);
    harness.logTime(1_000);
    expect(taken()).toEqual([]);
    expect(harness.timers()).toEqual([]);
  });

  test('by event time nothing closes while no record comes', () => {
    const { harness, add, taken } = recordWindows({ of: TEN, aggregate: total, ...onClose });
    add('quiet', 3, 1);
    harness.logTime(1_000_000);
    expect(taken()).toEqual([]);
  });
});

describe('hopping windows', () => {
  test('each record is in each window that holds its time', () => {
    const { harness, add, taken } = recordWindows({ of: TWENTY_BY_TEN, aggregate: total, ...onClose });
    add('k', 5, 1);
    add('k', 15, 10);
    add('j', 25, 100);
    harness.streamTime(1_000);
    expect(taken()).toEqual([
      'twenty k [-10,10) 1 #0 final',
      'twenty k [0,20) 11 #0 final',
      'twenty j [10,30) 100 #0 final',
      'twenty k [10,30) 10 #0 final',
      'twenty j [20,40) 100 #0 final',
    ]);
  });

  test('a record counts in those of its windows that are open, and is late for the others', () => {
    const { harness, add, taken } = recordWindows({ of: TWENTY_BY_TEN, aggregate: total, ...onClose });
    add('k', 5, 1);
    harness.streamTime(15);
    expect(taken()).toEqual(['twenty k [-10,10) 1 #0 final']);
    add('k', 6, 2);
    expect(taken()).toEqual(['late twenty k [-10,10) 2']);
    harness.streamTime(25);
    expect(taken()).toEqual(['twenty k [0,20) 3 #0 final']);
    expect(harness.counted('late')).toBe(1);
  });

  test('an advance that does not divide the size is fine', () => {
    const of = { odd: hopping({ sizeMs: 15, advanceMs: 10 }) };
    const { harness, add, taken } = recordWindows({ of, aggregate: total, ...onClose });
    add('k', 12, 1);
    add('k', 17, 2);
    harness.streamTime(1_000);
    expect(taken()).toEqual(['odd k [0,15) 1 #0 final', 'odd k [10,25) 3 #0 final']);
  });
});

test('windows on shared slices give what separate stores give', () => {
  const of = { ...TEN, ...TWENTY_BY_TEN, thirty: tumbling({ sizeMs: 30 }) };
  const separately = Object.entries(of).map(([name, shape]) =>
    recordWindows({ of: { [name]: shape }, aggregate: total, ...onClose }),
  );
  const shared = recordWindows({ of, aggregate: total, ...onClose });
  const expected: string[] = [];
  for (let step = 0; step < 40; step++) {
    const timeMs = (step * 37) % 100;
    for (const store of [...separately, shared]) {
      store.harness.streamTime(timeMs);
      store.add(`k${step % 3}`, timeMs, step);
    }
  }
  for (const store of separately) {
    store.harness.streamTime(1_000);
    expected.push(...store.taken());
  }
  shared.harness.streamTime(1_000);
  expect(shared.taken().sort()).toEqual(expected.sort());
});

describe('get', () => {
  test('reads open windows, and closed ones as they were closed within the retention', () => {
    const { harness, add } = recordWindows({
      of: TWENTY_BY_TEN,
      aggregate: total,
      ...onClose,
      retentionMs: 20,
    });
    const get = (startMs: number) => harness.handle.get('k', 'twenty', startMs);
    add('k', 5, 1);
    expect([get(-10), get(0), get(10), get(5)]).toEqual([1, 1, undefined, undefined]);
    harness.streamTime(15);
    add('k', 6, 2);
    expect([get(-10), get(0)]).toEqual([1, 3]);
    harness.streamTime(34);
    expect(get(-10)).toBe(1);
    harness.streamTime(35);
    expect([get(-10), get(0)]).toEqual([undefined, 3]);
  });
});

describe('entries', () => {
  test('are dropped when the last window over their slice is closed', () => {
    const { harness, add } = recordWindows({
      of: { ...TEN, ...TWENTY_BY_TEN },
      aggregate: total,
      ...onClose,
    });
    add('k', 5, 1);
    add('k', 15, 1);
    harness.streamTime(24);
    expect(harness.entries()).toHaveLength(2);
    harness.streamTime(25);
    expect(harness.entries()).toHaveLength(1);
    harness.streamTime(35);
    expect(harness.entries()).toEqual([]);
  });

  test('stay for the retention, until a later slice begins', () => {
    const { harness, add } = recordWindows({ of: TEN, aggregate: total, ...onClose, retentionMs: 20 });
    add('k', -5, 1);
    harness.streamTime(24);
    add('k', 24, 1);
    expect(harness.entries()).toHaveLength(2);
    harness.streamTime(30);
    add('k', 30, 1);
    expect(harness.entries()).toHaveLength(2);
  });
});

test('a window that is due counts what comes before its timer, and is not forgotten', () => {
  const out: string[] = [];
  const harness = createStoreHarness(
    windows({
      of: TEN,
      aggregate: total,
      ...onClose,
      changed: ({ startMs, result }) => {
        out.push(`${startMs}: ${result}`);
        // As the handler of another timer of the same stream time may.
        if (startMs === 0) for (const timeMs of [5, 16, 26]) harness.handle.add('k', timeMs, 100);
      },
    }),
  );
  harness.handle.add('k', 5, 1);
  harness.handle.add('k', 15, 2);
  harness.streamTime(30);
  expect(out).toEqual(['0: 1', '10: 102']);
  expect(harness.counted('late')).toBe(1);
  harness.streamTime(35);
  expect(out.slice(2)).toEqual(['20: 100']);
});

test('a refused record leaves no trace, not even a slice without a timer', () => {
  const { harness, add, taken } = recordWindows({ of: TEN, aggregate: total, ...onClose });
  harness.refuse(() => add('refused', 5, 1));
  expect([harness.entries(), harness.timers()]).toEqual([[], []]);
  add('k', 6, 2);
  harness.refuse(() => add('k', 7, 4));
  harness.restart();
  harness.streamTime(15);
  expect(taken()).toEqual(['ten k [0,10) 2 #0 final']);
});

test('an event time that is no time is refused, not counted', () => {
  const { harness, add } = recordWindows({ of: TEN, aggregate: total, ...onClose });
  expect(codeOf(() => add('k', Number.NaN, 1))).toBe('VALUE_UNREADABLE');
  expect(codeOf(() => add('k', 1e300, 1))).toBe('VALUE_UNREADABLE');
  expect(harness.entries()).toEqual([]);
});
