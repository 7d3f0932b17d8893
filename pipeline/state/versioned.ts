/**
 * Versions of values over event time: what held at a time, never the latest (Kafka Streams: versioned state store).
 *
 *     stores: { prices: versioned<Price>({ retentionMs: 2 * DAY_MS, maxAgeMs: 10 * MINUTE_MS }) }
 *     stores.prices.put('ETH', eventTimeMs, price);
 *     stores.prices.asOf('ETH', transfer.eventTimeMs); // { timeMs, value } | undefined
 *
 * History reaches back to the horizon, log time - `retentionMs`: a table can be read where the own stream is quiet, and
 * event time would stand still there while the table grows. So `retentionMs` covers how deep lookups go and how far
 * event time lies behind log time. The version that holds at the horizon is kept, however old, with all that follow.
 *
 * Entries: the newest versions of a key together, and older ones in blocks whose keys begin with the time at which the
 * block ends, so that those before the horizon are dropped by range. A lookup reads one entry when the newest block
 * reaches back far enough, else three.
 */
import { durationProblem, refuseProblems } from './durations.ts';
import { requireTime, sortableTime } from './sortable-time.ts';
import {
  type Codec,
  type Json,
  jsonCodec,
  type StoreAccess,
  type StoreDeclaration,
  type StoreInstance,
} from './store.ts';
import {
  type Block,
  type ChainEntry,
  chainCodec,
  firstEndAfter,
  lastAt,
  placeOf,
  type StoredVersion,
  sinceHorizon,
} from './version-chain.ts';
import { createVersionEntries } from './version-entries.ts';

/** A value and since when it holds. */
export interface Version<V> {
  /** Event time, epoch milliseconds. */
  readonly timeMs: number;
  readonly value: V;
}

/** `kept`: stored. `known`: there is one of this time (and tie-break), which stays. `late`: before the horizon; counted. */
export type PutResult = 'kept' | 'known' | 'late';

/** Values are never changed in place. Keys are compared by their bytes. Times are whole epoch milliseconds. */
export interface VersionedStore<V> {
  /**
   * Adds a version, in any order of times; null is a tombstone: from then on nothing holds. Late is what is followed by
   * another version at or before the horizon. Throws VALUE_UNREADABLE for a time that is not whole milliseconds.
   */
  put(key: string, timeMs: number, value: V | null, tieBreak?: string): PutResult;
  /** Takes a version out, as if it had never been put; false when it is not there (any more). */
  remove(key: string, timeMs: number, tieBreak?: string): boolean;
  /** The last version at or before `timeMs`; undefined: none, a tombstone, older than `maxAgeMs`, or forgotten. */
  asOf(key: string, timeMs: number): Version<V> | undefined;
  /** The version of the greatest time; undefined: none or a tombstone. */
  latest(key: string): Version<V> | undefined;
}

/**
 * Of two versions of one key and time: `first`: the first one put stays. `last`: the later one replaces it, as in Kafka
 * Streams. `least`, `greatest`: both are kept, and the one with the least or greatest tie-break (by code units) holds;
 * of one tie-break the first stays.
 */
export type SameTime = 'first' | 'last' | 'least' | 'greatest';

export interface VersionedOptions<V> {
  /** How far history reaches back from log time, at least 1. A tombstone that nothing followed is forgotten after it. */
  readonly retentionMs: number;
  /** A version older than this at the time of the lookup says nothing. Default: it holds for ever. */
  readonly maxAgeMs?: number;
  /** Default `first`. */
  readonly sameTime?: SameTime;
  /** Default JSON. */
  readonly codec?: Codec<V>;
}

/** Declares a versioned store. Throws GRAPH_INVALID for wrong durations. */
export const versioned = <V = Json>(options: VersionedOptions<V>): StoreDeclaration<VersionedStore<V>> => {
  const { retentionMs, maxAgeMs = null, sameTime = 'first' } = options;
  refuseProblems([
    durationProblem('versioned.retentionMs', retentionMs, 1, 'cover the deepest lookup'),
    durationProblem('versioned.maxAgeMs', maxAgeMs ?? 0, 0, 'leave it out when a version holds for ever'),
  ]);
  // Json is the default type of a value; other types need no codec only where JSON keeps them.
  const codec = options.codec ?? (jsonCodec() as unknown as Codec<V>);
  return {
    kind: 'versioned',
    settings: { retentionMs, maxAgeMs, sameTime },
    open: (access) =>
      open({ retentionMs, maxAgeMs: maxAgeMs ?? Number.POSITIVE_INFINITY, sameTime, codec }, access),
  };
};

/** The horizon is passed on to the entries in steps of this part of the retention. */
const STEPS = 16;

