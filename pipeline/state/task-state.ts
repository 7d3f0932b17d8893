/**
 * The stores of one task over one backend.
 *
 * Reads look through four layers: writes of the record being processed, writes since the last checkpoint, writes
 * of the checkpoint under way, the backend. Values are kept as text, so that what is read is what a restart would read.
 */
import { PipelineError } from '#pipeline/errors.ts';
import type { StateBackend, WriteOperation } from './backend.ts';
import type { Json, KeyValueStore, StoreDeclaration } from './store.ts';

/** Control characters separate the parts of a key: `store`, US, `key`. */
const SEPARATOR = '\u001f';
const META_KEY = '\u0001meta';
const SEGMENT_PREFIX = '\u0002';

type Layer = Map<string, string | null>;

export interface TaskState {
  store(name: string, declaration: StoreDeclaration<Json>): KeyValueStore<Json>;
  /** Log time of the record being processed. */
  setLogTime(logTimeMs: number): void;
  /** Keeps the writes of the record, or forgets them. */
  commit(): void;
  rollback(): void;
  /** What the last checkpoint said, or undefined. */
  readonly meta: string | undefined;
  /** Takes what was written since the last checkpoint; then `write` makes it durable together with `meta`. */
  capture(): { write(meta: string): Promise<void> };
  close(): Promise<void>;
}

export function createTaskState(backend: StateBackend): TaskState {
  const current: Layer = new Map();
  let dirty: Layer = new Map();
  let flushing: Layer | null = null;
  let nowMs = 0;
  const retentions = new Map<string, { retentionMs: number; sweptSegment: number }>();

  const lookup = (key: string): string | undefined => {
    for (const layer of [current, dirty, flushing]) {
      const value = layer?.get(key);
      if (value !== undefined) return value ?? undefined;
    }
    return backend.get(key);
  };

  const createStore = (name: string, { retentionMs }: StoreDeclaration<Json>): KeyValueStore<Json> => {
    if (retentionMs !== null) retentions.set(name, { retentionMs, sweptSegment: -1 });
    // Hostile text may hold half of a surrogate pair, which bytes cannot: the same replacement in every layer.
    const path = (key: string) => `${name}${SEPARATOR}${key.toWellFormed()}`;
    return {
      get: (key) => {
        const text = lookup(path(key));
        if (text === undefined) return undefined;
        const cut = text.indexOf(':');
        if (retentionMs !== null && Number.parseInt(text.slice(0, cut), 36) + retentionMs < nowMs)
          return undefined;
        return JSON.parse(text.slice(cut + 1)) as Json;
      },
      put: (key, value) => {
        const text = JSON.stringify(value);
        if (text === undefined) throw new PipelineError('INVARIANT_BROKEN', `${name}: undefined is no value`);
        current.set(path(key), retentionMs === null ? `:${text}` : `${nowMs.toString(36)}:${text}`);
        if (retentionMs !== null) {
          current.set(segmentKey(name, Math.floor(nowMs / retentionMs), key.toWellFormed()), '');
        }
      },
      delete: (key) => {
        current.set(path(key), null);
      },
    };
  };

  /** Entries of segments that are past: read as absent already, now removed from disk. */
  const sweep = async (logTimeMs: number): Promise<WriteOperation[]> => {
    const operations: WriteOperation[] = [];
    for (const [name, retention] of retentions) {
      const { retentionMs } = retention;
      const end = Math.floor(logTimeMs / retentionMs) - 1;
      if (end <= retention.sweptSegment) continue;
      retention.sweptSegment = end;
      for await (const index of backend.keys(segmentKey(name, 0, ''), segmentKey(name, end, ''))) {
        const key = `${name}${SEPARATOR}${index.slice(segmentKey(name, 0, '').length)}`;
        const text = backend.get(key);
        const isPast = text !== undefined && Number.parseInt(text, 36) + retentionMs < logTimeMs;
        if (isPast) operations.push({ key, value: null });
        operations.push({ key: index, value: null });
      }
    }
    return operations;
  };

  return {
    store: createStore,
    setLogTime: (logTimeMs) => {
      nowMs = logTimeMs;
    },
    commit: () => {
      for (const [key, value] of current) dirty.set(key, value);
      current.clear();
    },
    rollback: () => current.clear(),
    meta: backend.get(META_KEY),
    capture: () => {
      if (flushing !== null)
        throw new PipelineError('INVARIANT_BROKEN', 'one checkpoint of a task at a time');
      const captured = dirty;
      const capturedAtMs = nowMs;
      flushing = captured;
      dirty = new Map();
      return {
        write: async (meta) => {
          // Swept entries come first: a later write of the same key wins.
          const operations = await sweep(capturedAtMs);
          for (const [key, value] of captured) operations.push({ key, value });
          operations.push({ key: META_KEY, value: meta });
          await backend.write(operations);
          flushing = null;
        },
      };
    },
    close: () => backend.close(),
  };
}

const segmentKey = (store: string, segment: number, key: string): string =>
  `${SEGMENT_PREFIX}${store}${SEPARATOR}${String(segment).padStart(12, '0')}${SEPARATOR}${key}`;
