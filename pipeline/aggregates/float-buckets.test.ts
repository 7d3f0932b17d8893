import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bucketing } from './float-buckets.ts';

const normal = fc
  .double({ noNaN: true, noDefaultInfinity: true })
  .filter((value) => Math.abs(value) >= 2.2250738585072014e-308);

describe('buckets', () => {
  test('at 1 % an octave has 64, each with its middle', () => {
    const { bits, bucketOf, middleOf } = bucketing(0.01);
    expect(bits).toBe(6);
    const one = bucketOf(1);
    expect(bucketOf(1 + 1 / 64 - Number.EPSILON)).toBe(one);
    expect(bucketOf(1 + 1 / 64)).toBe(one + 1);
    expect(bucketOf(2)).toBe(one + 64);
    expect(middleOf(one)).toBe(1 + 1 / 128);
    expect(middleOf(bucketOf(-8))).toBe(-8 - 8 / 128);
  });

  test('zero and what is too small for full precision share one', () => {
    const { bucketOf, middleOf } = bucketing(0.01);
    expect([0, -0, 5e-324, -1e-310].map(bucketOf)).toStrictEqual([0, 0, 0, 0]);
    expect(middleOf(0)).toBe(0);
  });

  test.each([0.25, 0.05, 0.01, 0.001, 0.0001])('the middle is within %d of every value', (error) => {
    const { bucketOf, middleOf } = bucketing(error);
    fc.assert(
      fc.property(normal, (value) => {
        const bucket = bucketOf(value);
        expect(Math.abs(middleOf(bucket) / value - 1)).toBeLessThanOrEqual(error);
        expect(bucketOf(middleOf(bucket))).toBe(bucket);
        expect(bucketOf(-value)).toBe(-bucket);
      }),
    );
  });

  test('buckets rise with the values', () => {
    const { bucketOf } = bucketing(0.01);
    fc.assert(
      fc.property(normal, normal, (a, b) => {
        expect(a < b ? bucketOf(a) <= bucketOf(b) : bucketOf(a) >= bucketOf(b)).toBe(true);
      }),
    );
  });
});
