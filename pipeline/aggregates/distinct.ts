/** How many different values. */
import type { Aggregate } from './aggregate.ts';
import { refuse, wholeNumber } from './declaration.ts';
import { emptyRegisters, estimate, markOf, mergeRegisters } from './hyperloglog.ts';
import { placeOf } from './sorted.ts';

/** The texts themselves in order of code units, or the registers of the sketch. */
type Seen = readonly string[] | Uint8Array;

export interface Distinct {
  readonly count: number;
  /** False: an estimate, standard error 1.04 / sqrt(2^precision). */
  readonly isExact: boolean;
}

export interface DistinctOptions {
  /** From so many different texts on they are estimated; default 1,000. */
  readonly exactBelow?: number;
  /** 2^precision bytes for the estimate, 4 to 16; default 12: standard error 1.6 %. */
  readonly precision?: number;
}

/**
 * The number of different texts `of(input)`: an exact set while there are less than `exactBelow`, then HyperLogLog with
 * a fixed hash. The state depends on the set of texts alone, not on their order or on how parts were merged. Cannot be
 * undone: how often a text came is not kept.
 */
export function distinct<In>(
  of: (input: In) => string,
  { exactBelow = 1_000, precision = 12 }: DistinctOptions = {},
): Aggregate<In, Seen, Distinct> {
  refuse([
    ...wholeNumber({
      path: 'distinct.exactBelow',
      value: exactBelow,
      min: 1,
      max: 100_000,
      hint: 'every text below it is kept in each state; 1000 is usual',
    }),
    ...wholeNumber({
      path: 'distinct.precision',
      value: precision,
      min: 4,
      max: 16,
      hint: 'each state takes 2^precision bytes; 12 gives 1.6 %',
    }),
  ]);

  const withText = (registers: Uint8Array, text: string): Uint8Array => {
    const { index, rank } = markOf(text, precision);
    if ((registers[index] ?? 0) >= rank) return registers;
    const next = registers.slice();
    next[index] = rank;
    return next;
  };
  const mark = (registers: Uint8Array, texts: readonly string[]): Uint8Array => {
    const next = registers.slice();
    for (const text of texts) {
      const { index, rank } = markOf(text, precision);
      next[index] = Math.max(next[index] ?? 0, rank);
    }
    return next;
  };
  const settle = (texts: readonly string[]): Seen =>
    texts.length < exactBelow ? texts : mark(emptyRegisters(precision), texts);

  return {
    name: `distinct(${exactBelow},${precision})`,
    zero: [],
    add: (state, input) => {
      const text = of(input);
      if (state instanceof Uint8Array) return withText(state, text);
      const place = placeOf(state, text);
      return state[place] === text ? state : settle(state.toSpliced(place, 0, text));
    },
    merge: (a, b) => {
      if (a instanceof Uint8Array) return b instanceof Uint8Array ? mergeRegisters(a, b) : mark(a, b);
      return b instanceof Uint8Array ? mark(b, a) : settle(union(a, b));
    },
    remove: null,
    result: (state) =>
      state instanceof Uint8Array
        ? { count: Math.max(exactBelow, Math.round(estimate(state, precision))), isExact: false }
        : { count: state.length, isExact: true },
    codec: {
      encode: (state) =>
        state instanceof Uint8Array ? Buffer.from(state).toString('base64') : JSON.stringify(state),
      // JSON begins with `[`, base64 never does.
      decode: (text) =>
        text.startsWith('[')
          ? (JSON.parse(text) as readonly string[])
          : Uint8Array.from(Buffer.from(text, 'base64')),
    },
  };
}

function union(a: readonly string[], b: readonly string[]): readonly string[] {
  const texts: string[] = [];
  let [i, j] = [0, 0];
  for (;;) {
    const [x, y] = [a[i], b[j]];
    if (x === undefined) return texts.concat(b.slice(j));
    if (y === undefined) return texts.concat(a.slice(i));
    texts.push(x <= y ? x : y);
    if (x <= y) i += 1;
    if (y <= x) j += 1;
  }
}
