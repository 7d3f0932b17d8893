/** The versions of one key in blocks, and what is done with a sorted run of them. Pure. */
import type { Codec } from './store.ts';

/** A value, or null for a tombstone, from `timeMs` on until the next version. */
export interface StoredVersion<V> {
  readonly timeMs: number;
  readonly tieBreak: string;
  readonly value: V | null;
}

/** By time; those of one time from the weakest to the one that holds. */
export type Versions<V> = readonly StoredVersion<V>[];

/** The newest versions of a key (never empty), or a run of older ones. */
export interface Block<V> {
  /** Only in the newest block: older ones were put aside, and the last of them ends where this one begins. */
  readonly hasOlder: boolean;
  readonly versions: Versions<V>;
}

/** The ends of the older blocks of a key, rising. A block ends, exclusive, at the first time of the next one. */
export interface BlockEnds {
  readonly endsMs: readonly number[];
}

export type ChainEntry<V> = Block<V> | BlockEnds;

const RADIX = 36;

/** Blocks as JSON, `[hasOlder, time, tie-break, value, time, ..]`; ends as differences, each of a few characters. */
export const chainCodec = <V>(codec: Codec<V>): Codec<ChainEntry<V>> => ({
  encode: (entry) => {
    if ('endsMs' in entry) {
      const { endsMs } = entry;
      return endsMs.map((endMs, index) => (endMs - (endsMs[index - 1] ?? 0)).toString(RADIX)).join(',');
    }
    const parts: (string | number | null)[] = [entry.hasOlder ? 1 : 0];
    for (const { timeMs, tieBreak, value } of entry.versions) {
      parts.push(timeMs, tieBreak, value === null ? null : codec.encode(value));
    }
    return JSON.stringify(parts);
  },
  decode: (text) => {
    if (!text.startsWith('[')) {
      let endMs = 0;
      return { endsMs: text.split(',').map((difference) => (endMs += Number.parseInt(difference, RADIX))) };
    }
    // What `encode` wrote.
    const parts = JSON.parse(text) as (string | number | null)[];
    const versions: StoredVersion<V>[] = [];
    for (let at = 1; at < parts.length; at += 3) {
      const value = parts[at + 2] as string | null;
      versions.push({
        timeMs: parts[at] as number,
        tieBreak: parts[at + 1] as string,
        value: value === null ? null : codec.decode(value),
      });
    }
    return { hasOlder: parts[0] === 1, versions };
  },
});

/** Index of the last version at or before a time; -1 when all are later. */
export function lastAt<V>(versions: Versions<V>, timeMs: number): number {
  let [low, high] = [0, versions.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((versions[middle] as StoredVersion<V>).timeMs <= timeMs) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/**
 * Index of the version of a time and tie-break, or -1 - (where it belongs). `direction` 1: of one time the greatest
 * tie-break holds; -1: the least. Compared by code units.
 */
export function placeOf<V>(
  versions: Versions<V>,
  timeMs: number,
  tieBreak: string,
  direction: 1 | -1,
): number {
  let at = lastAt(versions, timeMs);
  for (; at >= 0; at--) {
    const known = versions[at] as StoredVersion<V>;
    if (known.timeMs !== timeMs) break;
    if (known.tieBreak === tieBreak) return at;
    if (known.tieBreak < tieBreak === (direction === 1)) break;
  }
  return -2 - at;
}

/**
 * Without what has been followed by another version at or before the horizon: nobody asks for it. The same array when
 * nothing goes.
 */
export function sinceHorizon<V>(versions: Versions<V>, horizonMs: number): Versions<V> {
  const second = versions[1];
  if (second === undefined || second.timeMs > horizonMs) return versions;
  const holdsFromMs = (versions[lastAt(versions, horizonMs)] as StoredVersion<V>).timeMs;
  return versions.slice(lastAt(versions, holdsFromMs - 1) + 1);
}

/** Where to divide a run near its middle, between two times; 0 when all are of one time. */
export function cutOf<V>(versions: Versions<V>): number {
  const half = versions.length >> 1;
  const { timeMs } = versions[half] as StoredVersion<V>;
  const first = lastAt(versions, timeMs - 1) + 1;
  if (first > 0) return first;
  const next = lastAt(versions, timeMs) + 1;
  return next < versions.length ? next : 0;
}

/** Index of the first end after a time; the length when there is none. */
export function firstEndAfter(endsMs: readonly number[], timeMs: number): number {
  let [low, high] = [0, endsMs.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((endsMs[middle] as number) <= timeMs) low = middle + 1;
    else high = middle;
  }
  return low;
}
