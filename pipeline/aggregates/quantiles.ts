/** Quantiles with a bounded relative error. */
import type { Aggregate } from './aggregate.ts';
import { type Problem, refuse } from './declaration.ts';
import { bucketing } from './float-buckets.ts';

/** Counts of one octave of buckets: bucket number = octave * 2^bits + place in `counts`. */
interface Octave {
  readonly octave: number;
  readonly counts: readonly number[];
}

/** Buckets that are not 0, by octave. Most inputs change one octave: the others are shared with the state before. */
interface Sketch {
  readonly count: number;
  readonly octaves: readonly Octave[];
}

export interface QuantilesOptions {
  /** Greatest distance of a result from the true value, as a share of it; 0.0001 to 0.25, default 0.01. */
  readonly relativeError?: number;
}

/**
 * Quantiles of the finite numbers `of(input)` (another is a RangeError), named by `at`:
 * `quantiles((t: Trade) => t.price, { median: 0.5, p95: 0.95 })` gives `{ median, p95 }`, each null for no inputs.
 *
 * The quantile q lies at rank q (n - 1), counted from 0, between two ranks in proportion. Each of the two values is taken
 * as the middle of its bucket, so the result is at most `relativeError` off; where the two differ in sign, off by that
 * share of the greater magnitude.
 *
 * This is DDSketch (Masson, Rim, Lee, VLDB 2019) with its linearly interpolated mapping: the buckets are cut from the bits
 * of the double, without a logarithm, so they are the same on every machine. They are never collapsed, as the format of
 * doubles bounds their number: so the state depends on the values alone, merging is exact, and so is taking back.
 */
export function quantiles<In, const At extends Readonly<Record<string, number>>>(
  of: (input: In) => number,
  at: At,
  { relativeError = 0.01 }: QuantilesOptions = {},
): Aggregate<In, Sketch, { readonly [N in keyof At]: number | null }> {
  refuse(problemsOf(at, relativeError));
  const { bits, bucketOf, middleOf } = bucketing(relativeError);
  const [size, mask] = [1 << bits, (1 << bits) - 1];
  const names = Object.keys(at) as (keyof At & string)[];

  const change = (state: Sketch, bucket: number, by: number): Sketch => {
    const octave = bucket >> bits;
    const { octaves } = state;
    let place = 0;
    while (place < octaves.length && (octaves[place]?.octave ?? 0) < octave) place += 1;
    const present = octaves[place];
    const isNew = present === undefined || present.octave !== octave;
    const counts = isNew ? new Array<number>(size).fill(0) : present.counts.slice();
    counts[bucket & mask] = (counts[bucket & mask] ?? 0) + by;
    const count = state.count + by;
    if (isNew) return { count, octaves: octaves.toSpliced(place, 0, { octave, counts }) };
    if (counts[bucket & mask] === 0 && counts.every(isZero)) {
      return { count, octaves: octaves.toSpliced(place, 1) };
    }
    const next = octaves.slice();
    next[place] = { octave, counts };
    return { count, octaves: next };
  };

  const bucketAt = (octaves: readonly Octave[], rank: number): number => {
    let below = 0;
    for (const { octave, counts } of octaves) {
      for (let place = 0; place < size; place++) {
        below += counts[place] ?? 0;
        if (below > rank) return octave * size + place;
      }
    }
    return 0;
  };

  const valueAt = ({ count, octaves }: Sketch, billionths: bigint): number | null => {
    if (count < 1) return null;
    const rank = billionths * BigInt(count - 1);
    const lower = bucketAt(octaves, Number(rank / BILLION));
    const above = Number(rank % BILLION) / 1e9;
    const upper = above === 0 ? lower : bucketAt(octaves, Number(rank / BILLION) + 1);
    if (upper === lower) return middleOf(lower);
    return middleOf(lower) * (1 - above) + middleOf(upper) * above;
  };

  const asBillionths = names.map((name) => BigInt(Math.round((at[name] ?? 0) * 1e9)));
  return {
    name: `quantiles(${relativeError};${names.map((name) => `${name}=${at[name]}`).join()})`,
    zero: { count: 0, octaves: [] },
    add: (state, input) => change(state, bucketOf(of(input)), 1),
    merge,
    remove: (state, input) => change(state, bucketOf(of(input)), -1),
    result: (state) => {
      const values: Partial<Record<keyof At, number | null>> = {};
      names.forEach((name, i) => {
        values[name] = valueAt(state, asBillionths[i] ?? 0n);
      });
      // Every name of `at` is set above.
      return values as { readonly [N in keyof At]: number | null };
    },
    codec: {
      encode: ({ octaves }) => {
        const pairs: number[] = [];
        for (const { octave, counts } of octaves) {
          counts.forEach((count, place) => {
            if (count !== 0) pairs.push(octave * size + place, count);
          });
        }
        return JSON.stringify(pairs);
      },
      decode: (text) => {
        // Bucket, count, bucket, count, as written by `encode`.
        const pairs = JSON.parse(text) as readonly number[];
        let state: Sketch = { count: 0, octaves: [] };
        for (let i = 0; i < pairs.length; i += 2) state = change(state, pairs[i] ?? 0, pairs[i + 1] ?? 0);
        return state;
      },
    },
  };
}

/** Quantiles are taken to nine places, and ranks computed without rounding. */
const BILLION = 1_000_000_000n;
const isZero = (count: number): boolean => count === 0;

function merge(a: Sketch, b: Sketch): Sketch {
  const octaves: Octave[] = [];
  let [i, j] = [0, 0];
  for (;;) {
    const [x, y] = [a.octaves[i], b.octaves[j]];
    if (x === undefined || y === undefined) {
      return { count: a.count + b.count, octaves: octaves.concat(a.octaves.slice(i), b.octaves.slice(j)) };
    }
    if (x.octave === y.octave) {
      const counts = x.counts.map((count, place) => count + (y.counts[place] ?? 0));
      if (!counts.every(isZero)) octaves.push({ octave: x.octave, counts });
    } else {
      octaves.push(x.octave < y.octave ? x : y);
    }
    if (x.octave <= y.octave) i += 1;
    if (y.octave <= x.octave) j += 1;
  }
}

function problemsOf(at: Readonly<Record<string, number>>, relativeError: number): readonly Problem[] {
  const problems: Problem[] = [];
  const names = Object.keys(at);
  if (names.length === 0) {
    const hint = 'name one, such as { median: 0.5 }';
    problems.push({ path: 'quantiles.at', found: 'nothing', expected: 'at least one quantile', hint });
  }
  for (const name of names) {
    const q = at[name] ?? Number.NaN;
    if (q >= 0 && q <= 1) continue;
    const hint = 'write 0.95 for the 95th percentile';
    problems.push({ path: `quantiles.at.${name}`, found: String(q), expected: 'a number from 0 to 1', hint });
  }
  if (!(relativeError >= 0.0001 && relativeError <= 0.25)) {
    problems.push({
      path: 'quantiles.relativeError',
      found: String(relativeError),
      expected: 'a number from 0.0001 to 0.25',
      hint: 'write 0.01 for 1 %; each halving doubles the state',
    });
  }
  return problems;
}
