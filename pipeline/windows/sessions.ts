/** Sessions as a kind of store: the records of a key that follow each other closely, however long. */
import type { Aggregate } from '#pipeline/aggregates/aggregate.ts';
import type { StoreContext } from '#pipeline/processor.ts';
import { refuseProblems } from '#pipeline/state/durations.ts';
import type { Codec, StoreDeclaration } from '#pipeline/state/store.ts';
import { type CloseRule, closeProblem } from './closing.ts';
import { openSessionStore } from './session-store.ts';
import { lengthProblem } from './shapes.ts';
import type { WindowPhase } from './windows.ts';

export interface SessionChange<Out> {
  readonly key: string;
  /** Event times of the first and the last record, both inclusive. */
  readonly startMs: number;
  readonly endMs: number;
  /** Null: there is no session of these bounds any more. */
  readonly result: Out | null;
  /** Rises with each change of the session, also while its bounds change: 0, 1, 2, ... It may skip when sessions merge. */
  readonly revision: number;
  readonly phase: WindowPhase;
}

/** A record, or the retraction of one, whose session has closed. */
export interface LateSessionInput<In> {
  readonly key: string;
  readonly eventTimeMs: number;
  readonly input: In;
  readonly isRetraction: boolean;
}

export interface SessionOptions<In, State, Out> {
  /** Records at most this far apart are in one session: exactly `gapMs` joins, as in Kafka Streams. */
  readonly gapMs: number;
  readonly aggregate: Aggregate<In, State, Out>;
  /** A session closes at last record + gap + 1 ms + grace: until last record + gap another one may join it. */
  readonly graceMs: number;
  /**
   * `on-close`: each session once, when it closes, by (end, bytes of the key). `on-update`: at each change first every
   * session whose bounds no longer hold, with the result null, by start; then what there is now, by start; then nothing at
   * the close.
   */
  readonly emit: 'on-close' | 'on-update';
  readonly close: CloseRule;
  /** How long closed sessions can be corrected, by the time that closes them; needs `retracts`. Default 0: not at all. */
  readonly retentionMs?: number;
  /**
   * Records may be taken back. Default false. The inputs are then kept as text, because a session without one of them may
   * be shorter, or two: they are computed anew.
   */
  readonly retracts?: boolean;
  /** Needed with `retracts`. An input is known by its event time and its text: it should hold an id. */
  readonly inputCodec?: Codec<In>;
  readonly late?: (late: LateSessionInput<In>, context: StoreContext) => void;
  readonly changed: (session: SessionChange<Out>, context: StoreContext) => void;
}

/** What a processor's logic sees of its sessions. */
export interface SessionStore<In, Out> {
  /**
   * Joins the open sessions within the gap, or begins one. Late when it joins none and one of its own would be closed:
   * closed sessions are never joined.
   */
  add(key: string, eventTimeMs: number, input: In): void;
  /**
   * Takes back an input that `add` got with the same key and event time: what is left of its session is emitted as at any
   * change, in the phase `correction` when it had closed. Late when its session could no longer be corrected; else
   * dropped, and counted so, when there is no such record. Throws INVARIANT_BROKEN unless declared with `retracts`.
   */
  remove(key: string, eventTimeMs: number, input: In): void;
  /** The open session that holds this time, with its result. */
  get(
    key: string,
    timeMs: number,
  ): { readonly startMs: number; readonly endMs: number; readonly result: Out } | undefined;
}

/** A declaration without problems, its defaults filled in. */
export interface SessionSettings<In, State, Out> extends SessionOptions<In, State, Out> {
  readonly retentionMs: number;
  readonly retracts: boolean;
}

/**
 * Sessions of each key by event time.
 *
 *     sessions({ gapMs: 30 * MINUTE, graceMs: MINUTE, aggregate: count(), emit: 'on-close',
 *       close: { by: 'either', delayMs: MINUTE }, changed: ({ key, startMs, endMs, result }, context) => ... })
 *
 * Throws GRAPH_INVALID with everything that is wrong in the declaration.
 */
export function sessions<In, State, Out>(
  options: SessionOptions<In, State, Out>,
): StoreDeclaration<SessionStore<In, Out>> {
  const { gapMs, aggregate, graceMs, emit, close, retentionMs = 0, retracts = false } = options;
  refuseProblems([
    lengthProblem('sessions.gapMs', gapMs, 1, 'records at one time are no session'),
    lengthProblem('sessions.graceMs', graceMs, 0, 'give 0 when no record comes late'),
    closeProblem('sessions.close', close),
    lengthProblem('sessions.retentionMs', retentionMs, 0, 'give 0 when closed sessions are done with'),
    retentionMs > 0 && !retracts
      ? `sessions.retentionMs: found ${retentionMs}, expected 0 without retracts; nothing else looks at closed sessions`
      : null,
    retracts && options.inputCodec === undefined
      ? 'sessions.inputCodec: found none, expected a codec: sessions that take back keep their inputs; give jsonCodec() if they are JSON'
      : null,
  ]);
  const settings = { ...options, retentionMs, retracts };
  return {
    kind: 'sessions',
    settings: {
      gapMs,
      aggregate: aggregate.name,
      graceMs,
      emit,
      close: { ...close },
      retentionMs,
      retracts,
    },
    open: (access) => openSessionStore(settings, access),
  };
}
