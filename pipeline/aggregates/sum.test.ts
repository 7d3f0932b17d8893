import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkAggregateLaws } from '#pipeline/testing/aggregate-laws.ts';
import { sum } from './sum.ts';

const HUGE = 10n ** 70n;
const amounts = fc.oneof(
  fc.constantFrom(0n, HUGE, -HUGE, 1n, -1n),
  fc.bigInt({ min: -(2n ** 256n), max: 2n ** 256n }),
);

test('the sum is exact beside huge amounts', () => {
  const { zero, add, remove, result } = sum((trade: { amountRaw: bigint }) => trade.amountRaw);
  const state = [HUGE, 1n, -HUGE].reduce((before, amountRaw) => add(before, { amountRaw }), zero);
  expect(result(state)).toBe(1n);
  expect(remove?.(state, { amountRaw: HUGE })).toBe(1n - HUGE);
});

test('is 0n for no inputs', () => expect(sum((x: bigint) => x).result(0n)).toBe(0n));

test('keeps the laws of aggregates', () =>
  checkAggregateLaws(
    sum((x: bigint) => x),
    amounts,
  ));
