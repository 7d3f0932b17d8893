/**
 * The entries of one store: decoded values in memory over text in the backend.
 *
 * A read looks where the value may be newest: the recent values, those before them, what waits for the next checkpoint,
 * what the present one writes, the backend. The cache only ever saves a read or a decoding: what a handler sees, and what
 * a checkpoint writes, does not depend on it.
 */
import type { StateBackend, WriteOperation } from './backend.ts';
import { compareUtf8, wellFormed } from './byte-order.ts';
import type { Codec, Entries } from './store.ts';

/** Undefined: deleted. */
type Values<V> = Map<string, V | undefined>;

/** How to take back what the handler of the present record did, newest last. */
export type Journal = (() => void)[];

export interface StoreEntries<V = unknown> extends Entries<V> {
  /** Takes what was written since the last capture, and gives it as text when asked. */
  capture(): () => WriteOperation[];
  /** The captured values are in the backend. */
  settled(): void;
  /** Ranges of keys to clear, `[first, end)`, since the last call. */
  takeDropped(): readonly (readonly [first: string, end: string])[];
}

export function createEntries<V>(options: {
  /** Before every key in the backend. */
  prefix: string;
  codec: Codec<V>;
  backend: Pick<StateBackend, 'get'>;
  journal: Journal;
  /** Values that are kept decoded; as many older ones beside them. */
  recentValues: number;
}): StoreEntries<V> {
  const { prefix, codec, backend, journal, recentValues } = options;
  let recent: Values<V> = new Map();
  let older: Values<V> = new Map();
  let dirty: Values<V> = new Map();
  let flushing: Values<V> | null = null;
  let dropped: string | null = null;

  const keep = (key: string, value: V | undefined): void => {
    if (recent.size >= recentValues) {
      older = recent;
      recent = new Map();
    }
    recent.set(key, value);
  };

  const lookUp = (key: string): V | undefined => {
    if (older.has(key)) return older.get(key);
    if (dirty.has(key)) return dirty.get(key);
    if (flushing?.has(key)) return flushing.get(key);
    const text = backend.get(prefix + key);
    return text === undefined ? undefined : codec.decode(text);
  };

  const get = (given: string): V | undefined => {
    const key = wellFormed(given);
    const value = recent.get(key);
    if (value !== undefined || recent.has(key)) return value;
    const found = lookUp(key);
    keep(key, found);
    return found;
  };

  const set = (given: string, value: V | undefined): void => {
    const key = wellFormed(given);
    const wasRecent = recent.has(key);
    const before = recent.get(key);
    const wasDirty = dirty.has(key);
    const dirtyBefore = dirty.get(key);
    journal.push(() => {
      if (wasDirty) dirty.set(key, dirtyBefore);
      else dirty.delete(key);
      // What lies below the cache holds the value before; the cache may have turned over since.
      older.delete(key);
      if (wasRecent) recent.set(key, before);
      else recent.delete(key);
    });
    keep(key, value);
    dirty.set(key, value);
  };

  return {
    get,
    put: set,
    delete: (key) => set(key, undefined),
    dropBelow: (key) => {
      const before = dropped;
      if (before !== null && compareUtf8(key, before) <= 0) return;
      dropped = key;
      journal.push(() => {
        dropped = before;
      });
    },
    capture: () => {
      const captured = dirty;
      flushing = captured;
      dirty = new Map();
      return () =>
        Array.from(captured, ([key, value]) => ({
          key: prefix + key,
          value: value === undefined ? null : codec.encode(value),
        }));
    },
    settled: () => {
      flushing = null;
    },
    takeDropped: () => {
      if (dropped === null) return [];
      const range = [prefix, prefix + dropped] as const;
      dropped = null;
      return [range];
    },
  };
}
