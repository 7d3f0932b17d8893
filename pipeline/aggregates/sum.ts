/** Exact sum of whole numbers. */
import type { Aggregate } from './aggregate.ts';

/** The sum of `of(input)`, such as raw amounts of one token: exact at any size, can be undone; 0n for no inputs. */
export const sum = <In>(of: (input: In) => bigint): Aggregate<In, bigint, bigint> => ({
  name: 'sum',
  zero: 0n,
  add: (state, input) => state + of(input),
  merge: (a, b) => a + b,
  remove: (state, input) => state - of(input),
  result: (state) => state,
  codec: { encode: String, decode: BigInt },
});
