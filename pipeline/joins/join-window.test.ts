import { describe, expect, test } from 'vitest';
import { isPipelineError } from '#pipeline/errors.ts';
import { openJoin } from './fixtures/open-join.ts';

describe('pairs of a join', () => {
  test('have a right time from before to after the left one, both inclusive', () => {
    const { left, right, news } = openJoin({ graceMs: 1_000 });
    left(1_000, 'l');
    for (const timeMs of [899, 900, 1_000, 1_050, 1_051]) right(timeMs, 'r');
    expect(news()).toEqual([
      'k: l@1000 + r@900 = 1000',
      'k: l@1000 + r@1000 = 1000',
      'k: l@1000 + r@1050 = 1050',
    ]);
  });

  test('come when the second record does, in order of time, then arrival, of the other side', () => {
    const { left, right, news } = openJoin();
    right(1_040, 'b');
    right(1_000, 'a1');
    right(1_000, 'a2');
    right(1_000, 'other key', 'K');
    expect(news()).toEqual([]);
    left(1_000, 'l');
    expect(news()).toEqual([
      'k: l@1000 + a1@1000 = 1000',
      'k: l@1000 + a2@1000 = 1000',
      'k: l@1000 + b@1040 = 1040',
    ]);
    right(1_010, 'c');
    expect(news()).toEqual(['k: l@1000 + c@1010 = 1010']);
  });

  test('keep keys with separators and other scripts apart', () => {
    const { left, right, news } = openJoin();
    for (const key of ['a:b', 'a', ':', '鯨', '\ud83d\udc0b', 'half \ud83d']) left(1_000, 'l', key);
    for (const key of [':', '\ud83d\udc0b', 'half \ud83d']) right(1_000, 'r', key);
    expect(news()).toEqual([
      ':: l@1000 + r@1000 = 1000',
      '\ud83d\udc0b: l@1000 + r@1000 = 1000',
      'half \ufffd: l@1000 + r@1000 = 1000',
    ]);
  });

  test('are taken where all right times lie before the left ones', () => {
    const { left, right, news, counted } = openJoin({ beforeMs: 30, afterMs: -10, graceMs: 0 });
    right(970, 'a');
    right(990, 'b');
    right(991, 'c');
    left(1_000, 'l');
    expect(news()).toEqual(['k: l@1000 + a@970 = 1000', 'k: l@1000 + b@990 = 1000']);
    expect(counted('late')).toBe(0);
  });
});

describe('late records of a join', () => {
  test('come when their window is closed: past the last time of a partner and the grace', () => {
    const { left, right, news, counted, streamTime } = openJoin();
    // Open until 1000 + 50 + 10, inclusive.
    streamTime(1_060);
    left(1_000, 'in time');
    right(1_010, 'r');
    expect(news()).toEqual(['k: in time@1000 + r@1010 = 1010']);
    streamTime(1_061);
    left(1_000, 'late');
    expect(counted('late')).toBe(1);
    expect(news()).toEqual([]);
    // A right record has partners up to 100 after it: open until 951 + 100 + 10.
    right(951, 'in time');
    expect(news()).toEqual([]);
    right(950, 'late');
    expect(counted('late')).toBe(2);
  });

  test('are not those that come in time for one side when the window of the other is closed', () => {
    const { left, right, news, counted, streamTime } = openJoin({ kind: 'outer' });
    left(950, 'l');
    streamTime(1_011);
    expect(news()).toEqual(['k: l@950 + none = 950']);
    // The left one was passed on as unmatched: it takes no more partners.
    right(950, 'r');
    expect(counted('late')).toBe(0);
    expect(news()).toEqual([]);
    streamTime(1_061);
    expect(news()).toEqual(['k: none + r@950 = 950']);
  });
});

