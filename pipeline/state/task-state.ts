/** The stores and timers of one task over one backend. */
import { PipelineError } from '#pipeline/errors.ts';
import type { StoreContext } from '#pipeline/processor.ts';
import type { StateBackend, WriteOperation } from './backend.ts';
import { createEntries, type StoreEntries } from './entries.ts';
import type { Journal } from './segment-cells.ts';
import type { Codec, EntriesUse, StoreAccess, StoreDeclaration, StoreInstance } from './store.ts';
import { createTimerQueue, TIMER_PREFIX, type TimerQueue } from './timer-queue.ts';

/** What the last checkpoint said beside the state. */
export const META_KEY = '\u0001meta';
/** Between the name of a store and a key. */
const SEPARATOR = '\u001f';
const AFTER_SEPARATOR = '\u0020';

export const storePrefix = (processor: string, store: string): string => `${processor}.${store}${SEPARATOR}`;

/** `[first, end)`. */
export type KeyRange = readonly [first: string, end: string];

/** Entries that are read before the first record, in order of their keys. */
export interface Loader {
  readonly first: string;
  readonly end: string;
  load(key: string, text: string): void;
}

/** Where the entries of a store lie, and who wants to know the last of them before the first record; null: none. */
export interface StoreRange {
  readonly first: string;
  readonly end: string;
  foundLast(key: string | null): void;
}

export interface TaskState {
  readonly timers: TimerQueue;
  /** Opens a declared store of a processor; `context` is that of the processor. */
  open(options: {
    processor: string;
    store: string;
    declaration: StoreDeclaration<unknown>;
    context: StoreContext;
    count: StoreAccess['count'];
    attempt: StoreAccess['attempt'];
  }): StoreInstance<unknown>;
  /** What must be loaded once all stores are open. */
  readonly loaders: readonly Loader[];
  /** What must be looked up before that. */
  readonly ranges: readonly StoreRange[];
  /** For memory beside the state that has to go back when the handler of the present record throws. */
  undo(restore: () => void): void;
  /** A point to which `rollback` can go back, until the next `commit`. */
  mark(): number;
  rollback(mark: number): void;
  commit(): void;
  /**
   * Takes what was written since the last capture, at one moment between two records. `operations` gives it as text, made
   * anew each time it is taken; then `settled` lets go of it. One capture at a time.
   */
  capture(): {
    readonly operations: Iterable<WriteOperation>;
    /** Ranges of keys that nobody reads after this step: cleared once the checkpoint is written, never before. */
    readonly dropped: readonly KeyRange[];
    settled(): void;
  };
}

/** `recentValues`: decoded values that each store keeps in memory, of which a large one counts as several. */
export function createTaskState(backend: Pick<StateBackend, 'get'>, recentValues: number): TaskState {
  const journal: Journal = [];
  const timers = createTimerQueue(journal);
  const stores: StoreEntries[] = [];
  const loaders: Loader[] = [{ first: TIMER_PREFIX, end: '\u0004', load: timers.load }];
  const ranges: StoreRange[] = [];
  let isCapturing = false;
  return {
    timers,
    loaders,
    ranges,
    open: ({ processor, store, declaration, context, count, attempt }) => {
      const name = `${processor}.${store}`;
      const prefix = storePrefix(processor, store);
      // Behind every key of the store, whatever characters it has.
      const end = `${processor}.${store}${AFTER_SEPARATOR}`;
      let hasEntries = false;
      const instance = declaration.open({
        name,
        context,
        count,
        attempt,
        timers: timers.timers(processor, store),
        undo: (restore) => journal.push(restore),
        entries: <V>(codec: Codec<V>, use: EntriesUse = 'often-read') => {
          if (hasEntries) throw new PipelineError('INVARIANT_BROKEN', `${name}: entries are opened once`);
          hasEntries = true;
          const kept = use === 'seldom-read' ? Math.ceil(recentValues / 10) : recentValues;
          const entries = createEntries({ prefix, codec, backend, journal, recentValues: kept });
          ranges.push({
            first: prefix,
            end,
            foundLast: (key) => entries.foundStored(key === null ? null : key.slice(prefix.length)),
          });
          // Kept beside the stores of other types; each is used through its own codec alone.
          stores.push(entries as unknown as StoreEntries);
          return entries;
        },
      });
      const { load } = instance;
      if (load !== undefined) {
        loaders.push({
          first: prefix,
          end,
          load: (path, text) => load.call(instance, path.slice(prefix.length), text),
        });
      }
      return instance;
    },
    undo: (restore) => {
      journal.push(restore);
    },
    mark: () => journal.length,
    rollback: (mark) => {
      while (journal.length > mark) journal.pop()?.();
    },
    commit: () => {
      journal.length = 0;
    },
    capture: () => {
      if (isCapturing) throw new PipelineError('INVARIANT_BROKEN', 'one checkpoint of a task at a time');
      isCapturing = true;
      const timerOperations = timers.capture();
      const captured = stores.map((entries) => entries.capture());
      return {
        dropped: stores.flatMap((entries) => entries.takeDropped()),
        operations: {
          *[Symbol.iterator]() {
            for (const operations of captured) yield* operations;
            yield* timerOperations;
          },
        },
        settled: () => {
          isCapturing = false;
          for (const entries of stores) entries.settled();
        },
      };
    },
  };
}

/** What was captured, with the contents of its checkpoint behind it; can be taken again when writing it failed. */
export const withContents = (
  operations: Iterable<WriteOperation>,
  meta: string,
): Iterable<WriteOperation> => ({
  *[Symbol.iterator]() {
    yield* operations;
    yield { key: META_KEY, value: meta };
  },
});

/** Reads what the loaders need. */
export async function loadState(state: TaskState, backend: StateBackend): Promise<void> {
  for (const { first, end, foundLast } of state.ranges) foundLast(await backend.lastKey(first, end));
  for (const { first, end, load } of state.loaders) {
    for await (const page of backend.pages(first, end)) for (const [key, text] of page) load(key, text);
  }
}
