/** What a window by count keeps of one key: where it stands, and its inputs in pieces of a ring. */
import type { Codec } from '#pipeline/state/store.ts';

export interface SlidingState<State> {
  /** Log time of the last record. */
  readonly writtenMs: number;
  /** Records so far; the next one goes to place `seen % count` of the ring. */
  readonly seen: number;
  /** Of all inputs in the window. */
  readonly state: State;
}

export interface Piece<In, State> {
  readonly inputs: readonly In[];
  /** Of these inputs; null where the aggregate can take inputs back, and needs no parts. */
  readonly state: { readonly of: State } | null;
}

export type StoredSliding<In, State> = SlidingState<State> | Piece<In, State>;

export function slidingCodec<In, State>(
  inputCodec: Codec<In>,
  stateCodec: Codec<State>,
): Codec<StoredSliding<In, State>> {
  return {
    encode: (stored) => {
      if (!('inputs' in stored)) {
        return `${stored.writtenMs},${stored.seen}:${stateCodec.encode(stored.state)}`;
      }
      const state = stored.state === null ? null : stateCodec.encode(stored.state.of);
      return JSON.stringify([state, ...stored.inputs.map((input) => inputCodec.encode(input))]);
    },
    decode: (text) => {
      if (text.startsWith('[')) {
        // What `encode` above wrote.
        const [state, ...inputs] = JSON.parse(text) as readonly [string | null, ...string[]];
        return {
          inputs: inputs.map((input) => inputCodec.decode(input)),
          state: state === null ? null : { of: stateCodec.decode(state) },
        };
      }
      const comma = text.indexOf(',');
      const colon = text.indexOf(':', comma);
      return {
        writtenMs: Number(text.slice(0, comma)),
        seen: Number(text.slice(comma + 1, colon)),
        state: stateCodec.decode(text.slice(colon + 1)),
      };
    },
  };
}
