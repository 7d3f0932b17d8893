import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkAggregateLaws } from '#pipeline/testing/aggregate-laws.ts';
import { type EndsOptions, first, last } from './ends.ts';

interface Trade {
  readonly atMs: number;
  readonly id: string;
  readonly price: string;
}
const order: EndsOptions<Trade> = { eventTimeMs: (trade) => trade.atMs, tie: (trade) => trade.id };
const open = first((trade: Trade) => trade.price, order);
const close = last((trade: Trade) => trade.price, order);

const trades: readonly Trade[] = [
  { atMs: 2_000, id: 'b', price: '101' },
  { atMs: 1_000, id: 'z', price: '100.5' },
  { atMs: 3_000, id: 'c', price: '99' },
  { atMs: 1_000, id: 'a', price: '100' },
  { atMs: 3_000, id: 'd', price: '98.5' },
];

describe('first and last', () => {
  test('go by event time, then by the tie, whatever came first', () => {
    for (const list of [trades, trades.toReversed()]) {
      expect(open.result(list.reduce(open.add, open.zero))).toBe('100');
      expect(close.result(list.reduce(close.add, close.zero))).toBe('98.5');
    }
  });

  test('ties may be numbers, compared as such', () => {
    const numbered: EndsOptions<number> = { eventTimeMs: () => 0, tie: (n) => n };
    const { zero, add, result } = last((n: number) => n, numbered);
    expect(result([9, 10, 2].reduce(add, zero))).toBe(10);
  });

  test('are null for no inputs, and cannot be undone', () => {
    expect(open.result(open.zero)).toBeNull();
    expect(open.remove).toBeNull();
    expect(close.remove).toBeNull();
  });

  test('an event time that is no number is refused', () => {
    expect(() => open.add(open.zero, { atMs: Number.NaN, id: 'a', price: '1' })).toThrow(RangeError);
  });

  test('keep the laws of aggregates, also where time and tie are equal and values are not', () => {
    const trade: fc.Arbitrary<Trade> = fc.record({
      atMs: fc.integer({ min: -2, max: 2 }),
      id: fc.constantFrom('a', 'b', '\ud800'),
      price: fc.constantFrom('1', '2', '3'),
    });
    checkAggregateLaws(open, trade);
    checkAggregateLaws(close, trade);
  });
});
