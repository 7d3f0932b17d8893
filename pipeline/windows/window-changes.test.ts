import { describe, expect, test } from 'vitest';
import { jsonCodec } from '#pipeline/state/store.ts';
import { greatest, names, total } from '#pipeline/testing/windows/sample-aggregates.ts';
import { codeOf, recordWindows } from '#pipeline/testing/windows/window-recorder.ts';
import { hopping, tumbling } from './shapes.ts';

const TEN = { ten: tumbling({ sizeMs: 10 }) };
const TWENTY_BY_TEN = { twenty: hopping({ sizeMs: 20, advanceMs: 10 }) };
const onClose = { graceMs: 5, emit: 'on-close', close: { by: 'event-time' } } as const;
const onUpdate = { ...onClose, emit: 'on-update' } as const;
const retracting = { retracts: true, retentionMs: 20, inputCodec: jsonCodec<number>() } as const;

describe('on-update', () => {
  test('each record emits its windows by start with rising revisions, and the close emits nothing', () => {
    const of = { ...TEN, ...TWENTY_BY_TEN };
    const { harness, add, taken } = recordWindows({ of, aggregate: total, ...onUpdate });
    add('k', 5, 1);
    add('k', 15, 10);
    expect(taken()).toEqual([
      'twenty k [-10,10) 1 #0 update',
      'ten k [0,10) 1 #0 update',
      'twenty k [0,20) 1 #0 update',
      'twenty k [0,20) 11 #1 update',
      'ten k [10,20) 10 #0 update',
      'twenty k [10,30) 10 #0 update',
    ]);
    expect(harness.timers()).toEqual([]);
    harness.streamTime(1_000);
    expect(taken()).toEqual([]);
  });

  test('a partly late record emits the windows that are open', () => {
    const { harness, add, taken } = recordWindows({ of: TWENTY_BY_TEN, aggregate: total, ...onUpdate });
    harness.streamTime(15);
    add('k', 6, 2);
    expect(taken()).toEqual(['late twenty k [-10,10) 2', 'twenty k [0,20) 2 #0 update']);
  });

  test('a retraction emits a higher revision, without a result when nothing is left', () => {
    const { add, remove, taken } = recordWindows({ of: TEN, aggregate: total, ...onUpdate, retracts: true });
    add('k', 5, 1);
    add('k', 6, 2);
    remove('k', 5, 1);
    remove('k', 6, 2);
    add('k', 7, 4);
    expect(taken()).toEqual([
      'ten k [0,10) 1 #0 update',
      'ten k [0,10) 3 #1 update',
      'ten k [0,10) 2 #2 update',
      'ten k [0,10) null #3 update',
      'ten k [0,10) 4 #4 update',
    ]);
  });

  test('a retraction after the close emits a correction with the next revision', () => {
    const { harness, add, remove, taken } = recordWindows({
      of: TEN,
      aggregate: total,
      ...onUpdate,
      ...retracting,
    });
    add('k', 5, 1);
    add('k', 6, 2);
    harness.streamTime(20);
    taken();
    remove('k', 5, 1);
    expect(taken()).toEqual(['ten k [0,10) 2 #2 correction']);
  });
});

