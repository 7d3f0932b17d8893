import { describe, expect, test } from 'vitest';
import { isPipelineError } from '#pipeline/errors.ts';
import { createStoreHarness } from '#pipeline/testing/store-harness.ts';
import { type PutResult, type SameTime, type VersionedOptions, versioned } from './versioned.ts';

const MINUTE_MS = 60_000;

const openStore = (options: Partial<VersionedOptions<string>> = {}) =>
  createStoreHarness(versioned<string>({ retentionMs: 1_000, ...options }));

describe('versioned', () => {
  test('finds the version that held at a time: before, at and after each', () => {
    const { handle } = openStore();
    handle.put('ETH', 100, 'a');
    handle.put('ETH', 200, 'b');
    const found = [99, 100, 199, 200, 9_999].map((timeMs) => handle.asOf('ETH', timeMs));
    expect(found).toMatchObject([
      undefined as never,
      { timeMs: 100, value: 'a' },
      { timeMs: 100, value: 'a' },
      { timeMs: 200, value: 'b' },
      { timeMs: 200, value: 'b' },
    ]);
    expect(handle.asOf('BTC', 150)).toBeUndefined();
  });

  test('takes versions in any order of time, also before 1970', () => {
    const { handle } = openStore();
    for (const timeMs of [300, -100, 200, 0]) expect(handle.put('k', timeMs, `at ${timeMs}`)).toBe('kept');
    expect([-101, -1, 250, 300].map((timeMs) => handle.asOf('k', timeMs)?.value)).toEqual([
      undefined,
      'at -100',
      'at 200',
      'at 300',
    ]);
    expect(handle.latest('k')).toMatchObject({ timeMs: 300, value: 'at 300' });
  });

  test('holds nothing from a tombstone until the next version', () => {
    const { handle } = openStore();
    handle.put('k', 100, 'a');
    handle.put('k', 200, null);
    handle.put('k', 300, 'b');
    expect([150, 200, 299, 300].map((timeMs) => handle.asOf('k', timeMs)?.value)).toEqual([
      'a',
      undefined,
      undefined,
      'b',
    ]);
    handle.put('k', 400, null);
    expect(handle.latest('k')).toBeUndefined();
  });

  test.each<[SameTime, readonly PutResult[], string]>([
    ['first', ['kept', 'known', 'known'], 'm'],
    ['last', ['kept', 'kept', 'kept'], 'z'],
    ['least', ['kept', 'kept', 'kept'], 'a'],
    ['greatest', ['kept', 'kept', 'kept'], 'z'],
  ])('of one time, by the rule %s, one holds', (sameTime, results, holding) => {
    const { handle } = openStore({ sameTime });
    expect(['m', 'a', 'z'].map((name) => handle.put('k', 100, name, name))).toEqual(results);
    expect(handle.asOf('k', 100)?.value).toBe(holding);
    expect(handle.latest('k')?.value).toBe(holding);
  });

  test('keeps the first of one time and tie-break, and finds the other again when one is removed', () => {
    const { handle } = openStore({ sameTime: 'least' });
    handle.put('ETH', 100, '3000', 'bybit');
    handle.put('ETH', 100, '2999', 'binance');
    expect(handle.put('ETH', 100, '1', 'binance')).toBe('known');
    expect(handle.asOf('ETH', 100)?.value).toBe('2999');
    expect(handle.remove('ETH', 100, 'binance')).toBe(true);
    expect(handle.remove('ETH', 100, 'binance')).toBe(false);
    expect(handle.asOf('ETH', 100)?.value).toBe('3000');
  });

  test('says nothing when the version is older than the greatest age', () => {
    const { handle } = openStore({ maxAgeMs: 10 * MINUTE_MS, retentionMs: 60 * MINUTE_MS });
    handle.put('ETH', 0, 'a');
    expect(handle.asOf('ETH', 10 * MINUTE_MS)?.value).toBe('a');
    expect(handle.asOf('ETH', 10 * MINUTE_MS + 1)).toBeUndefined();
    expect(handle.latest('ETH')?.value).toBe('a');
  });

  test('forgets what was followed by another version at or before the horizon, not what still holds there', () => {
    const { handle, logTime, counted } = openStore();
    for (const timeMs of [100, 200, 300]) handle.put('k', timeMs, `at ${timeMs}`);
    logTime(1_199);
    expect(handle.asOf('k', 150)?.value).toBe('at 100');
    logTime(1_200);
    expect(handle.asOf('k', 150)).toBeUndefined();
    expect(handle.asOf('k', 250)?.value).toBe('at 200');
    logTime(9_000);
    expect(handle.asOf('k', 299)).toBeUndefined();
    expect(handle.asOf('k', 300)?.value).toBe('at 300');
    expect(handle.put('k', 299, 'too late')).toBe('late');
    expect(counted('late')).toBe(1);
    expect(handle.put('k', 301, 'holds at the horizon')).toBe('kept');
    expect(handle.asOf('k', 8_000)?.value).toBe('holds at the horizon');
  });

  test('takes what is older than the horizon when nothing newer holds there', () => {
    const { handle, logTime } = openStore();
    logTime(5_000);
    expect(handle.put('label', 10, 'exchange')).toBe('kept');
    expect(handle.asOf('label', 4_500)?.value).toBe('exchange');
    expect(handle.asOf('label', 10)?.value).toBe('exchange');
  });

  test('leaves nothing of a key whose tombstone came to the horizon', () => {
    const store = openStore();
    for (let timeMs = 1; timeMs <= 200; timeMs++) store.handle.put('k', timeMs, 'a');
    store.handle.put('k', 201, null);
    store.logTime(1_200);
    expect(store.entries().length).toBeGreaterThan(0);
    store.logTime(1_201);
    store.handle.put('other', 1_201, 'b');
    expect(store.entries().map(([key]) => key)).toEqual(['nother']);
    expect(store.timers()).toEqual([]);
  });

  test('sets no timer for a deleted key that came back', () => {
    const store = openStore();
    store.handle.put('k', 100, null);
    expect(store.timers()).toEqual([{ time: 'log', key: 'k', atMs: 1_100 }]);
    store.handle.put('k', 101, 'a');
    expect(store.timers()).toEqual([]);
  });

  test('drops old blocks by range and keeps few', () => {
    const store = openStore({ retentionMs: 1_600 });
    for (let timeMs = 0; timeMs < 20_000; timeMs += 10) {
      store.logTime(timeMs);
      store.handle.put('k', timeMs, 'a');
    }
    // 160 versions within the retention, in blocks of 32, and up to 64 in the newest.
    expect(store.entries().length).toBeLessThan(10);
    expect(store.handle.asOf('k', 18_395)?.timeMs).toBe(18_390);
  });

  test('refuses a time that is not whole milliseconds', () => {
    const { handle } = openStore();
    for (const timeMs of [0.5, Number.NaN, 2 ** 53]) {
      expect(() => handle.put('k', timeMs, 'a')).toThrow(/expected whole milliseconds/);
    }
  });

  test('refuses wrong durations, all at once', () => {
    try {
      versioned({ retentionMs: 0, maxAgeMs: -1 });
      expect.unreachable();
    } catch (error) {
      expect(isPipelineError(error, 'GRAPH_INVALID')).toBe(true);
      expect(String(error)).toMatch(/versioned\.retentionMs: found 0.*versioned\.maxAgeMs: found -1/);
    }
  });
});
