/** The slices whose windows are not all closed, and which keys they hold. In memory; rebuilt from the entries. */
import { sortableTime } from '#pipeline/state/sortable-time.ts';
import type { Segment, StoreAccess } from '#pipeline/state/store.ts';
import type { Closing } from './closing.ts';
import { createKeyList, type KeyList } from './key-list.ts';
import type { Grid } from './shapes.ts';
import { readSliceStart, sliceKey } from './slice-keys.ts';

export interface OpenSlice<Value> {
  readonly startMs: number;
  readonly values: Segment<Value>;
  /** When the first of its windows closes. */
  readonly firstEndMs: number;
  /**
   * Every key that has an entry. Others may stand here too: what was refused or taken back stays. So nothing needs to be
   * undone, and who reads it asks the entries.
   */
  readonly keys: KeyList;
}

export interface OpenSlices<Value> {
  find(startMs: number): OpenSlice<Value> | undefined;
  /** Opens a slice that is not open. */
  open(startMs: number): OpenSlice<Value>;
  /**
   * Windows that end by this time are closed. What is due is open until its timer has fired: another timer, or the
   * handler of one, may come before.
   */
  closedMs(): number;
  /** Forgets what is closed, and drops entries that nobody can ask for. */
  prune(): void;
  /** One entry of an earlier checkpoint. */
  load(path: string): void;
}

export function createOpenSlices<Value>(options: {
  grid: Grid;
  closing: Closing;
  retentionMs: number;
  /** Sets a timer for each window end. */
  closesByTimer: boolean;
  access: StoreAccess;
  store: { slice(startMs: number): Segment<Value>; dropBelow(startMs: number): void };
}): OpenSlices<Value> {
  const { grid, closing, retentionMs, closesByTimer, access, store } = options;
  const slices = new Map<number, OpenSlice<Value>>();
  // Dropping twice does no harm: this only saves the call, so it need not survive a restart or be undone.
  let droppedMs = Number.NEGATIVE_INFINITY;
  // Every window end with a timer, and the first of them. Others may be among them, because the timers are asked: so here
  // too nothing needs to be undone.
  const ends = new Set<number>();
  let firstEndMs = Number.POSITIVE_INFINITY;
  let hasLoadedEnds = false;

  const create = (startMs: number): OpenSlice<Value> => {
    const slice: OpenSlice<Value> = {
      startMs,
      values: store.slice(startMs),
      firstEndMs: grid.firstEndOf(startMs),
      keys: createKeyList(),
    };
    slices.set(startMs, slice);
    if (!closesByTimer) return slice;
    for (const { endMs } of grid.spansOf(startMs)) {
      ends.add(endMs);
      if (endMs < firstEndMs) firstEndMs = endMs;
    }
    return slice;
  };
  const isPending = (endMs: number): boolean => closing.isSet(sortableTime(endMs));
  const findFirstEnd = (): void => {
    firstEndMs = Number.POSITIVE_INFINITY;
    for (const endMs of ends) if (endMs < firstEndMs) firstEndMs = endMs;
  };
  const closedMs = (): number => {
    const reachedMs = closing.reachedMs();
    if (firstEndMs > reachedMs) return reachedMs;
    if (hasLoadedEnds) {
      // Of slices that are kept for corrections, most have closed long ago.
      for (const endMs of ends) if (!isPending(endMs)) ends.delete(endMs);
      findFirstEnd();
      hasLoadedEnds = false;
    }
    while (firstEndMs <= reachedMs) {
      if (isPending(firstEndMs)) return firstEndMs - 1;
      ends.delete(firstEndMs);
      findFirstEnd();
    }
    return reachedMs;
  };
  const prune = (): void => {
    const untilMs = closedMs();
    if (untilMs === Number.NEGATIVE_INFINITY) return;
    for (const [startMs, slice] of slices) {
      if (grid.lastEndOf(startMs) > untilMs) continue;
      slices.delete(startMs);
      access.undo(() => slices.set(startMs, slice));
    }
    const firstMs = grid.firstSliceEndingAfter(untilMs - retentionMs);
    if (firstMs <= droppedMs) return;
    droppedMs = firstMs;
    store.dropBelow(firstMs);
  };
  return {
    find: (startMs) => slices.get(startMs),
    open: (startMs) => {
      prune();
      const untilMs = closedMs();
      const slice = create(startMs);
      // Without this a refused record would leave a slice whose timers are not set.
      access.undo(() => slices.delete(startMs));
      if (closesByTimer) {
        for (const { endMs } of grid.spansOf(startMs)) {
          if (endMs > untilMs) closing.set(sortableTime(endMs), endMs);
        }
      }
      return slice;
    },
    closedMs,
    prune,
    load: (path) => {
      const startMs = readSliceStart(path);
      if (startMs === null) return;
      const slice = slices.get(startMs) ?? create(startMs);
      slice.keys.push(sliceKey(path));
      hasLoadedEnds = closesByTimer;
    },
  };
}
