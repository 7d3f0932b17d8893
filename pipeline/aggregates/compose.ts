/** Aggregates made of aggregates. */
import type { Codec } from '#pipeline/state/store.ts';
import type { Aggregate } from './aggregate.ts';
import { refuse } from './declaration.ts';

/** Any aggregate, whatever its types. */
interface Part {
  readonly name: string;
  readonly zero: unknown;
  add(state: never, input: never): unknown;
  merge(a: never, b: never): unknown;
  readonly remove: ((state: never, input: never) => unknown) | null;
  result(state: never): unknown;
  readonly codec: { encode(value: never): string; decode(text: string): unknown };
}

type Parts = Readonly<Record<string, Part>>;

/** What all parts can take: the intersection of their inputs. */
type InputOf<P extends Parts> = {
  [N in keyof P]: P[N] extends { add(state: never, input: infer In): unknown } ? (input: In) => void : never;
}[keyof P] extends (input: infer In) => void
  ? In
  : never;

type ResultOf<P extends Parts> = { readonly [N in keyof P]: ReturnType<P[N]['result']> };

/**
 * Several aggregates over the same inputs: `compose({ trades: count(), volume: sum((t: Trade) => t.amountRaw) })` gives
 * `{ trades, volume }`. Can be undone if all parts can. The state is a list in the order of the declaration.
 */
export function compose<const P extends Parts>(
  parts: P,
): Aggregate<InputOf<P>, readonly unknown[], ResultOf<P>> {
  const names = Object.keys(parts) as (keyof P & string)[];
  if (names.length === 0) {
    const hint = 'give each part a name, such as { trades: count() }';
    refuse([{ path: 'compose', found: 'no parts', expected: 'at least one aggregate', hint }]);
  }
  // The states are given back to none but the part that made them, and `InputOf` is an input of every part.
  const list = Object.values(parts) as unknown as readonly Aggregate<InputOf<P>, unknown, unknown>[];
  const size = list.length;
  const remove = (state: readonly unknown[], input: InputOf<P>): readonly unknown[] =>
    list.map((part, i) => part.remove?.(state[i], input));
  return {
    name: `compose(${names.map((name, i) => `${name}=${list[i]?.name}`).join()})`,
    zero: list.map(({ zero }) => zero),
    add: (state, input) => {
      const next = new Array<unknown>(size);
      let i = 0;
      for (const part of list) {
        next[i] = part.add(state[i], input);
        i += 1;
      }
      return next;
    },
    merge: (a, b) => {
      const both = new Array<unknown>(size);
      let i = 0;
      for (const part of list) {
        both[i] = part.merge(a[i], b[i]);
        i += 1;
      }
      return both;
    },
    remove: list.every((part) => part.remove !== null) ? remove : null,
    result: (state) => {
      const result: Partial<Record<keyof P, unknown>> = {};
      let i = 0;
      for (const name of names) {
        result[name] = list[i]?.result(state[i]);
        i += 1;
      }
      // Every name is set above, by the part of that name.
      return result as ResultOf<P>;
    },
    codec: listCodec(list.map(({ codec }) => codec)),
  };
}

/** Each text with its length before it, `3:abc`: nothing needs escaping, however deep the nesting. */
function listCodec(codecs: readonly Codec<unknown>[]): Codec<readonly unknown[]> {
  return {
    encode: (state) => {
      let all = '';
      codecs.forEach((codec, i) => {
        const text = codec.encode(state[i]);
        all += `${text.length}:${text}`;
      });
      return all;
    },
    decode: (text) => {
      let at = 0;
      return codecs.map((codec) => {
        const start = text.indexOf(':', at) + 1;
        at = start + Number(text.slice(at, start - 1));
        return codec.decode(text.slice(start, at));
      });
    },
  };
}

/** The same aggregate with `f` over its result; `f` is pure. */
export const map = <In, State, Out, To>(
  aggregate: Aggregate<In, State, Out>,
  f: (result: Out) => To,
): Aggregate<In, State, To> => ({
  name: `map(${aggregate.name})`,
  zero: aggregate.zero,
  add: (state, input) => aggregate.add(state, input),
  merge: (a, b) => aggregate.merge(a, b),
  remove: aggregate.remove,
  result: (state) => f(aggregate.result(state)),
  codec: aggregate.codec,
});