describe('unmatched records of a join', () => {
  test('of a left join are passed on once their window is closed, and right ones never', () => {
    const { left, right, news, streamTime, timers } = openJoin({ kind: 'left' });
    left(1_000, 'alone');
    left(1_001, 'matched', 'm');
    right(1_001, 'r', 'm');
    right(1_002, 'unwanted', 'u');
    expect(news()).toEqual(['m: matched@1001 + r@1001 = 1001']);
    streamTime(1_060);
    expect(news()).toEqual([]);
    streamTime(1_061);
    expect(news()).toEqual(['k: alone@1000 + none = 1000']);
    streamTime(9_999);
    expect(news()).toEqual([]);
    expect(timers()).toEqual([]);
  });

  test('are not those whose only partner closed long before them', () => {
    const { left, right, news, streamTime } = openJoin({
      kind: 'left',
      beforeMs: 30,
      afterMs: 30,
      graceMs: 0,
    });
    right(70, 'r');
    left(100, 'l');
    left(100, 'alone', 'other');
    // By now nothing can be added to the right one.
    right(130, 'r', 'another');
    news();
    streamTime(131);
    expect(news()).toEqual(['other: alone@100 + none = 100']);
  });

  test('of an inner join are not passed on, and need no timer', () => {
    const { left, right, news, streamTime, timers } = openJoin();
    left(1_000, 'l');
    right(2_000, 'r');
    expect(timers()).toEqual([]);
    streamTime(9_999);
    expect(news()).toEqual([]);
  });

  test('come by close time, left before right, key bytes and arrival', () => {
    const { left, right, news, streamTime } = openJoin({
      kind: 'outer',
      beforeMs: 50,
      afterMs: 50,
      graceMs: 100,
    });
    right(1_000, 'r', 'b');
    left(1_000, 'first', 'z');
    left(1_000, 'second', 'z');
    // Code units have it the other way round.
    left(1_000, 'l', '\ud83d\udc0b');
    left(1_000, 'l', '\uff5e');
    left(999, 'l', 'zz');
    right(999, 'r', 'a');
    streamTime(5_000);
    expect(news()).toEqual([
      'zz: l@999 + none = 999',
      'a: none + r@999 = 999',
      'z: first@1000 + none = 1000',
      'z: second@1000 + none = 1000',
      '\uff5e: l@1000 + none = 1000',
      '\ud83d\udc0b: l@1000 + none = 1000',
      'b: none + r@1000 = 1000',
    ]);
  });

  test('come by log time on a quiet partition', () => {
    const { left, news, logTime, counted } = openJoin({
      kind: 'left',
      close: { by: 'log-time', delayMs: 500 },
    });
    logTime(1_000);
    left(1_000, 'l');
    // Event time does not close it.
    left(5_000, 'later', 'other');
    logTime(1_560);
    expect(news()).toEqual([]);
    logTime(1_561);
    expect(news()).toEqual(['k: l@1000 + none = 1000']);
    left(1_000, 'late');
    expect(counted('late')).toBe(1);
  });

  test('come by the first of event time and log time, once', () => {
    const { left, news, logTime, streamTime, timers } = openJoin({
      kind: 'left',
      close: { by: 'either', delayMs: 500 },
    });
    logTime(1_000);
    left(1_000, 'by log time');
    logTime(1_561);
    expect(news()).toEqual(['k: by log time@1000 + none = 1000']);
    left(2_000, 'by event time');
    streamTime(2_061);
    expect(news()).toEqual(['k: by event time@2000 + none = 2000']);
    logTime(9_999);
    streamTime(9_999);
    expect(news()).toEqual([]);
    expect(timers()).toEqual([]);
  });
});

test('a join with wrong durations is refused, with all problems', () => {
  try {
    openJoin({
      beforeMs: 0.5,
      afterMs: -10,
      graceMs: -1,
      retentionMs: -1,
      close: { by: 'either', delayMs: -1 },
    });
    expect.unreachable();
  } catch (error) {
    expect(isPipelineError(error, 'GRAPH_INVALID')).toBe(true);
    for (const path of [
      'beforeMs: found 0.5',
      'afterMs = -9.5',
      'graceMs: found -1',
      'retentionMs',
      'close.delayMs',
    ]) {
      expect(String(error)).toContain(path);
    }
  }
});