describe('retractions on close', () => {
  test('an open window forgets the record; one that was all taken back does not exist', () => {
    const { harness, add, remove, taken } = recordWindows({
      of: TEN,
      aggregate: total,
      ...onClose,
      retracts: true,
    });
    add('k', 5, 1);
    add('k', 6, 2);
    add('gone', 6, 4);
    remove('k', 5, 1);
    remove('gone', 6, 4);
    harness.streamTime(15);
    expect(taken()).toEqual(['ten k [0,10) 2 #0 final']);
    expect(harness.counted('dropped')).toBe(0);
  });

  test('closed windows are corrected with rising revisions, and are late beyond the retention', () => {
    const { harness, add, remove, taken } = recordWindows({
      of: TWENTY_BY_TEN,
      aggregate: total,
      ...onClose,
      ...retracting,
    });
    add('k', 5, 1);
    add('k', 6, 2);
    add('k', 7, 4);
    harness.streamTime(34);
    expect(taken()).toEqual(['twenty k [-10,10) 7 #0 final', 'twenty k [0,20) 7 #0 final']);
    remove('k', 6, 2);
    expect(taken()).toEqual(['twenty k [-10,10) 5 #1 correction', 'twenty k [0,20) 5 #1 correction']);
    // The first was closed at 15, and can be corrected for 20 ms; the second at 25.
    harness.streamTime(35);
    remove('k', 7, 4);
    expect(taken()).toEqual(['late twenty k [-10,10) -4', 'twenty k [0,20) 1 #2 correction']);
    harness.streamTime(44);
    remove('k', 5, 1);
    expect(taken()).toEqual(['late twenty k [-10,10) -1', 'twenty k [0,20) null #3 correction']);
    remove('k', 5, 1);
    expect(taken()).toEqual([]);
    expect([harness.counted('late'), harness.counted('dropped')]).toEqual([2, 1]);
    harness.streamTime(45);
    remove('k', 5, 1);
    expect(taken()).toEqual(['late twenty k [-10,10) -1', 'late twenty k [0,20) -1']);
  });

  test('a record that was late for a window is not taken from it', () => {
    const { harness, add, remove, taken } = recordWindows({
      of: TWENTY_BY_TEN,
      aggregate: total,
      ...onClose,
      ...retracting,
    });
    add('k', 5, 1);
    harness.streamTime(15);
    add('k', 6, 2);
    harness.streamTime(25);
    add('k', 7, 4);
    expect(taken()).toEqual([
      'twenty k [-10,10) 1 #0 final',
      'late twenty k [-10,10) 2',
      'twenty k [0,20) 3 #0 final',
      'late twenty k [-10,10) 4',
      'late twenty k [0,20) 4',
    ]);
    remove('k', 7, 4);
    expect(taken()).toEqual(['late twenty k [-10,10) -4', 'late twenty k [0,20) -4']);
    remove('k', 6, 2);
    expect(taken()).toEqual(['late twenty k [-10,10) -2', 'twenty k [0,20) 1 #1 correction']);
    expect(harness.handle.get('k', 'twenty', -10)).toBe(1);
    expect(harness.counted('dropped')).toBe(0);
  });

  test('an aggregate that cannot undo computes anew from its kept inputs', () => {
    const { harness, add, remove, taken } = recordWindows({
      of: TEN,
      aggregate: greatest,
      ...onClose,
      ...retracting,
    });
    // More than one piece of kept inputs.
    for (let input = 1; input <= 100; input++) add('k', 5, input);
    remove('k', 5, 100);
    remove('k', 5, 40);
    remove('k', 5, 40);
    harness.streamTime(15);
    for (let input = 2; input < 100; input++) if (input !== 40) remove('k', 5, input);
    remove('k', 5, 1);
    const emitted = taken();
    expect(emitted.slice(0, 2)).toEqual(['ten k [0,10) 99 #0 final', 'ten k [0,10) 99 #1 correction']);
    expect(emitted.slice(-2)).toEqual(['ten k [0,10) 1 #97 correction', 'ten k [0,10) null #98 correction']);
    expect(harness.counted('dropped')).toBe(1);
    harness.streamTime(35);
    add('k', 35, 1);
    harness.streamTime(50);
    // Only the revision of the last window, and its entries, may remain.
    expect(harness.entries().some(([, text]) => text.includes('99'))).toBe(false);
  });

  test('a retraction of what never was there is dropped and counted, also when it comes first', () => {
    const { harness, add, remove, taken } = recordWindows({
      of: TEN,
      aggregate: total,
      ...onClose,
      retracts: true,
    });
    remove('k', 5, 1);
    expect(harness.counted('dropped')).toBe(1);
    add('k', 5, 1);
    harness.streamTime(15);
    expect(taken()).toEqual(['ten k [0,10) 1 #0 final']);
  });

  test('are a mistake unless they are declared', () => {
    const { remove } = recordWindows({ of: TEN, aggregate: total, ...onClose });
    expect(codeOf(() => remove('k', 5, 1))).toBe('INVARIANT_BROKEN');
  });
});

test('a restart at a moment when a window has late parts changes nothing', () => {
  const { harness, add, remove, taken } = recordWindows({
    of: TWENTY_BY_TEN,
    aggregate: names({ canRemove: true }),
    ...onClose,
    retracts: true,
    retentionMs: 20,
    inputCodec: jsonCodec<string>(),
  });
  add('k', 5, 'a');
  harness.streamTime(15);
  add('k', 6, 'b:"c"');
  harness.streamTime(25);
  add('k', 7, 'd');
  harness.restart();
  taken();
  remove('k', 7, 'd');
  remove('k', 6, 'b:"c"');
  expect(taken()).toEqual([
    'late twenty k [-10,10) -d',
    'late twenty k [0,20) -d',
    'late twenty k [-10,10) -b:"c"',
    'twenty k [0,20) a #1 correction',
  ]);
});
