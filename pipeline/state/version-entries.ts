/** The entries of a versioned store: the blocks of each key and the ends of the older ones. */
import { sortableTime } from './sortable-time.ts';
import type { Entries, Timers } from './store.ts';
import {
  type Block,
  type ChainEntry,
  cutOf,
  firstEndAfter,
  type StoredVersion,
  type Versions,
} from './version-chain.ts';

export interface VersionEntries<V> {
  /** The block of the newest versions. */
  newest(key: string): Block<V> | undefined;
  /** The older block with this end, which must be after the horizon. */
  older(key: string, endMs: number): Versions<V>;
  /** Ends of the older blocks that reach past the horizon; the others may be dropped already. */
  endsMs(key: string, horizonMs: number): readonly number[];
  writeEnds(key: string, endsMs: readonly number[]): void;
  /** Replaces the newest block `before`. `hasOlder`: there are older blocks that reach past the horizon. */
  writeNewest(change: {
    readonly key: string;
    readonly before: Block<V> | undefined;
    readonly hasOlder: boolean;
    readonly versions: Versions<V>;
    readonly horizonMs: number;
  }): void;
  /** Replaces the older block `at` of `endsMs`. */
  writeOlder(key: string, endsMs: readonly number[], at: number, versions: Versions<V>): void;
  deleteOlder(key: string, endMs: number): void;
}

/** A newest block with more versions puts half of them aside; an older one grows to twice as many. */
const MOST_VERSIONS = 64;

// Sorted after all times, so that no drop reaches them.
const newestPath = (key: string): string => `n${key}`;
const endsPath = (key: string): string => `o${key}`;
const olderPath = (key: string, endMs: number): string => sortableTime(endMs) + key;

/** Sets a log timer of the key for when a tombstone that is the newest version is forgotten. */
export function createVersionEntries<V>(options: {
  readonly entries: Entries<ChainEntry<V>>;
  readonly timers: Timers;
  readonly retentionMs: number;
}): VersionEntries<V> {
  const { entries, timers, retentionMs } = options;
  const blockAt = (path: string): Block<V> | undefined => {
    const entry = entries.get(path);
    return entry !== undefined && 'versions' in entry ? entry : undefined;
  };
  const writeBlock = (key: string, endMs: number, versions: Versions<V>): void =>
    entries.put(olderPath(key, endMs), { hasOlder: false, versions });
  const readEnds = (key: string, horizonMs: number): readonly number[] => {
    const entry = entries.get(endsPath(key));
    const endsMs = entry !== undefined && 'endsMs' in entry ? entry.endsMs : [];
    return endsMs.slice(firstEndAfter(endsMs, horizonMs));
  };
  const writeEnds = (key: string, endsMs: readonly number[]): void => {
    if (endsMs.length === 0) entries.delete(endsPath(key));
    else entries.put(endsPath(key), { endsMs });
  };
  return {
    newest: (key) => blockAt(newestPath(key)),
    older: (key, endMs) => blockAt(olderPath(key, endMs))?.versions ?? [],
    endsMs: readEnds,
    writeEnds,
    writeNewest: ({ key, before, hasOlder, versions, horizonMs }) => {
      const newest = versions.at(-1);
      const isForgotten = newest === undefined || (newest.value === null && newest.timeMs <= horizonMs);
      if (newest?.value === null && !isForgotten) {
        timers.set('log', key.toWellFormed(), newest.timeMs + retentionMs);
      } else if (before?.versions.at(-1)?.value === null) {
        timers.cancel('log', key.toWellFormed());
      }
      if (before?.hasOlder === true && !hasOlder) entries.delete(endsPath(key));
      if (isForgotten) {
        if (before !== undefined) entries.delete(newestPath(key));
        return;
      }
      const cut = versions.length > MOST_VERSIONS ? cutOf(versions) : 0;
      if (cut === 0) {
        entries.put(newestPath(key), { hasOlder, versions });
        return;
      }
      const endMs = (versions[cut] as StoredVersion<V>).timeMs;
      writeBlock(key, endMs, versions.slice(0, cut));
      writeEnds(key, hasOlder ? [...readEnds(key, horizonMs), endMs] : [endMs]);
      entries.put(newestPath(key), { hasOlder: true, versions: versions.slice(cut) });
    },
    writeOlder: (key, endsMs, at, versions) => {
      const cut = versions.length > 2 * MOST_VERSIONS ? cutOf(versions) : 0;
      if (cut > 0) {
        const endMs = (versions[cut] as StoredVersion<V>).timeMs;
        writeBlock(key, endMs, versions.slice(0, cut));
        writeEnds(key, endsMs.toSpliced(at, 0, endMs));
      }
      writeBlock(key, endsMs[at] as number, versions.slice(cut));
    },
    deleteOlder: (key, endMs) => entries.delete(olderPath(key, endMs)),
  };
}
