import { describe, expect, test } from 'vitest';
import { jsonCodec } from '#pipeline/state/store.ts';
import { createStoreHarness } from '#pipeline/testing/store-harness.ts';
import { names, total } from '#pipeline/testing/windows/sample-aggregates.ts';
import { codeOf, messageOf } from '#pipeline/testing/windows/window-recorder.ts';
import { type SessionOptions, sessions } from './sessions.ts';

/** What is emitted as `key [first,last] result #revision phase`, and what is late as `late key time input`. */
function open(
  options: Partial<Omit<SessionOptions<string, readonly string[], string>, 'changed' | 'late'>> = {},
) {
  const out: string[] = [];
  const harness = createStoreHarness(
    sessions({
      gapMs: 10,
      graceMs: 5,
      aggregate: names({ canRemove: false }),
      emit: 'on-close',
      close: { by: 'event-time' },
      inputCodec: jsonCodec<string>(),
      ...options,
      changed: ({ key, startMs, endMs, result, revision, phase }) =>
        out.push(`${key} [${startMs},${endMs}] ${result} #${revision} ${phase}`),
      late: ({ key, eventTimeMs, input, isRetraction }) =>
        out.push(`late ${key} ${eventTimeMs} ${isRetraction ? '-' : ''}${input}`),
    }),
  );
  return {
    harness,
    /** `a@5 b@7`: input and event time. */
    add: (key: string, records: string) => {
      for (const record of records.split(' ')) {
        const [input = '', timeMs] = record.split('@');
        harness.handle.add(key, Number(timeMs), input);
      }
    },
    remove: (key: string, record: string) => {
      const [input = '', timeMs] = record.split('@');
      harness.handle.remove(key, Number(timeMs), input);
    },
    taken: () => out.splice(0),
  };
}

describe('sessions on close', () => {
  test('records exactly the gap apart are in one session, one millisecond more parts them', () => {
    const { harness, add, taken } = open();
    add('joined', 'a@0 b@10 c@-10');
    add('parted', 'a@0 b@11');
    harness.streamTime(1_000);
    expect(taken()).toEqual([
      'parted [0,0] a #0 final',
      'joined [-10,10] a+b+c #0 final',
      'parted [11,11] b #0 final',
    ]);
  });

  test('close one millisecond after nothing can join them, and the grace', () => {
    const { harness, add, taken } = open();
    add('k', 'a@100');
    harness.streamTime(115);
    add('k', 'b@110');
    expect(taken()).toEqual([]);
    harness.streamTime(125);
    expect(taken()).toEqual([]);
    harness.streamTime(126);
    expect(taken()).toEqual(['k [100,110] a+b #0 final']);
    expect([harness.timers(), harness.entries()]).toEqual([[], []]);
  });

  test('records that bridge two or three sessions make them one', () => {
    const { harness, add, taken } = open();
    add('two', 'a@0 b@20 c@10');
    add('three', 'a@0 b@15 c@22 d@5 e@32 f@26');
    harness.streamTime(1_000);
    expect(taken()).toEqual(['two [0,20] a+b+c #0 final', 'three [0,32] a+b+c+d+e+f #0 final']);
  });

  test('a record is late when its own session would be closed and it joins none', () => {
    const { harness, add, taken } = open();
    add('k', 'a@100');
    harness.streamTime(116);
    expect(taken()).toEqual(['k [100,100] a #0 final']);
    add('k', 'b@100');
    expect(taken()).toEqual(['late k 100 b']);
    // Would have joined the closed one: it begins another.
    add('k', 'c@101 d@95 e@85');
    expect(taken()).toEqual([]);
    add('k', 'f@74');
    expect(taken()).toEqual(['late k 74 f']);
    harness.streamTime(117);
    expect(taken()).toEqual(['k [85,101] c+d+e #0 final']);
    expect(harness.counted('late')).toBe(2);
  });

  test('come out by end, then bytes of the key', () => {
    const { harness, add, taken } = open();
    for (const key of ['z', '\u{1f40b}', '\uff5e', 'a']) add(key, 'x@5');
    add('long', 'x@0 y@5');
    add('first', 'x@4');
    harness.streamTime(1_000);
    expect(taken()).toEqual([
      'first [4,4] x #0 final',
      'a [5,5] x #0 final',
      'long [0,5] x+y #0 final',
      'z [5,5] x #0 final',
      '\uff5e [5,5] x #0 final',
      '\u{1f40b} [5,5] x #0 final',
    ]);
  });

  test('use one timer, whatever the number of keys', () => {
    const { harness, add } = open({ close: { by: 'either', delayMs: 100 } });
    for (let key = 0; key < 50; key++) add(`k${key}`, `x@${50 - key}`);
    expect(harness.timers().map(({ time, atMs }) => [time, atMs])).toEqual([
      ['event', 17],
      ['log', 117],
    ]);
  });

  test('of a quiet partition close by log time, also after one that grew', () => {
    const { harness, add, taken } = open({ close: { by: 'log-time', delayMs: 100 } });
    add('grows', 'a@0 b@8');
    add('next', 'a@9');
    harness.logTime(123);
    expect(taken()).toEqual([]);
    harness.logTime(124);
    expect(taken()).toEqual(['grows [0,8] a+b #0 final']);
    harness.logTime(1_000);
    expect(taken()).toEqual(['next [9,9] a #0 final']);
    expect(harness.context.logTimeMs).toBe(1_000);
  });

  test('get reads the open session that holds a time', () => {
    const { harness, add } = open();
    add('k', 'a@0 b@8');
    expect(harness.handle.get('k', 5)).toEqual({ startMs: 0, endMs: 8, result: 'a+b' });
    expect(harness.handle.get('k', 9)).toBeUndefined();
    expect(harness.handle.get('j', 5)).toBeUndefined();
  });
});

