/**
 * The timers of one task: all in memory, by due time, and durable with the state (engine rules, section 4).
 *
 * Timers due together fire in the order (due time, processor, key bytes, store).
 */
import { PipelineError } from '#pipeline/errors.ts';
import type { WriteOperation } from './backend.ts';
import { byCodeUnits, compareUtf8, wellFormed } from './byte-order.ts';
import type { Journal } from './segment-cells.ts';
import type { FiredTimer, Timers, TimerTime } from './store.ts';

/** Timers lie before all stores. */
export const TIMER_PREFIX = '\u0003';
const SEPARATOR = '\u001f';

/** Before the keys of all timers of a store. */
export const timerPrefix = (processor: string, store: string): string =>
  `${TIMER_PREFIX}${processor}${SEPARATOR}${store}${SEPARATOR}`;

/** Timers that may lie in a heap though they are not set any more, beside twice as many as are. */
const MOST_PASSED_OVER = 1_000;

export interface DueTimer extends FiredTimer {
  readonly processor: string;
  readonly store: string;
}

interface Scheduled extends DueTimer {
  /** False once it fired, moved or was cancelled; it then waits in the heap to be passed over. */
  isSet: boolean;
}

export interface TimerQueue {
  timers(processor: string, store: string): Timers;
  /** Due time of the first log timer; +Infinity when there is none. */
  readonly nextLogMs: number;
  /** Takes the first log timer, or the first event timer of a processor that is due by `streamTimeMs`. */
  takeLog(): DueTimer | null;
  takeEvent(processor: string, streamTimeMs: number): DueTimer | null;
  /** One entry of an earlier checkpoint. */
  load(key: string, text: string): void;
  capture(): WriteOperation[];
  /** All that are set, in the order in which they would fire. */
  all(): readonly DueTimer[];
}

export function createTimerQueue(journal: Journal): TimerQueue {
  const byId = new Map<string, Scheduled>();
  const logHeap: Scheduled[] = [];
  const eventHeaps = new Map<string, Scheduled[]>();
  let dirty = new Map<string, number | null>();

  const heapOf = (time: TimerTime, processor: string): Scheduled[] => {
    if (time === 'log') return logHeap;
    let heap = eventHeaps.get(processor);
    if (heap === undefined) {
      heap = [];
      eventHeaps.set(processor, heap);
    }
    return heap;
  };
  const add = (id: string, timer: DueTimer): void => {
    const scheduled: Scheduled = { ...timer, isSet: true };
    byId.set(id, scheduled);
    const heap = heapOf(timer.time, timer.processor);
    push(heap, scheduled);
    if (heap.length > MOST_PASSED_OVER + 2 * byId.size) sweep(heap);
  };
  const remove = (id: string): Scheduled | undefined => {
    const timer = byId.get(id);
    if (timer === undefined) return undefined;
    timer.isSet = false;
    byId.delete(id);
    return timer;
  };
  /** Sets or removes, with the way back. */
  const change = (id: string, timer: DueTimer | null): void => {
    const wasDirty = dirty.has(id);
    const dirtyBefore = dirty.get(id) ?? null;
    const before = remove(id);
    if (timer !== null) add(id, timer);
    dirty.set(id, timer?.atMs ?? null);
    journal.push(() => {
      remove(id);
      if (before !== undefined) add(id, before);
      if (wasDirty) dirty.set(id, dirtyBefore);
      else dirty.delete(id);
    });
  };
  const first = (heap: Scheduled[]): Scheduled | undefined => {
    for (let timer = heap[0]; timer !== undefined && !timer.isSet; timer = heap[0]) pop(heap);
    return heap[0];
  };
  const take = (heap: Scheduled[], untilMs: number): DueTimer | null => {
    const timer = first(heap);
    if (timer === undefined || timer.atMs > untilMs) return null;
    change(idOf(timer), null);
    return timer;
  };

  return {
    timers: (processor, store) => ({
      set: (time, given, atMs) => {
        // Its outputs carry it as their log time; NaN would also break the order of all timers.
        if (!Number.isSafeInteger(atMs)) throw notWhole(`${processor}.${store}`, atMs);
        // Hostile text may hold half of a surrogate pair, which a restart would read as another key.
        const key = wellFormed(given);
        const id = idOf({ processor, store, time, key });
        if (byId.get(id)?.atMs !== atMs) change(id, { processor, store, time, key, atMs });
      },
      cancel: (time, key) => {
        const id = idOf({ processor, store, time, key: wellFormed(key) });
        if (byId.has(id)) change(id, null);
      },
      get: (time, key) => byId.get(idOf({ processor, store, time, key: wellFormed(key) }))?.atMs,
    }),
    get nextLogMs() {
      return first(logHeap)?.atMs ?? Number.POSITIVE_INFINITY;
    },
    takeLog: () => take(logHeap, Number.POSITIVE_INFINITY),
    takeEvent: (processor, streamTimeMs) => {
      const heap = eventHeaps.get(processor);
      return heap === undefined ? null : take(heap, streamTimeMs);
    },
    load: (path, text) => {
      const id = path.slice(TIMER_PREFIX.length);
      add(id, { ...readId(id), atMs: Number(text) });
    },
    capture: () => {
      const captured = dirty;
      dirty = new Map();
      return Array.from(captured, ([id, atMs]) => ({
        key: TIMER_PREFIX + id,
        value: atMs === null ? null : String(atMs),
      }));
    },
    all: () => [...byId.values()].sort(compare),
  };
}

const idOf = ({ processor, store, time, key }: Omit<DueTimer, 'atMs'>): string =>
  `${processor}${SEPARATOR}${store}${SEPARATOR}${time}${SEPARATOR}${key}`;

function readId(id: string): Omit<DueTimer, 'atMs'> {
  const [processor = '', store = '', time, ...key] = id.split(SEPARATOR);
  return { processor, store, time: time === 'log' ? 'log' : 'event', key: key.join(SEPARATOR) };
}

const compare = (a: Scheduled, b: Scheduled): number =>
  a.atMs - b.atMs ||
  byCodeUnits(a.processor, b.processor) ||
  compareUtf8(a.key, b.key) ||
  byCodeUnits(a.store, b.store);

/** A timer that is moved with each record leaves one behind each time. */
function sweep(heap: Scheduled[]): void {
  const set = heap.filter(({ isSet }) => isSet).sort(compare);
  // What is sorted is a heap.
  heap.length = 0;
  for (const timer of set) heap.push(timer);
}

const notWhole = (store: string, atMs: number): PipelineError =>
  new PipelineError(
    'LOGIC_FAILED',
    `${store}: expected whole milliseconds as the time of a timer, found ${atMs}; check what it is computed from`,
  );

function push(heap: Scheduled[], timer: Scheduled): void {
  let at = heap.push(timer) - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const above = heap[parent];
    if (above === undefined || compare(above, timer) <= 0) break;
    heap[at] = above;
    at = parent;
  }
  heap[at] = timer;
}

function pop(heap: Scheduled[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    const [left, right] = [heap[child], heap[child + 1]];
    if (left === undefined) break;
    let least = left;
    if (right !== undefined && compare(right, left) < 0) {
      child += 1;
      least = right;
    }
    if (compare(last, least) <= 0) break;
    heap[at] = least;
    at = child;
  }
  heap[at] = last;
}
