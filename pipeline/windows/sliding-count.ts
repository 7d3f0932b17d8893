/** The last records of a key as a kind of store: a window by count, in merge order. */
import type { Aggregate } from '#pipeline/aggregates/aggregate.ts';
import type { StoreContext } from '#pipeline/processor.ts';
import { wellFormed } from '#pipeline/state/byte-order.ts';
import { refuseProblems } from '#pipeline/state/durations.ts';
import type { Codec, Json, StoreAccess, StoreDeclaration } from '#pipeline/state/store.ts';
import { lengthProblem } from './shapes.ts';
import { type Piece, type SlidingState, slidingCodec } from './sliding-value.ts';

export interface SlidingChange<Out> {
  readonly key: string;
  readonly result: Out;
  /** Inputs in it: `count` once it is full. */
  readonly records: number;
  /** 0 for the first record of the key, then 1, 2, ...; from 0 again after `retentionMs` without one. */
  readonly revision: number;
}

export interface SlidingCountOptions<In, State, Out> {
  /** How many of the last records, 1 to 100,000. */
  readonly count: number;
  /** The order of the inputs may not matter to it. Cheapest with `remove`; else a piece of about √count is computed anew. */
  readonly aggregate: Aggregate<In, State, Out>;
  /** `always`: at each record, over as many as there are. `when-full`: at each record from number `count` on. */
  readonly emit: 'always' | 'when-full';
  readonly inputCodec: Codec<In>;
  /** A key without a record for longer, in log time, is forgotten. Default: kept for ever. */
  readonly retentionMs?: number;
  readonly changed: (window: SlidingChange<Out>, context: StoreContext) => void;
}

/**
 * Records cannot be taken back: the one that would move in again is gone. Window by event time where records are
 * retracted.
 */
export interface SlidingCountStore<In, Out> {
  add(key: string, input: In): void;
  /** Undefined without a record within the retention. */
  get(key: string): { readonly result: Out; readonly records: number } | undefined;
}

const MAX_COUNT = 100_000;
const SEGMENT_DIGITS = 12;

/**
 * The aggregate of the last `count` records of each key, in the order of processing: late is no question here.
 *
 *     slidingCount({ count: 50, aggregate: moments(...), emit: 'when-full', inputCodec: jsonCodec<number>(),
 *       retentionMs: DAY, changed: ({ key, result }, context) => ... })
 *
 * Throws GRAPH_INVALID with everything that is wrong in the declaration.
 */
export function slidingCount<In, State, Out>(
  options: SlidingCountOptions<In, State, Out>,
): StoreDeclaration<SlidingCountStore<In, Out>> {
  const { count, aggregate, emit, retentionMs } = options;
  refuseProblems([
    Number.isInteger(count) && count >= 1 && count <= MAX_COUNT
      ? null
      : `slidingCount.count: found ${count}, expected a whole number from 1 to ${MAX_COUNT}; for more, window by time`,
    retentionMs === undefined
      ? null
      : lengthProblem('slidingCount.retentionMs', retentionMs, 1, 'leave it out to keep every key for ever'),
  ]);
  const settings: Json = { count, aggregate: aggregate.name, emit, retentionMs: retentionMs ?? null };
  return { kind: 'sliding-count', settings, open: (access) => ({ handle: openSliding(options, access) }) };
}

function openSliding<In, State, Out>(
  options: SlidingCountOptions<In, State, Out>,
  access: StoreAccess,
): SlidingCountStore<In, Out> {
  const { count, aggregate, emit, inputCodec, retentionMs = null, changed } = options;
  const { context } = access;
  const entries = access.entries(slidingCodec(inputCodec, aggregate.codec));
  // A record rewrites one piece, and reads one or all of them: both cost the square root.
  const pieceLength = Math.ceil(Math.sqrt(count));
  const pieceCount = Math.ceil(count / pieceLength);

  /** Entries live in segments of log time, one retention long; what is valid is in the present one or the one before. */
  let presentSegment = Number.NEGATIVE_INFINITY;
  let [present, previous] = [segmentPrefix(0), ''];
  const turn = (): void => {
    if (retentionMs === null) return;
    const segment = Math.floor(context.logTimeMs / retentionMs);
    if (segment === presentSegment) return;
    presentSegment = segment;
    present = segmentPrefix(segment);
    previous = segmentPrefix(Math.max(0, segment - 1));
    entries.dropBelow(previous);
  };
  const readState = (path: string): SlidingState<State> | undefined => {
    const state = entries.get(path);
    return state === undefined || 'inputs' in state ? undefined : state;
  };
  const piecePath = (prefix: string, piece: number, key: string): string => `${prefix}#${piece}#${key}`;
  const readPiece = (path: string): Piece<In, State> | undefined => {
    const value = entries.get(path);
    return value === undefined || !('inputs' in value) ? undefined : value;
  };

  /** Where a key stands that was last written in the segment before. */
  const readPrevious = (key: string): SlidingState<State> | undefined => {
    if (retentionMs === null || previous === present) return undefined;
    const state = readState(`${previous}:${key}`);
    return state === undefined || state.writtenMs + retentionMs < context.logTimeMs ? undefined : state;
  };
  /** Brings its pieces along. */
  const carry = (key: string): void => {
    for (let piece = 0; piece < pieceCount; piece++) {
      const value = entries.get(piecePath(previous, piece, key));
      if (value === undefined) return;
      entries.put(piecePath(present, piece, key), value);
    }
  };

  const add = (givenKey: string, input: In): void => {
    const key = wellFormed(givenKey);
    turn();
    const path = `${present}:${key}`;
    let before = readState(path);
    if (before === undefined) {
      before = readPrevious(key);
      if (before !== undefined) carry(key);
    }
    const seen = before?.seen ?? 0;
    const at = seen % count;
    const piece = Math.floor(at / pieceLength);
    const ownPath = piecePath(present, piece, key);
    const inputs = [...(readPiece(ownPath)?.inputs ?? [])];
    // Undefined until the ring is full: the place is new then.
    const oldest = inputs[at % pieceLength];
    inputs[at % pieceLength] = input;

    let state: State;
    if (aggregate.remove !== null) {
      state = aggregate.add(before?.state ?? aggregate.zero, input);
      if (oldest !== undefined) state = aggregate.remove(state, oldest);
      entries.put(ownPath, { inputs, state: null });
    } else {
      state = aggregate.zero;
      for (const one of inputs) state = aggregate.add(state, one);
      entries.put(ownPath, { inputs, state: { of: state } });
      const used = seen < count ? piece + 1 : pieceCount;
      for (let other = 0; other < used; other++) {
        const part = other === piece ? undefined : readPiece(piecePath(present, other, key))?.state;
        if (part != null) state = aggregate.merge(state, part.of);
      }
    }
    entries.put(path, { writtenMs: context.logTimeMs, seen: seen + 1, state });
    const records = Math.min(seen + 1, count);
    if (emit === 'when-full' && records < count) return;
    changed({ key, result: aggregate.result(state), records, revision: seen }, context);
  };

  return {
    add,
    get: (givenKey) => {
      turn();
      const key = wellFormed(givenKey);
      const found = readState(`${present}:${key}`) ?? readPrevious(key);
      if (found === undefined) return undefined;
      return { result: aggregate.result(found.state), records: Math.min(found.seen, count) };
    },
  };
}

const segmentPrefix = (segment: number): string => String(segment).padStart(SEGMENT_DIGITS, '0');