describe('sessions on update', () => {
  test('a changed session takes the old bounds back first, then there is the new one', () => {
    const { harness, add, taken } = open({ emit: 'on-update' });
    add('k', 'a@0 b@5 c@3 d@20');
    expect(taken()).toEqual([
      'k [0,0] a #0 update',
      'k [0,0] null #1 update',
      'k [0,5] a+b #1 update',
      'k [0,5] a+b+c #2 update',
      'k [20,20] d #0 update',
    ]);
    add('k', 'e@12');
    expect(taken()).toEqual([
      'k [0,5] null #3 update',
      'k [20,20] null #3 update',
      'k [0,20] a+b+c+d+e #3 update',
    ]);
    harness.streamTime(1_000);
    expect(taken()).toEqual([]);
    expect(harness.entries()).toEqual([]);
  });

  test('a record bridges two sessions at most; a third one joins at the next record, by start', () => {
    const { add, taken } = open({ emit: 'on-update' });
    add('k', 'a@0 b@11 c@22');
    taken();
    add('k', 'd@10');
    expect(taken()).toEqual([
      'k [0,0] null #1 update',
      'k [11,11] null #1 update',
      'k [0,11] a+b+d #1 update',
    ]);
    add('k', 'e@12');
    expect(taken()).toEqual([
      'k [0,11] null #2 update',
      'k [22,22] null #2 update',
      'k [0,22] a+b+c+d+e #2 update',
    ]);
  });

  test('a retraction may shorten a session, part it, or end it; revisions never fall', () => {
    const { add, remove, taken } = open({ emit: 'on-update', retracts: true });
    add('k', 'a@0 b@8 c@16');
    taken();
    remove('k', 'b@8');
    expect(taken()).toEqual(['k [0,16] null #3 update', 'k [0,0] a #3 update', 'k [16,16] c #3 update']);
    remove('k', 'a@0');
    expect(taken()).toEqual(['k [0,0] null #4 update']);
    add('k', 'a@0');
    expect(taken()).toEqual(['k [0,0] a #5 update']);
    add('k', 'd@0');
    remove('k', 'd@0');
    expect(taken()).toEqual(['k [0,0] a+d #6 update', 'k [0,0] a #7 update']);
  });
});

