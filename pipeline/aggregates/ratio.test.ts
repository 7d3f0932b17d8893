import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { numberToDecimalText, roundHalfEven, toRawAmount } from '#pipeline/amounts.ts';
import { quantiser, ratioToNumber } from './ratio.ts';

describe('ratioToNumber', () => {
  test.each([
    [0n, 7n, 0],
    [1n, 3n, 1 / 3],
    [-2n, 3n, -2 / 3],
    [10n ** 40n, 10n ** 40n, 1],
    [1n, 10n ** 100n, 1e-100],
    [10n ** 300n, 1n, 1e300],
    // Halfway between two doubles: to the even one; and just above it, though the excess is 400 bits further down.
    [2n ** 53n + 1n, 1n, 2 ** 53],
    [(2n ** 53n + 1n) * 2n ** 400n + 1n, 2n ** 400n, 2 ** 53 + 2],
  ])('%d / %d is %d', (numerator, denominator, expected) => {
    expect(ratioToNumber(numerator, denominator)).toBe(expected);
  });

  test('is null beyond the range of doubles', () => {
    expect(ratioToNumber(10n ** 309n, 1n)).toBeNull();
    expect(ratioToNumber(-(10n ** 400n), 3n)).toBeNull();
  });

  test('rounds as the division of doubles does', () => {
    const safe = fc.maxSafeInteger();
    fc.assert(
      fc.property(safe, safe, fc.bigInt({ min: 1n, max: 2n ** 300n }), (a, b, common) => {
        fc.pre(b > 0 && a !== 0);
        expect(ratioToNumber(BigInt(a) * common, BigInt(b) * common)).toBe(a / b);
      }),
    );
  });
});

describe('quantiser', () => {
  test.each([
    [2, 1.005, 100n],
    [2, 1.015, 102n],
    [2, -1.015, -102n],
    [1, 0.15, 2n],
    [0, 0.5, 0n],
    [0, 1.5, 2n],
    [0, -2.5, -2n],
    [8, 60000.25, 6_000_025_000_000n],
    [8, -0, 0n],
    [30, 0.1, 10n ** 29n],
    [0, 1e21, 10n ** 21n],
    // Its shortest text is 1180591620717411300000, though its value is 1180591620717411303424.
    [2, 2 ** 70, 118059162071741130000000n],
    [2, '1.005', 100n],
    [2, '-0.015', -2n],
    [3, '12', 12_000n],
    [3, 12n, 12_000n],
  ])('at %d places %d is %d units', (scale, value, units) => {
    expect(quantiser(scale)(value)).toBe(units);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, 'ten', '1e5'])('%s is refused', (value) => {
    expect(() => quantiser(2)(value)).toThrow(RangeError);
  });

  test('takes the shortest decimal text of a double, by whichever way', () => {
    const few = fc.tuple(fc.integer(), fc.nat(12)).map(([n, places]) => Number(`${n}e-${places}`));
    const doubles = fc.oneof(few, fc.double({ noNaN: true, min: -1e40, max: 1e40 }));
    fc.assert(
      fc.property(doubles, fc.nat(30), (value, scale) => {
        const rounded = roundHalfEven(numberToDecimalText(value) ?? '', scale);
        expect(quantiser(scale)(value)).toBe(toRawAmount(rounded, scale));
      }),
      { numRuns: 500 },
    );
  });
});
