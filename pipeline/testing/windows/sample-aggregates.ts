/** Small aggregates for tests of windows. */
import type { Aggregate } from '#pipeline/aggregates/aggregate.ts';
import { jsonCodec } from '#pipeline/state/store.ts';

/** Sum of whole numbers; can be undone. */
export const total: Aggregate<number, number, number> = {
  name: 'total',
  zero: 0,
  add: (state, input) => state + input,
  merge: (a, b) => a + b,
  remove: (state, input) => state - input,
  result: (state) => state,
  codec: jsonCodec<number>(),
};

/** Greatest number; cannot be undone. */
export const greatest: Aggregate<number, number | null, number | null> = {
  name: 'greatest',
  zero: null,
  add: (state, input) => (state === null || input > state ? input : state),
  merge: (a, b) => (a === null ? b : b === null || a > b ? a : b),
  remove: null,
  result: (state) => state,
  codec: jsonCodec<number | null>(),
};

/** Which inputs there are, in order: `a+b`. Shows each one that is missing or counted twice. */
export const names = (options: {
  readonly canRemove: boolean;
}): Aggregate<string, readonly string[], string> => ({
  name: 'names',
  zero: [],
  add: (state, input) => [...state, input].sort(),
  merge: (a, b) => [...a, ...b].sort(),
  remove: options.canRemove ? (state, input) => state.toSpliced(state.indexOf(input), 1) : null,
  result: (state) => state.join('+'),
  codec: jsonCodec<readonly string[]>(),
});
