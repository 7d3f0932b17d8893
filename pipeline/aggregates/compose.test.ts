import fc from 'fast-check';
import { describe, expect, expectTypeOf, test } from 'vitest';
import { compareDecimals } from '#pipeline/amounts.ts';
import { isPipelineError } from '#pipeline/errors.ts';
import { checkAggregateLaws } from '#pipeline/testing/aggregate-laws.ts';
import type { Aggregate } from './aggregate.ts';
import { compose, map } from './compose.ts';
import { count } from './count.ts';
import { distinct } from './distinct.ts';
import { max } from './extremes.ts';
import { moments } from './moments.ts';
import { quantiles } from './quantiles.ts';
import { sum } from './sum.ts';
import { sumDecimal } from './sum-decimal.ts';

interface Trade {
  readonly amountRaw: bigint;
  readonly price: string;
  readonly trader: string;
}
const amount = (trade: Trade) => trade.amountRaw;
const trades: readonly Trade[] = [
  { amountRaw: 5n, price: '1.5', trader: 'x' },
  { amountRaw: 10n ** 70n, price: '0.25', trader: 'y' },
  { amountRaw: -7n, price: '2', trader: 'x' },
];
const trade: fc.Arbitrary<Trade> = fc.record({
  amountRaw: fc.bigInt({ min: -(10n ** 70n), max: 10n ** 70n }),
  price: fc.constantFrom('1.5', '0.25', '-2', '1000000'),
  trader: fc.constantFrom('x', 'y', '3:"z', '\ud800'),
});

const undoable = compose({
  trades: count(),
  volume: sum(amount),
  nested: compose({
    prices: sumDecimal((one: Trade) => one.price),
    spread: moments((one: Trade) => one.price, { scale: 4 }),
    median: map(
      quantiles((one: Trade) => Number(one.price), { median: 0.5 }),
      ({ median }) => median,
    ),
  }),
});
const forgetful = compose({
  greatest: max(amount),
  dearest: max((one: Trade) => one.price, compareDecimals),
  traders: distinct((one: Trade) => one.trader, { exactBelow: 3, precision: 4 }),
  trades: count(),
});

describe('compose', () => {
  test('gives the result of every part under its name', () => {
    expect(undoable.result(trades.reduce(undoable.add, undoable.zero))).toStrictEqual({
      trades: 3,
      volume: 10n ** 70n - 2n,
      nested: {
        prices: '3.75',
        spread: { count: 3, mean: 1.25, variance: 0.8125 },
        median: 1.5 + 1 / 128,
      },
    });
    expect(forgetful.result(trades.reduce(forgetful.add, forgetful.zero))).toStrictEqual({
      greatest: 10n ** 70n,
      dearest: '2',
      traders: { count: 2, isExact: true },
      trades: 3,
    });
  });

  test('can be undone if all parts can', () => {
    expect(undoable.remove).not.toBeNull();
    expect(forgetful.remove).toBeNull();
    expect(compose({ trades: count(), inner: forgetful }).remove).toBeNull();
  });

  test('takes what all parts can take', () => {
    const two = compose({
      volume: sum((one: { readonly amountRaw: bigint }) => one.amountRaw),
      traders: distinct((one: { readonly trader: string }) => one.trader),
      trades: count(),
    });
    expectTypeOf(two.add)
      .parameter(1)
      .toEqualTypeOf<{ readonly amountRaw: bigint } & { readonly trader: string }>();
    expectTypeOf(two.result).returns.toEqualTypeOf<{
      readonly volume: bigint;
      readonly traders: { readonly count: number; readonly isExact: boolean };
      readonly trades: number;
    }>();
    expectTypeOf(undoable).toExtend<Aggregate<Trade, readonly unknown[], { readonly trades: number }>>();
  });

  test('its name holds those of the parts, for the fingerprint', () => {
    expect(undoable.name).toBe(
      'compose(trades=count,volume=sum,nested=compose(prices=sumDecimal,spread=moments(4),median=map(quantiles(0.01;median=0.5))))',
    );
  });

  test('its text has no escapes, however deep the nesting', () => {
    const { codec, add, zero } = compose({ a: compose({ b: compose({ c: count() }), d: sum(amount) }) });
    expect(codec.encode(trades.slice(0, 1).reduce(add, zero))).toBe('8:3:1:11:5');
  });

  test('of nothing is refused', () => {
    try {
      compose({});
      expect.unreachable();
    } catch (error) {
      expect(isPipelineError(error, 'GRAPH_INVALID')).toBe(true);
    }
  });

  test('keeps the laws of aggregates', () => {
    checkAggregateLaws(undoable, trade);
    checkAggregateLaws(forgetful, trade);
  });
});

describe('map', () => {
  test('changes the result and nothing else', () => {
    const halves = map(count(), (n) => n / 2);
    expect(halves.result(3)).toBe(1.5);
    expect(halves.remove?.(3, null)).toBe(2);
    expect(map(max(amount), String).remove).toBeNull();
  });

  test('keeps the laws of aggregates', () => checkAggregateLaws(map(sum(amount), String), trade));
});