describe('retractions of sessions on close', () => {
  const retracting = { retracts: true, retentionMs: 50 } as const;

  test('change open sessions, and correct closed ones within the retention', () => {
    const { harness, add, remove, taken } = open(retracting);
    add('k', 'a@0 b@8 c@16 d@16');
    remove('k', 'd@16');
    harness.streamTime(32);
    expect(taken()).toEqual(['k [0,16] a+b+c #0 final']);
    remove('k', 'b@8');
    expect(taken()).toEqual([
      'k [0,16] null #1 correction',
      'k [0,0] a #1 correction',
      'k [16,16] c #1 correction',
    ]);
    remove('k', 'c@16');
    expect(taken()).toEqual(['k [16,16] null #2 correction']);
    remove('k', 'c@16');
    expect(harness.counted('dropped')).toBe(1);
    // [0,0] is closed at 16 and can be corrected until 66.
    harness.streamTime(65);
    remove('k', 'x@0');
    expect([harness.counted('late'), harness.counted('dropped')]).toEqual([0, 2]);
    harness.streamTime(66);
    remove('k', 'a@0');
    expect(taken()).toEqual(['late k 0 -a']);
  });

  test('a part that is over is closed at once', () => {
    const { harness, add, remove, taken } = open(retracting);
    add('k', 'a@0 b@10 c@20');
    harness.streamTime(30);
    remove('k', 'b@10');
    expect(taken()).toEqual(['k [0,0] a #0 final']);
    harness.streamTime(1_000);
    expect(taken()).toEqual(['k [20,20] c #0 final']);
  });

  test('keep what they need through a restart, and nothing beyond the retention', () => {
    const { harness, add, remove, taken } = open(retracting);
    add('k', Array.from({ length: 100 }, (_, index) => `r${index}@${index}`).join(' '));
    add('other', 'a@200');
    harness.restart();
    harness.refuse(() => remove('k', 'r50@50'));
    remove('k', 'r99@99');
    remove('k', 'r0@0');
    harness.restart();
    harness.streamTime(150);
    expect(taken().map((line) => line.slice(0, 8))).toEqual(['k [1,98]']);
    harness.restart();
    remove('k', 'r98@98');
    expect(taken().map((line) => line.slice(0, 8))).toEqual(['k [1,98]', 'k [1,97]']);
    harness.streamTime(1_000);
    add('k', 'z@1000');
    harness.streamTime(2_000);
    expect(harness.entries()).toEqual([]);
  });

  test('of what never was there are dropped and counted; without retracts they are a mistake', () => {
    const { harness, remove } = open(retracting);
    remove('k', 'a@5');
    expect(harness.counted('dropped')).toBe(1);
    const plain = open();
    expect(codeOf(() => plain.remove('k', 'a@5'))).toBe('INVARIANT_BROKEN');
  });
});

test('a declaration of sessions with wrong numbers is refused with all of them', () => {
  const wrong = () =>
    sessions({
      gapMs: 0,
      graceMs: -1,
      aggregate: total,
      emit: 'on-close',
      close: { by: 'log-time', delayMs: -2 },
      retentionMs: 5,
      changed: () => {},
    });
  expect(codeOf(wrong)).toBe('GRAPH_INVALID');
  const message = messageOf(wrong);
  for (const part of [
    'sessions.gapMs: found 0',
    'graceMs: found -1',
    'delayMs: found -2',
    'retentionMs: found 5',
  ]) {
    expect(message).toContain(part);
  }
  const { harness } = open();
  expect(codeOf(() => harness.handle.add('k', 1.5, 'a'))).toBe('VALUE_UNREADABLE');
});
