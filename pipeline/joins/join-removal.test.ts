import { describe, expect, test } from 'vitest';
import { openJoin } from './fixtures/open-join.ts';

describe('removed records of a join', () => {
  const retentionMs = 100;

  test('take back their pairs in order, once', () => {
    const { left, right, removeLeft, news, counted } = openJoin({ retentionMs });
    left(1_000, 'l', 'k', 'id');
    left(1_000, 'other', 'k', 'other id');
    right(1_010, 'b');
    right(1_000, 'a');
    news();
    expect(removeLeft(1_000, 'id')).toBe(true);
    expect(news()).toEqual(['-k: l@1000 + a@1000 = 1000', '-k: l@1000 + b@1010 = 1010']);
    expect(removeLeft(1_000, 'id')).toBe(false);
    expect(counted('dropped')).toBe(1);
    right(1_020, 'c');
    expect(news()).toEqual(['k: other@1000 + c@1020 = 1020']);
  });

  test('leave the other side unmatched: at its close when that is to come', () => {
    const { left, right, removeRight, news, streamTime } = openJoin({ kind: 'left', retentionMs });
    left(1_000, 'l');
    right(1_000, 'a', 'k', 'a');
    right(1_000, 'b', 'k', 'b');
    removeRight(1_000, 'a');
    removeRight(1_000, 'b');
    expect(news().slice(2)).toEqual(['-k: l@1000 + a@1000 = 1000', '-k: l@1000 + b@1000 = 1000']);
    streamTime(1_061);
    expect(news()).toEqual(['k: l@1000 + none = 1000']);
  });

  test('leave the other side unmatched: at once when its window is closed', () => {
    const { left, right, removeRight, news, streamTime } = openJoin({ kind: 'left', retentionMs });
    left(1_000, 'l');
    right(1_000, 'a', 'k', 'a');
    right(1_000, 'b', 'k', 'b');
    streamTime(1_100);
    news();
    removeRight(1_000, 'a');
    expect(news()).toEqual(['-k: l@1000 + a@1000 = 1000']);
    removeRight(1_000, 'b');
    expect(news()).toEqual(['-k: l@1000 + b@1000 = 1000', 'k: l@1000 + none = 1000']);
  });

  test('take back that they were unmatched; before their close there is nothing to take back', () => {
    const { left, removeLeft, news, streamTime } = openJoin({ kind: 'outer', retentionMs });
    left(1_000, 'open', 'k', 'open');
    expect(removeLeft(1_000, 'open')).toBe(true);
    streamTime(1_061);
    expect(news()).toEqual([]);
    left(1_020, 'closed');
    streamTime(1_100);
    expect(news()).toEqual(['k: closed@1020 + none = 1020']);
    expect(removeLeft(1_020)).toBe(true);
    expect(news()).toEqual(['-k: closed@1020 + none = 1020']);
  });

  test('may be so for the retention after their close, no longer', () => {
    const { left, removeLeft, news, streamTime, counted } = openJoin({ kind: 'left', retentionMs });
    left(1_000, 'a', 'k', 'a');
    left(1_000, 'b', 'k', 'b');
    streamTime(1_160);
    news();
    expect(removeLeft(1_000, 'a')).toBe(true);
    expect(news()).toEqual(['-k: a@1000 + none = 1000']);
    streamTime(1_161);
    expect(removeLeft(1_000, 'b')).toBe(false);
    expect(counted('late')).toBe(1);
    expect(news()).toEqual([]);
  });

  test('before they came are dropped, and counted', () => {
    const { left, right, removeLeft, news, counted } = openJoin({ retentionMs });
    expect(removeLeft(1_000, 'id')).toBe(false);
    expect(counted('dropped')).toBe(1);
    left(1_000, 'l', 'k', 'id');
    right(1_000, 'r');
    expect(news()).toEqual(['k: l@1000 + r@1000 = 1000']);
  });

  test('need a retention', () => {
    const { left, removeLeft } = openJoin();
    left(1_000, 'l');
    expect(() => removeLeft(1_000)).toThrow(/declare joinWindow\(\{ retentionMs \}\)/);
  });
});

describe('the state of a join', () => {
  test('is the entries and timers alone', () => {
    const store = openJoin({ kind: 'outer', retentionMs: 1_000 });
    store.left(1_000, 'a', 'k', 'id "1"');
    store.left(1_000, 'b');
    store.right(1_020, 'c');
    store.restart();
    expect(store.removeLeft(1_000, 'id "1"')).toBe(true);
    store.left(1_030, 'd', 'late:key');
    store.restart();
    store.streamTime(9_000);
    expect(store.news()).toEqual([
      'k: a@1000 + c@1020 = 1020',
      'k: b@1000 + c@1020 = 1020',
      '-k: a@1000 + c@1020 = 1020',
      'late:key: d@1030 + none = 1030',
    ]);
  });

  test('is what it was after a record that was refused', () => {
    const { left, right, handle, refuse, news, streamTime, timers, entries } = openJoin({
      kind: 'outer',
      retentionMs: 1_000,
    });
    left(1_000, 'l');
    const before = [entries(), timers()];
    refuse(() => {
      handle.right('k', 1_000, 'refused');
      handle.left('k', 990, 'refused');
      handle.removeLeft('k', 1_000);
    });
    expect([entries(), timers()]).toEqual(before);
    right(1_010, 'r');
    expect(news()).toEqual(['k: l@1000 + r@1010 = 1010']);
    streamTime(9_000);
    expect(news()).toEqual([]);
  });

  test('forgets by range what counts no more', () => {
    const { left, right, entries } = openJoin();
    for (let timeMs = 0; timeMs < 10_000; timeMs += 10) {
      left(timeMs, 'l');
      right(timeMs, 'r');
    }
    // Two in 10 ms, for 100 + 11 + 50 + 11 ms and an eighth more.
    expect(entries().length).toBeLessThan(45);
  });
});
