/** How many inputs. */
import type { Aggregate } from './aggregate.ts';

/** The number of inputs; exact up to 2^53, can be undone. */
export const count = (): Aggregate<unknown, number, number> => ({
  name: 'count',
  zero: 0,
  add: (state) => state + 1,
  merge: (a, b) => a + b,
  remove: (state) => state - 1,
  result: (state) => state,
  codec: { encode: String, decode: Number },
});
