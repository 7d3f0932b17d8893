/** Windows over event time as a kind of store: tumbling and hopping, several on shared slices. */
import type { Aggregate } from '#pipeline/aggregates/aggregate.ts';
import type { StoreContext } from '#pipeline/processor.ts';
import { refuseProblems } from '#pipeline/state/durations.ts';
import type { Codec, StoreDeclaration } from '#pipeline/state/store.ts';
import { type CloseRule, closeProblem } from './closing.ts';
import { createGrid, type Grid, lengthProblem, shapeProblems, type WindowShape } from './shapes.ts';
import { openWindows } from './window-store.ts';

/**
 * What an emitted result is:
 * - `update`: the window is open (only `emit: 'on-update'`);
 * - `final`: the window has closed (only `emit: 'on-close'`); only a retraction can change it now;
 * - `correction`: a record was taken back after the close; takes the place of what was emitted before.
 */
export type WindowPhase = 'update' | 'final' | 'correction';

export interface WindowChange<Out, Name extends string = string> {
  readonly name: Name;
  readonly key: string;
  readonly startMs: number;
  /** Exclusive. */
  readonly endMs: number;
  /** Null when every record was taken back. */
  readonly result: Out | null;
  /** 0 for what is emitted first of this window and key, then 1, 2, ... without gaps. */
  readonly revision: number;
  readonly phase: WindowPhase;
}

/** A record, or the retraction of one, that does not count in one of its windows. */
export interface LateInput<In, Name extends string = string> {
  readonly name: Name;
  readonly key: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly eventTimeMs: number;
  readonly input: In;
  readonly isRetraction: boolean;
}

export interface WindowOptions<In, State, Out, Name extends string> {
  /** Windows by name. They share their slices, so each more costs little. */
  readonly of: Readonly<Record<Name, WindowShape>>;
  readonly aggregate: Aggregate<In, State, Out>;
  /** How long after its end a window still takes records; see `close` for by which time. */
  readonly graceMs: number;
  /**
   * `on-close`: each window and key once, when it closes, by (end, name, bytes of the key). `on-update`: each window
   * that an input or a retraction changes, at once, by (start, name); then nothing at the close. For `on-close` the keys
   * of open slices are in memory, for `on-update` none.
   */
  readonly emit: 'on-close' | 'on-update';
  readonly close: CloseRule;
  /** How long closed windows can still be read and corrected, by the time that closes them. Default 0: not at all. */
  readonly retentionMs?: number;
  /** Records may be taken back. Default false. */
  readonly retracts?: boolean;
  /**
   * Needed when `retracts` and the aggregate has no `remove` (every input is then kept as text, and what is left is
   * computed anew), or when `retracts` and there is a `retentionMs` (late inputs are kept). An input is known by its text: it
   * should hold an id and nothing that differs between a record and its retraction.
   */
  readonly inputCodec?: Codec<In>;
  /** Called for each late pair of record and window, by start of the window, then name; counted in any case. */
  readonly late?: (late: LateInput<In, Name>, context: StoreContext) => void;
  readonly changed: (window: WindowChange<Out, Name>, context: StoreContext) => void;
}

/** What a processor's logic sees of its windows. */
export interface WindowStore<In, Out, Name extends string = string> {
  /** Counts the input in each open window of its event time. It is late for those that are closed. */
  add(key: string, eventTimeMs: number, input: In): void;
  /**
   * Takes back an input that `add` got with the same key and event time. Open windows forget it; closed ones are
   * corrected within `retentionMs`; for older ones, and for those that it was late for, the retraction is late.
   *
   * Dropped, and counted so, when the slice holds no such record: a retraction ahead of its record is not kept, so the
   * record will count. Without kept inputs only an empty slice shows that: an aggregate with `remove` must be given back
   * what it got. Throws INVARIANT_BROKEN unless declared with `retracts`.
   */
  remove(key: string, eventTimeMs: number, input: In): void;
  /** Result of a window now: open, or closed within `retentionMs`. Undefined without a record, or where no window starts. */
  get(key: string, name: Name, startMs: number): Out | undefined;
}

/** A declaration without problems, its defaults filled in. */
export interface WindowSettings<In, State, Out, Name extends string>
  extends Omit<WindowOptions<In, State, Out, Name>, 'of'> {
  readonly grid: Grid<Name>;
  readonly retentionMs: number;
  readonly retracts: boolean;
}

/**
 * Windows `[start, end)` of event time, aligned to 1970-01-01T00:00Z; a window without a record does not exist.
 *
 *     windows({
 *       of: { minute: tumbling({ sizeMs: MINUTE }), five: hopping({ sizeMs: 5 * MINUTE, advanceMs: MINUTE }) },
 *       aggregate: count(),
 *       graceMs: 2 * MINUTE,
 *       emit: 'on-close',
 *       close: { by: 'event-time' },
 *       changed: ({ key, startMs, endMs, result }, context) => context.emit(counts, key, ...),
 *     })
 *
 * Throws GRAPH_INVALID with everything that is wrong in the declaration.
 */
export function windows<In, State, Out, const Name extends string>(
  options: WindowOptions<In, State, Out, Name>,
): StoreDeclaration<WindowStore<In, Out, Name>> {
  const { of, aggregate, graceMs, emit, close, retentionMs = 0, retracts = false } = options;
  const keepsInputs = retracts && (aggregate.remove === null || retentionMs > 0);
  refuseProblems([
    ...shapeProblems('windows.of', of),
    lengthProblem('windows.graceMs', graceMs, 0, 'give 0 when no record comes late'),
    closeProblem('windows.close', close),
    lengthProblem('windows.retentionMs', retentionMs, 0, 'give 0 when closed windows are done with'),
    keepsInputs && options.inputCodec === undefined
      ? 'windows.inputCodec: found none, expected a codec: what is taken back is looked up among kept inputs; give jsonCodec() if they are JSON'
      : null,
  ]);
  const settings = { ...options, grid: createGrid(of), retentionMs, retracts };
  return {
    kind: 'windows',
    settings: {
      of: Object.fromEntries(
        Object.entries<WindowShape>(of).map(([name, { sizeMs, advanceMs }]) => [name, { sizeMs, advanceMs }]),
      ),
      aggregate: aggregate.name,
      graceMs,
      emit,
      close: { ...close },
      retentionMs,
      retracts,
    },
    open: (access) => openWindows(settings, access),
  };
}
