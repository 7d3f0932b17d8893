/** The running part of `windows`: one update into one slice, results from the slices of a window. */
import { PipelineError } from '#pipeline/errors.ts';
import { sortKeys, wellFormed } from '#pipeline/state/byte-order.ts';
import { readSortableTime, requireTime } from '#pipeline/state/sortable-time.ts';
import type { StoreAccess, StoreInstance } from '#pipeline/state/store.ts';
import { createClosing } from './closing.ts';
import { createOpenSlices } from './open-slices.ts';
import type { Span } from './shapes.ts';
import { createSliceStore } from './slice-store.ts';
import { joined, type Part, partAt, type SliceValue, TOO_LATE } from './slice-value.ts';
import type { WindowSettings, WindowStore } from './windows.ts';

export function openWindows<In, State, Out, Name extends string>(
  settings: WindowSettings<In, State, Out, Name>,
  access: StoreAccess,
): StoreInstance<WindowStore<In, Out, Name>> {
  const { aggregate, grid, retentionMs, retracts, changed, late } = settings;
  const { context } = access;
  const isOnClose = settings.emit === 'on-close';
  const store = createSliceStore(settings, access);
  const closing = createClosing(settings.close, settings.graceMs, access);
  const slices = createOpenSlices({
    grid,
    closing,
    retentionMs,
    closesByTimer: isOnClose,
    access,
    store,
  });
  /** Closed windows may be looked at again, so what came too late for them stays apart. */
  const keepsLateApart = retentionMs > 0 && (retracts || grid.overlaps);

  const sliceAt = (startMs: number) => slices.find(startMs)?.values ?? store.slice(startMs);
  const isExpired = (endMs: number, closedMs: number): boolean => endMs + retentionMs <= closedMs;

  const reportLate = (
    { name, startMs, endMs }: Span<Name>,
    record: { readonly key: string; readonly eventTimeMs: number; readonly input: In },
    isRetraction: boolean,
  ): void => {
    access.count('late');
    late?.({ name, startMs, endMs, ...record, isRetraction }, context);
  };

  /** Values of a key in the slices of `[startMs, endMs)`, in order; `known` is the value of one of them. */
  const readValues = (
    key: string,
    { startMs, endMs }: Pick<Span, 'startMs' | 'endMs'>,
    known: { readonly sliceMs: number; readonly value: SliceValue<State> } | null,
  ): (SliceValue<State> | undefined)[] => {
    const values: (SliceValue<State> | undefined)[] = [];
    for (let atMs = startMs; atMs < endMs; atMs += grid.sliceMs) {
      values.push(atMs === known?.sliceMs ? known.value : sliceAt(atMs).get(key));
    }
    return values;
  };
  /** What a window holds; `values` are those of the slices from `firstMs` on. Null when no slice has an entry. */
  const partOf = (
    { startMs, endMs }: Span,
    values: readonly (SliceValue<State> | undefined)[],
    firstMs: number,
  ): Part<State> | null => {
    let part: Part<State> | null = null;
    const end = (endMs - firstMs) / grid.sliceMs;
    for (let i = (startMs - firstMs) / grid.sliceMs; i < end; i++) {
      const value = values[i];
      if (value === undefined) continue;
      const counted = partAt(aggregate, value, endMs);
      part = part === null ? counted : joined(aggregate, part, counted);
    }
    return part;
  };

  /** Emits the windows, which are by start, as they are now that a slice has this value. */
  const emitChanges = (
    spans: readonly Span<Name>[],
    key: string,
    slice: { readonly sliceMs: number; readonly value: SliceValue<State> },
  ): void => {
    const first = spans[0];
    if (first === undefined) return;
    const closedMs = slices.closedMs();
    let lastEndMs = first.endMs;
    for (const { endMs } of spans) if (endMs > lastEndMs) lastEndMs = endMs;
    const values = readValues(key, { startMs: first.startMs, endMs: lastEndMs }, slice);
    for (const span of spans) {
      const { name, startMs, endMs } = span;
      const part = partOf(span, values, first.startMs);
      const result = part === null || part.records === 0 ? null : aggregate.result(part.state);
      const phase = endMs > closedMs ? 'update' : 'correction';
      const revision = isOnClose ? store.nextRevision(startMs, name, key) : (part?.updates ?? 1) - 1;
      changed({ name, key, startMs, endMs, result, revision, phase }, context);
    }
  };

  const add = (givenKey: string, eventTimeMs: number, input: In): void => {
    requireTime(eventTimeMs);
    const key = wellFormed(givenKey);
    const startMs = grid.sliceOf(eventTimeMs);
    const closedMs = slices.closedMs();
    const found = slices.find(startMs);
    if ((found?.firstEndMs ?? grid.firstEndOf(startMs)) <= closedMs) {
      addLate({ key, eventTimeMs, input }, startMs, closedMs);
      return;
    }
    const slice = found ?? slices.open(startMs);
    const before = slice.values.get(key);
    const value = store.add(startMs, key, before, input);
    slice.values.put(key, value);
    if (!isOnClose) emitChanges(grid.spansOf(startMs), key, { sliceMs: startMs, value });
    else if (before === undefined) slice.keys.push(key);
  };

  /** Some windows of the slice are closed. */
  const addLate = (
    record: { readonly key: string; readonly eventTimeMs: number; readonly input: In },
    startMs: number,
    closedMs: number,
  ): void => {
    const { key, input } = record;
    const open: Span<Name>[] = [];
    let fromEndMs = TOO_LATE;
    for (const span of grid.spansOf(startMs)) {
      if (span.endMs <= closedMs) {
        reportLate(span, record, false);
      } else {
        open.push(span);
        if (span.endMs < fromEndMs) fromEndMs = span.endMs;
      }
    }
    if (open.length === 0) {
      // Kept only so that taking it back does not take it from windows that never held it.
      if (!retracts || !keepsLateApart || isExpired(grid.lastEndOf(startMs), closedMs)) return;
      const values = store.slice(startMs);
      values.put(key, store.addLate({ startMs, fromEndMs }, key, values.get(key), input));
      return;
    }
    const slice = slices.find(startMs) ?? slices.open(startMs);
    const before = slice.values.get(key);
    const value = keepsLateApart
      ? store.addLate({ startMs, fromEndMs }, key, before, input)
      : store.add(startMs, key, before, input);
    slice.values.put(key, value);
    if (!isOnClose) emitChanges(open, key, { sliceMs: startMs, value });
    else if (before === undefined) slice.keys.push(key);
  };

  const remove = (givenKey: string, eventTimeMs: number, input: In): void => {
    if (!retracts) {
      const next = 'declare the windows with retracts: true';
      throw new PipelineError('INVARIANT_BROKEN', `${access.name} does not take records back; ${next}`);
    }
    requireTime(eventTimeMs);
    const key = wellFormed(givenKey);
    const startMs = grid.sliceOf(eventTimeMs);
    const closedMs = slices.closedMs();
    const isPast = isExpired(grid.lastEndOf(startMs), closedMs);
    const values = isPast ? null : sliceAt(startMs);
    const taken = values === null ? null : store.take(startMs, key, values.get(key), input);
    if (taken === null && !isPast) {
      access.count('dropped');
      return;
    }
    const fromEndMs = taken?.fromEndMs ?? TOO_LATE;
    const affected: Span<Name>[] = [];
    for (const span of grid.spansOf(startMs)) {
      if (span.endMs < fromEndMs || isExpired(span.endMs, closedMs)) {
        reportLate(span, { key, eventTimeMs, input }, true);
      } else if (!isOnClose || span.endMs <= closedMs) {
        affected.push(span);
      }
    }
    if (taken === null || values === null) return;
    const { after } = taken;
    const isEmpty = after.records === 0 && after.late.every(({ records }) => records === 0);
    // Where each update has a revision, an empty slice must remember how many there were.
    if (isEmpty && isOnClose) values.delete(key);
    else values.put(key, after);
    emitChanges(affected, key, { sliceMs: startMs, value: after });
  };

  const emitFinal = (
    { name, startMs, endMs }: Span<Name>,
    key: string,
    { records, state }: Part<State>,
  ): void => {
    if (records === 0) return;
    const result = aggregate.result(state);
    access.attempt(`${name}/${key}@${startMs}`, () =>
      changed({ name, key, startMs, endMs, result, revision: 0, phase: 'final' }, context),
    );
  };

  const closeWindow = (span: Span<Name>): void => {
    const { startMs, endMs } = span;
    const isOneSlice = endMs - startMs === grid.sliceMs;
    const parts = new Map<string, Part<State>>();
    for (let atMs = startMs; atMs < endMs; atMs += grid.sliceMs) {
      const slice = slices.find(atMs);
      if (slice === undefined) continue;
      for (const key of slice.keys.sorted()) {
        const value = slice.values.peek(key);
        if (value === undefined) continue;
        const part = partAt(aggregate, value, endMs);
        if (isOneSlice) {
          emitFinal(span, key, part);
          continue;
        }
        const before = parts.get(key);
        parts.set(key, before === undefined ? part : joined(aggregate, before, part));
      }
    }
    // One run in order for each slice: quick to sort.
    const keys = [...parts.keys()];
    sortKeys(keys);
    for (const key of keys) {
      const part = parts.get(key);
      if (part !== undefined) emitFinal(span, key, part);
    }
  };

  const handle: WindowStore<In, Out, Name> = {
    add,
    remove,
    get: (givenKey, name, startMs) => {
      const span = grid.spanAt(name, startMs);
      if (span === undefined || isExpired(span.endMs, slices.closedMs())) return undefined;
      const part = partOf(span, readValues(wellFormed(givenKey), span, null), startMs);
      return part === null || part.records === 0 ? undefined : aggregate.result(part.state);
    },
  };
  // Updates need no list of keys: entries are then read when they are asked for.
  if (!isOnClose) return { handle };
  return {
    handle,
    load: slices.load,
    fired: ({ key: timerKey }) => {
      closing.clear(timerKey);
      for (const span of grid.spansEndingAt(readSortableTime(timerKey))) closeWindow(span);
      slices.prune();
    },
  };
}
