/** What one slice of time holds of one key, and how it is stored. Values are never changed in place. */
import type { Aggregate } from '#pipeline/aggregates/aggregate.ts';
import type { Codec } from '#pipeline/state/store.ts';

export interface Part<State> {
  /** Inputs in it now. */
  readonly records: number;
  /** Inputs ever put in or taken back: the revisions of a window that emits each update follow from it. */
  readonly updates: number;
  readonly state: State;
}

/** Inputs that came when some windows of the slice were closed: they count only in those that end at `fromEndMs` or later. */
export interface LatePart<State> extends Part<State> {
  readonly fromEndMs: number;
}

/** Inputs that came in time for every window, and apart from them those that did not. */
export interface SliceValue<State> extends Part<State> {
  /** By `fromEndMs`. */
  readonly late: readonly LatePart<State>[];
}

/** `fromEndMs` of what counts in every window, and of what counts in none. */
export const ON_TIME = Number.NEGATIVE_INFINITY;
export const TOO_LATE = Number.POSITIVE_INFINITY;

const NONE: readonly never[] = [];

/** The value with one more input that is in time. */
export const withInput = <In, State>(
  aggregate: Aggregate<In, State, unknown>,
  before: SliceValue<State> | undefined,
  input: In,
): SliceValue<State> =>
  before === undefined
    ? { records: 1, updates: 1, state: aggregate.add(aggregate.zero, input), late: NONE }
    : {
        records: before.records + 1,
        updates: before.updates + 1,
        state: aggregate.add(before.state, input),
        late: before.late,
      };

/** The value with one more input that is late for the windows that end before `fromEndMs`. */
export function withLateInput<In, State>(
  aggregate: Aggregate<In, State, unknown>,
  before: SliceValue<State> | undefined,
  fromEndMs: number,
  input: In,
): SliceValue<State> {
  const value = before ?? { records: 0, updates: 0, state: aggregate.zero, late: NONE };
  const part = value.late.find((late) => late.fromEndMs === fromEndMs);
  const grown: LatePart<State> = {
    fromEndMs,
    records: (part?.records ?? 0) + 1,
    updates: (part?.updates ?? 0) + 1,
    state: aggregate.add(part?.state ?? aggregate.zero, input),
  };
  return withPart(value, grown);
}

/** The value with this late part instead of the one of its time. */
export const withPart = <State>(value: SliceValue<State>, part: LatePart<State>): SliceValue<State> => ({
  ...value,
  late: [...value.late.filter(({ fromEndMs }) => fromEndMs !== part.fromEndMs), part].sort((a, b) =>
    // Not by subtraction: Infinity - Infinity.
    a.fromEndMs < b.fromEndMs ? -1 : 1,
  ),
});

/** What of the slice counts in a window that ends at `endMs`. */
export function partAt<State>(
  aggregate: Aggregate<never, State, unknown>,
  value: SliceValue<State>,
  endMs: number,
): Part<State> {
  let part: Part<State> = value;
  for (const late of value.late) if (late.fromEndMs <= endMs) part = joined(aggregate, part, late);
  return part;
}

/** Both together. */
export function joined<State>(
  aggregate: Aggregate<never, State, unknown>,
  a: Part<State>,
  b: Part<State>,
): Part<State> {
  const state = a.records === 0 ? b.state : b.records === 0 ? a.state : aggregate.merge(a.state, b.state);
  return { records: a.records + b.records, updates: a.updates + b.updates, state };
}

/** Entries of a window store: the value of a slice, a piece of kept inputs, or the revision of a corrected window. */
export type Stored<State> = SliceValue<State> | readonly string[] | number;

/** `records,updates:state`, `+json` when parts are late, `[json` for inputs, `#number` for a revision. */
export function storedCodec<State>(codec: Codec<State>): Codec<Stored<State>> {
  return {
    encode: (stored) => {
      if (typeof stored === 'number') return `#${stored}`;
      if (!('state' in stored)) return JSON.stringify(stored);
      const { records, updates, state, late } = stored;
      if (late.length === 0) return `${records},${updates}:${codec.encode(state)}`;
      const parts = late.map((part) => [
        part.fromEndMs === TOO_LATE ? null : part.fromEndMs,
        part.records,
        part.updates,
        codec.encode(part.state),
      ]);
      return `+${JSON.stringify([records, updates, codec.encode(state), parts])}`;
    },
    decode: (text) => {
      if (text.startsWith('#')) return Number(text.slice(1));
      // Both are what `encode` above wrote.
      if (text.startsWith('[')) return JSON.parse(text) as readonly string[];
      if (text.startsWith('+')) {
        const [records, updates, state, parts] = JSON.parse(text.slice(1)) as WithLate;
        const late = parts.map(([fromEndMs, lateRecords, lateUpdates, lateState]) => ({
          fromEndMs: fromEndMs ?? TOO_LATE,
          records: lateRecords,
          updates: lateUpdates,
          state: codec.decode(lateState),
        }));
        return { records, updates, state: codec.decode(state), late };
      }
      const comma = text.indexOf(',');
      const colon = text.indexOf(':', comma);
      return {
        records: Number(text.slice(0, comma)),
        updates: Number(text.slice(comma + 1, colon)),
        state: codec.decode(text.slice(colon + 1)),
        late: NONE,
      };
    },
  };
}

type WithLate = readonly [
  records: number,
  updates: number,
  state: string,
  parts: readonly (readonly [fromEndMs: number | null, records: number, updates: number, state: string])[],
];
