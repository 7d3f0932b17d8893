import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkAggregateLaws } from '#pipeline/testing/aggregate-laws.ts';
import { moments } from './moments.ts';

const of = (values: readonly (number | bigint | string)[], scale = 8) => {
  const { zero, add, result } = moments((value: number | bigint | string) => value, { scale });
  return result(values.reduce(add, zero));
};

describe('moments', () => {
  test.each([
    [[], { count: 0, mean: null, variance: null }],
    [[7.5], { count: 1, mean: 7.5, variance: null }],
    [[3, 3], { count: 2, mean: 3, variance: 0 }],
    [[2, 4, 4, 4, 5, 5, 7, 9], { count: 8, mean: 5, variance: 32 / 7 }],
    // Doubles would give 0.20000000000000004 and 0.009999999999999998.
    [[0.1, 0.2, 0.3], { count: 3, mean: 0.2, variance: 0.01 }],
    // The textbook formula on doubles loses the variance entirely.
    [[1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16], { count: 4, mean: 1e9 + 10, variance: 30 }],
    [['-1.5', 1.5, 0], { count: 3, mean: 0, variance: 2.25 }],
  ])('of %j', (values, expected) => {
    expect(of(values)).toStrictEqual(expected);
  });

  test('values count to the declared places', () => {
    expect(of([1.24, 1.26], 1)).toStrictEqual({ count: 2, mean: 1.25, variance: 0.005 });
  });

  test('what a double cannot hold is null', () => {
    expect(of([1e200, -1e200], 0)).toStrictEqual({ count: 2, mean: 0, variance: null });
  });

  test('huge values leave nothing behind when they are taken out', () => {
    const { zero, add, remove, result } = moments((x: number) => x, { scale: 2 });
    const state = [1.25, 1e70, 3.75].reduce(add, zero);
    expect(result(remove?.(state, 1e70) ?? zero)).toStrictEqual({ count: 2, mean: 2.5, variance: 3.125 });
  });

  test.each([-1, 65, 1.5])('a scale of %d is refused', (scale) => {
    expect(() => moments((x: number) => x, { scale })).toThrow(
      `moments.scale: found ${scale}, expected a whole number from 0 to 64; give the decimal places`,
    );
  });

  test('keeps the laws of aggregates', () => {
    const values = fc.oneof(
      fc.constantFrom<number | bigint | string>(0, -0, 1e70, -1e70, 0.1, 10n ** 70n, '-0.00000001'),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
    );
    checkAggregateLaws(
      moments((value: number | bigint | string) => value, { scale: 8 }),
      values,
    );
  });
});
