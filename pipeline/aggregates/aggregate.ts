/** What a window, a session or a table keeps of its records. */
import type { Codec } from '#pipeline/state/store.ts';

/**
 * A fold over inputs whose parts can be joined: `merge(a, b)` is the state of the inputs of both. Pure; states are never
 * changed in place. The order of inputs may not matter for what `result` gives, unless the aggregate says so.
 */
export interface Aggregate<In, State, Out> {
  /** For people and for the version's fingerprint, with its parameters, such as `sum(18)`. */
  readonly name: string;
  readonly zero: State;
  add(state: State, input: In): State;
  merge(a: State, b: State): State;
  /**
   * Takes an input out again, exactly; null where that cannot be done from the state (extremes, sketches): then a window
   * that must take back keeps its inputs and computes anew.
   */
  readonly remove: ((state: State, input: In) => State) | null;
  result(state: State): Out;
  readonly codec: Codec<State>;
}
