/**
 * Joins two streams by key within a window of event time (Kafka Streams: KStream-KStream join).
 *
 *     stores: {
 *       matches: joinWindow<Transfer, Trade>({
 *         kind: 'left', beforeMs: 0, afterMs: 60_000, graceMs: 5_000, close: { by: 'either', delayMs: 2_000 },
 *         joined: ({ key, left, right }, context) => context.emit(matched, key, { ...left.value, trade: right?.value ?? null }),
 *       }),
 *     },
 *     inputs: [
 *       keyed(transfers, ({ key, eventTimeMs, value }, { stores }) => stores.matches.left(key, eventTimeMs, value)),
 *       keyed(trades, ({ key, eventTimeMs, value }, { stores }) => stores.matches.right(key, eventTimeMs, value)),
 *     ],
 *
 * **Pairs.** A right record belongs to a left one of its key when left - `beforeMs` <= right <= left + `afterMs`. The pair
 * is passed to `joined` once, at once, when its second record comes while the windows of both are open. Several pairs
 * of one record come in the order (time, arrival) of the other side.
 *
 * **Closing.** The last millisecond of the window of a left record is left + `afterMs`, of a right one right + `beforeMs`
 * (its own time, when that is negative). The window closes when time, as `close` says, has come more than `graceMs` past
 * that. A record whose window is closed when it comes is late: counted, and nothing else.
 *
 * **Unmatched.** A record of a side that is kept (`left`: the left one, `outer`: both) is passed on with null for the
 * other when its window closes without a pair; in the order (close time, left before right, key bytes, arrival).
 *
 * **Taking back.** With `retentionMs`, a record can be removed until so long after its window has closed. Each of its pairs
 * is passed on again as a retraction, in the order above; a record that it leaves without any pair is unmatched again:
 * passed on with null right after that retraction when its window is closed, else when it closes. A record that had been
 * passed on as unmatched is retracted so. Pairs that are no more are never made again.
 */
import type { StoreContext } from '#pipeline/processor.ts';
import { durationProblem, refuseProblems } from '#pipeline/state/durations.ts';
import { type Codec, type Json, jsonCodec, type StoreDeclaration } from '#pipeline/state/store.ts';
import { type CloseRule, closeProblem } from '#pipeline/windows/closing.ts';
import { openJoin } from './join-store.ts';
import type { JoinedOf, JoinStore } from './joined.ts';

interface CommonOptions<L, R> {
  /** How far the right time may lie before the left one, and after it, inclusive. One may be negative, not their sum. */
  readonly beforeMs: number;
  readonly afterMs: number;
  /** How long after its end a window takes records. */
  readonly graceMs: number;
  readonly close: CloseRule;
  /** How long after its window has closed a record can be removed. Default: never; removing one throws. */
  readonly retentionMs?: number;
  /** Default JSON. */
  readonly leftCodec?: Codec<L>;
  readonly rightCodec?: Codec<R>;
}

/**
 * What `joined` emits gets the log time of the record or timer that it is called for, and the context has the place of that
 * one alone: where `causes` must name both records, their values carry their places.
 */
export type JoinWindowOptions<L, R> = {
  readonly [Kind in keyof JoinedOf<L, R>]: CommonOptions<L, R> & {
    readonly kind: Kind;
    readonly joined: (joined: JoinedOf<L, R>[Kind], context: StoreContext) => void;
  };
}[keyof JoinedOf<L, R>];

/** Declares a join. Throws GRAPH_INVALID for wrong durations, with all problems. */
export const joinWindow = <L = Json, R = Json>(
  options: JoinWindowOptions<L, R>,
): StoreDeclaration<JoinStore<L, R>> => {
  const { kind, beforeMs, afterMs, graceMs, close, retentionMs = null } = options;
  refuseProblems([
    durationProblem('joinWindow.beforeMs', Math.abs(beforeMs), 0, 'see afterMs for the other side'),
    durationProblem('joinWindow.afterMs', Math.abs(afterMs), 0, 'see beforeMs for the other side'),
    beforeMs + afterMs < 0
      ? `joinWindow: found beforeMs + afterMs = ${beforeMs + afterMs}, expected at least 0; no time lies in the window`
      : null,
    durationProblem('joinWindow.graceMs', graceMs, 0, 'use 0 to take nothing after the end'),
    durationProblem('joinWindow.retentionMs', retentionMs ?? 0, 0, 'leave it out when nothing is removed'),
    closeProblem('joinWindow.close', close),
  ]);
  // Json is the default type of a value; other types need no codec only where JSON keeps them.
  const json = jsonCodec() as unknown as Codec<unknown>;
  return {
    kind: `join-${kind}`,
    settings: { beforeMs, afterMs, graceMs, close, retentionMs },
    open: (access) =>
      // The store keeps the values of each side apart, and passes null only where the kind of join has it.
      openJoin(
        {
          kind,
          beforeMs,
          afterMs,
          graceMs,
          retentionMs,
          close,
          joined: options.joined as (
            joined: JoinedOf<unknown, unknown>['outer'],
            context: StoreContext,
          ) => void,
          codecs: { left: options.leftCodec ?? json, right: options.rightCodec ?? json } as Record<
            'left' | 'right',
            Codec<unknown>
          >,
        },
        access,
      ),
  };
};
