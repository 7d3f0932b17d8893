/** Least and greatest. What they forget cannot be undone. */
import type { Codec } from '#pipeline/state/store.ts';
import type { Aggregate } from './aggregate.ts';

type Plain = bigint | number;
type Value = Plain | string;
type CompareText = (a: string, b: string) => number;
/** Null: no inputs. */
type Extreme<In, V> = Aggregate<In, V | null, V | null>;

/**
 * The greatest `of(input)`, null for no inputs: of bigints, of finite numbers (another is a RangeError), or of texts by a
 * comparator such as `compareDecimals`. Of different texts that compare as equal the first by code units stays, whatever
 * came first.
 */
export function max<In, V extends Plain>(of: (input: In) => V): Extreme<In, V>;
export function max<In>(of: (input: In) => string, compare: CompareText): Extreme<In, string>;
// `unknown`: no one type is that of both.
export function max<In>(of: (input: In) => Value, compare?: CompareText): unknown {
  return extreme('max', of, compare === undefined ? isGreater : (a, b) => wins(compare, a, b));
}

/** The least `of(input)`; otherwise as `max`. */
export function min<In, V extends Plain>(of: (input: In) => V): Extreme<In, V>;
export function min<In>(of: (input: In) => string, compare: CompareText): Extreme<In, string>;
export function min<In>(of: (input: In) => Value, compare?: CompareText): unknown {
  return extreme('min', of, compare === undefined ? isLess : (a, b) => wins((x, y) => compare(y, x), a, b));
}

const isGreater = (a: Value, b: Value): boolean => a > b;
const isLess = (a: Value, b: Value): boolean => a < b;

/** The overloads allow a comparator for texts only. */
function wins(compare: CompareText, a: Value, b: Value): boolean {
  if (a === b || typeof a !== 'string' || typeof b !== 'string') return false;
  const order = compare(a, b);
  return order === 0 ? a < b : order > 0;
}

function extreme<In>(
  name: string,
  of: (input: In) => Value,
  replaces: (candidate: Value, present: Value) => boolean,
): Extreme<In, Value> {
  return {
    name,
    zero: null,
    add: (state, input) => {
      let value = of(input);
      if (typeof value === 'number') value = finite(value);
      return state === null || replaces(value, state) ? value : state;
    },
    merge: (a, b) => {
      if (a === null || b === null) return a ?? b;
      return replaces(b, a) ? b : a;
    },
    remove: null,
    result: (state) => state,
    codec,
  };
}

function finite(value: number): number {
  if (!Number.isFinite(value)) throw new RangeError(`expected a finite number, found ${value}`);
  // -0 and 0 are equal, but not as text.
  return value === 0 ? 0 : value;
}

/** The first character says which kind: `n` bigint, `d` double, `s` text, `-` none. JSON keeps any text whole. */
const codec: Codec<Value | null> = {
  encode: (state) => {
    if (state === null) return '-';
    if (typeof state === 'bigint') return `n${state}`;
    return typeof state === 'number' ? `d${state}` : `s${JSON.stringify(state)}`;
  },
  decode: (text) => {
    if (text === '-') return null;
    const rest = text.slice(1);
    if (text.startsWith('n')) return BigInt(rest);
    // Written by `encode` from a string.
    return text.startsWith('d') ? Number(rest) : (JSON.parse(rest) as string);
  },
};
