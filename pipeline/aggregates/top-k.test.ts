import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkAggregateLaws } from '#pipeline/testing/aggregate-laws.ts';
import { topK } from './top-k.ts';

const same = (text: string): string => text;
const hitter = (item: string, count: number, overcount = 0) => ({ item, count, overcount });

describe('topK', () => {
  test('is exact while every text has a counter; the most frequent first, ties by text', () => {
    const { zero, add, result } = topK(same, { k: 2, counters: 4 });
    const state = ['b', 'a', 'c', 'a', 'c', 'd'].reduce(add, zero);
    expect(result(state)).toStrictEqual([hitter('a', 2), hitter('c', 2)]);
    expect(result(zero)).toStrictEqual([]);
  });

  test('a new text takes over the least counter, of equals the last by text', () => {
    const { zero, add, result } = topK(same, { k: 3, counters: 3 });
    const state = ['a', 'a', 'b', 'c', 'x'].reduce(add, zero);
    expect(result(state)).toStrictEqual([hitter('a', 2), hitter('x', 2, 1), hitter('b', 1)]);
  });

  test('a merge allows for what a full part has forgotten', () => {
    const { zero, add, merge, result } = topK(same, { k: 2, counters: 2 });
    const full = ['a', 'a', 'a', 'b', 'b'].reduce(add, zero);
    const other = ['c', 'c'].reduce(add, zero);
    // Of c the full part may have forgotten 2.
    expect(result(merge(full, other))).toStrictEqual([hitter('c', 4, 2), hitter('a', 3)]);
    expect(result(merge(other, full))).toStrictEqual(result(merge(full, other)));
  });

  test('no count is too low, none too high by more than inputs / counters, nothing frequent is missing', () => {
    const counters = 4;
    const aggregate = topK(same, { k: counters, counters });
    const { add, merge, result, zero } = aggregate;
    const text = fc.oneof(fc.constantFrom('a', 'b'), fc.constantFrom(...'cdefghijk'));
    const parts = fc.array(fc.array(text, { maxLength: 40 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(parts, text, (lists, later) => {
        const merged = lists.map((list) => list.reduce(add, zero)).reduce(merge);
        const hitters = result(add(merged, later));
        const texts = [...lists.flat(), later];
        const most = texts.length / counters;
        for (const item of new Set(texts)) {
          const truth = texts.filter((other) => other === item).length;
          const found = hitters.find((one) => one.item === item);
          if (found === undefined) {
            expect(truth).toBeLessThanOrEqual(most);
            continue;
          }
          expect(found.count).toBeGreaterThanOrEqual(truth);
          expect(found.count - found.overcount).toBeLessThanOrEqual(truth);
          expect(found.overcount).toBeLessThanOrEqual(most);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('fewer counters than shown are refused', () => {
    expect(() => topK(same, { k: 10, counters: 5 })).toThrow('topK.counters: found 5');
    expect(() => topK(same, { k: 0, counters: 5 })).toThrow('topK.k: found 0');
  });

  test('cannot be undone', () => expect(topK(same, { k: 1, counters: 1 }).remove).toBeNull());

  test('keeps the laws of aggregates while every text has a counter', () => {
    const texts = fc.constantFrom('a', 'b', '', '\ud800', '\udc00', '10', '9', '__proto__');
    checkAggregateLaws(topK(same, { k: 3, counters: 8 }), texts);
  });
});
