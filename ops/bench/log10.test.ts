import { expect, test } from 'vitest';
import { log10 } from './log10.ts';

test('powers of ten, powers of two and numbers between are within four units in the last place', () => {
  const numbers = [1, 2, 10, 1e4, 1e17, 1e300, 1e-300, 0.1, 0.7, Math.SQRT2, 1.5, 3, 7, 123.456, 2 ** 60];
  for (const x of numbers) {
    const expected = Math.log10(x);
    expect(Math.abs(log10(x) - expected)).toBeLessThanOrEqual(4 * Number.EPSILON * Math.abs(expected));
  }
});

test('the bits are those of additions and multiplications, wherever it runs', () => {
  expect([2, 1_000, 31_623.7].map(log10)).toEqual([0.3010299956639812, 3, 4.500012681395546]);
});

test('just below and above one nothing is lost to cancellation', () => {
  expect(log10(1)).toBe(0);
  expect(log10(1 + 2 ** -40) / (2 ** -40 * Math.LOG10E)).toBeCloseTo(1, 10);
  expect(log10(1 - 2 ** -40) / (2 ** -40 * Math.LOG10E)).toBeCloseTo(-1, 10);
});

test.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY, 5e-324])('%d has no logarithm here', (x) => {
  expect(() => log10(x)).toThrow(RangeError);
});
