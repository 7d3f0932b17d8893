/** Count, mean and variance that can be undone. */
import type { Aggregate } from './aggregate.ts';
import { refuse, wholeNumber } from './declaration.ts';
import { quantiser, ratioToNumber } from './ratio.ts';

/** Exact sums; values in units of 10^-scale. */
interface Sums {
  readonly count: number;
  readonly sum: bigint;
  readonly squares: bigint;
}

export interface Moments {
  readonly count: number;
  /** Null for no inputs, or beyond the range of doubles. */
  readonly mean: number | null;
  /** Of the sample (divided by count - 1). Null below two inputs, or beyond the range of doubles. */
  readonly variance: number | null;
}

export interface MomentsOptions {
  /** Decimal places that count, 0 to 64. */
  readonly scale: number;
}

/**
 * Count, mean and sample variance of `of(input)`: a double, a whole number, or decimal text. Can be undone.
 *
 * Rounded: each value once, half to even, to `scale` decimal places of its decimal text (of a double the shortest); and
 * mean and variance at the end, each to the nearest double. Exact: everything between, so nothing drifts. A value that is
 * no number is a RangeError.
 */
export function moments<In>(
  of: (input: In) => number | bigint | string,
  { scale }: MomentsOptions,
): Aggregate<In, Sums, Moments> {
  const hint = 'give the decimal places of the values, such as 8';
  refuse(wholeNumber({ path: 'moments.scale', value: scale, min: 0, max: 64, hint }));
  const quantise = quantiser(scale);
  const units = 10n ** BigInt(scale);
  return {
    name: `moments(${scale})`,
    zero: { count: 0, sum: 0n, squares: 0n },
    add: (state, input) => {
      const x = quantise(of(input));
      return { count: state.count + 1, sum: state.sum + x, squares: state.squares + x * x };
    },
    merge: (a, b) => ({ count: a.count + b.count, sum: a.sum + b.sum, squares: a.squares + b.squares }),
    remove: (state, input) => {
      const x = quantise(of(input));
      return { count: state.count - 1, sum: state.sum - x, squares: state.squares - x * x };
    },
    result: ({ count, sum, squares }) => {
      if (count < 1) return { count, mean: null, variance: null };
      const n = BigInt(count);
      const mean = ratioToNumber(sum, n * units);
      if (count < 2) return { count, mean, variance: null };
      return { count, mean, variance: ratioToNumber(n * squares - sum * sum, n * (n - 1n) * units * units) };
    },
    codec: {
      encode: ({ count, sum, squares }) => `${count}/${sum}/${squares}`,
      decode: (text) => {
        const [count = '', sum = '', squares = ''] = text.split('/');
        return { count: Number(count), sum: BigInt(sum), squares: BigInt(squares) };
      },
    },
  };
}