function open<V>(
  options: Required<VersionedOptions<V>>,
  access: StoreAccess,
): StoreInstance<VersionedStore<V>> {
  const { retentionMs, maxAgeMs, sameTime, codec } = options;
  const { context, timers } = access;
  const entries = access.entries<ChainEntry<V>>(chainCodec(codec));
  const blocks = createVersionEntries<V>({ entries, timers, retentionMs });
  const hasTies = sameTime === 'least' || sameTime === 'greatest';
  const direction = sameTime === 'least' ? -1 : 1;
  const stepMs = Math.ceil(retentionMs / STEPS);
  // Decides only when entries are dropped that nobody reads: not rolled back, not restored.
  let droppedStep = Number.NEGATIVE_INFINITY;

  const turn = (): number => {
    const horizonMs = context.logTimeMs - retentionMs;
    const step = Math.floor(horizonMs / stepMs);
    if (step > droppedStep) {
      droppedStep = step;
      entries.dropBelow(sortableTime(step * stepMs));
    }
    return horizonMs;
  };

  /** The block that a time belongs to, without what the horizon has passed. */
  const locate = (key: string, newest: Block<V>, timeMs: number, horizonMs: number) => {
    const startMs = firstTime(newest);
    const hasOlder = newest.hasOlder && startMs > horizonMs;
    // The start of the newest block matters too: without its first version it no longer ends the block before.
    const endsMs = hasOlder && timeMs <= startMs ? blocks.endsMs(key, horizonMs) : NONE;
    const at = firstEndAfter(endsMs, timeMs);
    const endMs = endsMs[at];
    const versions = endMs === undefined ? newest.versions : blocks.older(key, endMs);
    return { hasOlder, endsMs, at, endMs, versions: sinceHorizon(versions, horizonMs) };
  };

  const put: VersionedStore<V>['put'] = (key, timeMs, value, tieBreak = '') => {
    requireTime(timeMs);
    const horizonMs = turn();
    const version = { timeMs, tieBreak: hasTies ? tieBreak : '', value };
    const newest = blocks.newest(key);
    if (newest === undefined) {
      blocks.writeNewest({ key, before: newest, hasOlder: false, versions: [version], horizonMs });
      return 'kept';
    }
    const { hasOlder, endsMs, at, endMs, versions } = locate(key, newest, timeMs, horizonMs);
    const nextMs = versions[lastAt(versions, timeMs) + 1]?.timeMs ?? endMs;
    if (nextMs !== undefined && nextMs <= horizonMs) {
      access.count('late');
      return 'late';
    }
    const place = placeOf(versions, timeMs, version.tieBreak, direction);
    if (place >= 0 && sameTime !== 'last') return 'known';
    const changed = place >= 0 ? versions.with(place, version) : versions.toSpliced(-1 - place, 0, version);
    if (endMs !== undefined) blocks.writeOlder(key, endsMs, at, changed);
    else blocks.writeNewest({ key, before: newest, hasOlder, versions: changed, horizonMs });
    return 'kept';
  };

  const remove: VersionedStore<V>['remove'] = (key, timeMs, tieBreak = '') => {
    const horizonMs = turn();
    const newest = blocks.newest(key);
    if (newest === undefined) return false;
    const { hasOlder, endsMs, at, endMs, versions } = locate(key, newest, timeMs, horizonMs);
    const place = placeOf(versions, timeMs, hasTies ? tieBreak : '', direction);
    if (place < 0) return false;
    let rest = versions.toSpliced(place, 1);
    let keptEndsMs = endsMs;
    const previousEndMs = endsMs[at - 1];
    if (previousEndMs !== undefined && rest[0]?.timeMs !== previousEndMs) {
      // The block no longer begins where the one before it ends: they become one.
      rest = [...sinceHorizon(blocks.older(key, previousEndMs), horizonMs), ...rest];
      keptEndsMs = endsMs.toSpliced(at - 1, 1);
      blocks.deleteOlder(key, previousEndMs);
    } else if (rest.length === 0 && endMs !== undefined) {
      keptEndsMs = endsMs.toSpliced(at, 1);
      blocks.deleteOlder(key, endMs);
    }
    if (keptEndsMs !== endsMs) blocks.writeEnds(key, keptEndsMs);
    if (endMs === undefined) {
      const staysOlder = keptEndsMs === endsMs ? hasOlder : keptEndsMs.length > 0;
      blocks.writeNewest({ key, before: newest, hasOlder: staysOlder, versions: rest, horizonMs });
    } else if (rest.length > 0) {
      blocks.writeOlder(key, keptEndsMs, keptEndsMs.indexOf(endMs), rest);
    } else if (keptEndsMs.length === 0) {
      blocks.writeNewest({ key, before: newest, hasOlder: false, versions: newest.versions, horizonMs });
    }
    return true;
  };

  const asOf: VersionedStore<V>['asOf'] = (key, timeMs) => {
    const newest = blocks.newest(key);
    if (newest === undefined) return undefined;
    const horizonMs = context.logTimeMs - retentionMs;
    let { versions } = newest;
    let endMs = Number.POSITIVE_INFINITY;
    const startMs = firstTime(newest);
    if (timeMs < startMs) {
      if (!newest.hasOlder || startMs <= horizonMs) return undefined;
      const endsMs = blocks.endsMs(key, horizonMs);
      endMs = endsMs[firstEndAfter(endsMs, timeMs)] ?? startMs;
      versions = blocks.older(key, endMs);
    }
    const at = lastAt(versions, timeMs);
    const version = versions[at];
    const nextMs = versions[at + 1]?.timeMs ?? endMs;
    if (version === undefined || nextMs <= horizonMs || timeMs - version.timeMs > maxAgeMs) return undefined;
    return holding(version);
  };

  return {
    handle: { put, remove, asOf, latest: (key) => holding(blocks.newest(key)?.versions.at(-1)) },
    // The tombstone that was put last has come to the horizon: nothing is known of the key any more.
    fired: ({ key }) => {
      const before = blocks.newest(key);
      if (before === undefined) return;
      const horizonMs = context.logTimeMs - retentionMs;
      blocks.writeNewest({ key, before, hasOlder: false, versions: before.versions, horizonMs });
    },
  };
}

const NONE: readonly number[] = [];

const firstTime = <V>(block: Block<V>): number => (block.versions[0] as StoredVersion<V>).timeMs;

const holding = <V>(version: StoredVersion<V> | undefined): Version<V> | undefined =>
  // No tombstone: the value is a V.
  version === undefined || version.value === null ? undefined : (version as Version<V>);
