/** First and last in event time. What they forget cannot be undone. */
import { type Json, jsonCodec } from '#pipeline/state/store.ts';
import type { Aggregate } from './aggregate.ts';

type End<V> = { readonly atMs: number; readonly tie: string | number; readonly value: V } | null;

export interface EndsOptions<In> {
  readonly eventTimeMs: (input: In) => number;
  /** Orders inputs of one time, such as an id (by code units) or a trade number: all text or all numbers. */
  readonly tie: (input: In) => string | number;
}

/**
 * `of(input)` of the earliest input by (event time, tie), null for no inputs; the order of arrival does not matter.
 * Inputs equal in both should be equal; if not, the one whose JSON is less by code units counts as the earlier.
 */
export const first = <In, V extends Json>(of: (input: In) => V, options: EndsOptions<In>) =>
  end('first', -1, of, options);

/** `of(input)` of the latest input; otherwise as `first`. */
export const last = <In, V extends Json>(of: (input: In) => V, options: EndsOptions<In>) =>
  end('last', 1, of, options);

function end<In, V extends Json>(
  name: string,
  direction: -1 | 1,
  of: (input: In) => V,
  { eventTimeMs, tie }: EndsOptions<In>,
): Aggregate<In, End<V>, V | null> {
  const further = (a: NonNullable<End<V>>, b: NonNullable<End<V>>): NonNullable<End<V>> =>
    compare(b, a) * direction > 0 ? b : a;
  return {
    name,
    zero: null,
    add: (state, input) => {
      const atMs = eventTimeMs(input);
      if (!Number.isFinite(atMs)) throw new RangeError(`expected an event time in ms, found ${atMs}`);
      // Most inputs are decided by the time alone, and then nothing is made of them.
      if (state !== null && (atMs - state.atMs) * direction < 0) return state;
      const candidate = { atMs, tie: tie(input), value: of(input) };
      return state === null ? candidate : further(state, candidate);
    },
    merge: (a, b) => (a === null || b === null ? (a ?? b) : further(a, b)),
    remove: null,
    result: (state) => (state === null ? null : state.value),
    codec: jsonCodec<End<V>>(),
  };
}

function compare(a: NonNullable<End<Json>>, b: NonNullable<End<Json>>): number {
  if (a.atMs !== b.atMs) return a.atMs - b.atMs;
  if (a.tie !== b.tie) return a.tie < b.tie ? -1 : 1;
  const [x, y] = [JSON.stringify(a.value), JSON.stringify(b.value)];
  return x < y ? -1 : x > y ? 1 : 0;
}
