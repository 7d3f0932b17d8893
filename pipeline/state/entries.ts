/**
 * The entries of one store, in segments. The cache only ever saves a read or a decoding: what a handler sees, and what a
 * checkpoint writes, does not depend on it.
 */
import type { StateBackend, WriteOperation } from './backend.ts';
import { compareUtf8 } from './byte-order.ts';
import { type Journal, SegmentCells, type SegmentHost } from './segment-cells.ts';
import type { Codec, Entries, Segment } from './store.ts';

export interface StoreEntries<V = unknown> extends Entries<V> {
  /**
   * What the backend held before the first access: its greatest key without the store's prefix, or null for nothing.
   * Segments that sort behind it began empty. Without this call every absence is asked for.
   */
  foundStored(lastKey: string | null): void;
  /** Takes what was written since the last capture; it becomes text each time it is taken from what this gives. */
  capture(): Iterable<WriteOperation>;
  /** The captured values are in the backend. */
  settled(): void;
  /** Ranges of keys to clear, `[first, end)`, since the last call. */
  takeDropped(): readonly (readonly [first: string, end: string])[];
}

/** A value counts as one more for each so many characters of its text: memory is what is bounded. */
const USUAL_CHARS = 64;
/** So many are kept, however large. */
const LEAST_VALUES = 8;

export function createEntries<V>(options: {
  /** Before every key in the backend. */
  prefix: string;
  codec: Codec<V>;
  backend: Pick<StateBackend, 'get'>;
  journal: Journal;
  /** Values that are kept decoded, of which a large one counts as several; as many older ones beside them. */
  recentValues: number;
}): StoreEntries<V> {
  const { prefix, codec, backend, journal, recentValues } = options;
  const segments = new Map<string, SegmentCells<V>>();
  const heaviest = Math.max(1, Math.ceil(recentValues / LEAST_VALUES));
  let stored: string | null | undefined;
  let added = 0;
  let written = new Set<SegmentCells<V>>();
  let flushing: ReadonlySet<SegmentCells<V>> = new Set();
  let dropped: string | null = null;

  const host: SegmentHost<V> = {
    codec,
    backend,
    journal,
    weigh: (chars) => Math.min(1 + Math.floor(chars / USUAL_CHARS), heaviest),
    grew: (by) => {
      added += by;
    },
    makeRoom: (weight) => {
      added += weight;
      if (added <= recentValues) return;
      added = weight;
      for (const segment of segments.values()) segment.turn();
    },
    written: (segment) => written.add(segment),
  };
  const segmentOf = (own: string): SegmentCells<V> => {
    let segment = segments.get(own);
    if (segment === undefined) {
      const beganEmpty = stored === null || (stored !== undefined && compareUtf8(own, stored) > 0);
      segment = new SegmentCells(host, { prefix: own, path: prefix + own, beganEmpty });
      segments.set(own, segment);
    }
    return segment;
  };
  // Made when it is used: until then it is not known what the backend holds.
  let plain: Segment<V> | null = null;
  const whole = (): Segment<V> => {
    plain ??= segmentOf('');
    return plain;
  };

  return {
    get: (key) => whole().get(key),
    peek: (key) => whole().peek(key),
    put: (key, value) => whole().put(key, value),
    delete: (key) => whole().delete(key),
    segment: segmentOf,
    foundStored: (lastKey) => {
      stored = lastKey;
    },
    dropBelow: (key) => {
      const before = dropped;
      if (before !== null && compareUtf8(key, before) <= 0) return;
      dropped = key;
      journal.push(() => {
        dropped = before;
      });
    },
    capture: () => {
      const captured = Array.from(written, (segment) => segment.capture());
      flushing = written;
      written = new Set();
      return {
        *[Symbol.iterator]() {
          for (const operations of captured) yield* operations;
        },
      };
    },
    settled: () => {
      for (const segment of flushing) segment.settled();
      flushing = new Set();
    },
    takeDropped: () => {
      if (dropped === null) return [];
      const end = dropped;
      // What is captured is still held there; the rest of their memory goes.
      for (const own of segments.keys()) {
        if (own !== '' && compareUtf8(own, end) < 0 && !end.startsWith(own)) segments.delete(own);
      }
      dropped = null;
      return [[prefix, prefix + end]];
    },
  };
}
