import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isPipelineError } from '#pipeline/errors.ts';
import { checkAggregateLaws } from '#pipeline/testing/aggregate-laws.ts';
import { quantiles } from './quantiles.ts';

const same = (value: number): number => value;
const AT = { least: 0, p10: 0.1, median: 0.5, p99: 0.99, greatest: 1 };

/** Between the two ranks in proportion. */
function exactQuantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const rank = q * (sorted.length - 1);
  const [lower = 0, upper = 0] = [sorted[Math.floor(rank)], sorted[Math.ceil(rank)]];
  return lower + (upper - lower) * (rank - Math.floor(rank));
}

describe('quantiles', () => {
  const { zero, add, merge, remove, result, codec } = quantiles(same, AT);

  test('of nothing are null', () => {
    expect(result(zero)).toStrictEqual({ least: null, p10: null, median: null, p99: null, greatest: null });
  });

  test('are the middles of the buckets, weighed between two ranks', () => {
    // Middles: 1.0078125 (1 to 1.015625), 2.015625, 4.03125, 8.0625.
    const state = [8, 1, 4, 2].reduce(add, zero);
    expect(result(state)).toMatchObject({ least: 1.0078125, median: 3.0234375, greatest: 8.0625 });
    expect(result(state).p10).toBeCloseTo(1.0078125 * 0.7 + 2.015625 * 0.3, 12);
  });

  test('of 1 to 1,000 are within 1 %', () => {
    const values = Array.from({ length: 1_000 }, (_, n) => n + 1);
    const found = result(values.reduce(add, zero));
    expect(Math.abs((found.median ?? 0) / 500.5 - 1)).toBeLessThan(0.01);
    expect(Math.abs((found.p99 ?? 0) / 990.01 - 1)).toBeLessThan(0.01);
  });

  test('count on both sides of zero, also after a merge', () => {
    const below = [-50, -40, -30, -20, -10].reduce(add, zero);
    const above = [0, 1, 2, 3].reduce(add, zero);
    for (const state of [merge(below, above), merge(above, below)]) {
      expect(result(state)).toMatchObject({ least: -50.25, median: -10.0625, greatest: 3.015625 });
    }
  });

  test('a rank is not lost to the rounding of 0.29 times 100', () => {
    const p29 = quantiles(same, { p29: 0.29 });
    const values = Array.from({ length: 101 }, (_, n) => n);
    // The bucket of 29 begins there and is 0.25 wide.
    expect(p29.result(values.reduce(p29.add, p29.zero))).toStrictEqual({ p29: 29.125 });
  });

  test('a smaller error takes narrower buckets', () => {
    const fine = quantiles(same, { median: 0.5 }, { relativeError: 0.0001 });
    expect(fine.result(fine.add(fine.zero, 1))).toStrictEqual({ median: 1 + 2 ** -14 });
    expect(fine.name).toBe('quantiles(0.0001;median=0.5)');
  });

  test('taking out the last of an octave leaves no trace', () => {
    const state = [5, 1e300].reduce(add, zero);
    expect(remove?.(state, 1e300)).toStrictEqual(add(zero, 5));
    expect(codec.encode(remove?.(add(zero, 5), 5) ?? zero)).toBe('[]');
    // Also where the one part puts in what the other takes out.
    expect(merge(add(zero, 5), remove?.(zero, 5) ?? zero)).toStrictEqual(zero);
  });

  test.each([Number.NaN, Number.NEGATIVE_INFINITY])('%d is refused', (value) => {
    expect(() => add(zero, value)).toThrow(RangeError);
  });

  test('wrong declarations are refused with all problems', () => {
    const messageOf = (work: () => unknown): string => {
      try {
        work();
      } catch (error) {
        if (isPipelineError(error, 'GRAPH_INVALID')) return error.message;
      }
      return '';
    };
    expect(messageOf(() => quantiles(same, { p95: 95 }, { relativeError: 0 }))).toBe(
      'quantiles.at.p95: found 95, expected a number from 0 to 1; write 0.95 for the 95th percentile; ' +
        'quantiles.relativeError: found 0, expected a number from 0.0001 to 0.25; write 0.01 for 1 %; each halving doubles the state',
    );
    expect(messageOf(() => quantiles(same, {}))).toContain('at least one quantile');
  });

  test('are within the relative error of the exact ones', () => {
    const positive = fc.double({ min: 1e-300, max: 1e300, noNaN: true });
    const few = fc.constantFrom(0.01, 1, 1.5, 100, 1e6);
    fc.assert(
      fc.property(fc.array(fc.oneof(positive, few), { minLength: 1, maxLength: 60 }), (values) => {
        const found = result(values.reduce(add, zero));
        for (const [name, q] of Object.entries(AT) as [keyof typeof AT, number][]) {
          const exact = exactQuantile(values, q);
          expect(Math.abs((found[name] ?? 0) - exact)).toBeLessThanOrEqual(0.01 * exact);
        }
      }),
    );
  });

  test('keep the laws of aggregates', () => {
    const values = fc.oneof(
      fc.constantFrom(0, -0, 1, -1, 1.001, 5e-324, Number.MAX_VALUE, -Number.MAX_VALUE),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.double({ min: 1, max: 4, noNaN: true }),
    );
    checkAggregateLaws(quantiles(same, AT), values);
  });
});
