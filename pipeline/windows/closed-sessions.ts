/** Sessions that have closed and may be corrected, in segments of their end, so that they are dropped by time. */
import { sortableTime } from '#pipeline/state/sortable-time.ts';
import type { Entries } from '#pipeline/state/store.ts';
import type { ClosedSession } from './session-value.ts';

/** Entries are `c<time>:<key>`, before all others of the store: dropping below one of them touches nothing else. */
const CLOSED = 'c';

export interface ClosedSessions {
  put(key: string, sessions: readonly ClosedSession[]): void;
  delete(key: string, session: ClosedSession): void;
  /** The sessions of a key that hold this time and end after `afterMs`, by their end. */
  holding(key: string, timeMs: number, afterMs: number, reachedMs: number): readonly ClosedSession[];
  /** Sessions that end by this time will not be asked for. */
  dropUntil(endMs: number): void;
}

export function createClosedSessions(
  entries: Entries<{ readonly closed: readonly ClosedSession[] }>,
  segmentMs: number,
): ClosedSessions {
  const segmentOf = (endMs: number): number => Math.floor(endMs / segmentMs);
  const headOf = (segment: number): string => CLOSED + sortableTime(segment * segmentMs);
  const pathOf = (segment: number, key: string): string => `${headOf(segment)}:${key}`;
  let droppedSegment = Number.NEGATIVE_INFINITY;

  const read = (path: string): readonly ClosedSession[] => entries.get(path)?.closed ?? [];
  return {
    put: (key, sessions) => {
      for (const session of sessions) {
        const path = pathOf(segmentOf(session.endMs), key);
        entries.put(path, { closed: [...read(path), session].sort((a, b) => a.endMs - b.endMs) });
      }
    },
    delete: (key, session) => {
      const path = pathOf(segmentOf(session.endMs), key);
      const closed = read(path).filter(({ endMs }) => endMs !== session.endMs);
      if (closed.length === 0) entries.delete(path);
      else entries.put(path, { closed });
    },
    holding: (key, timeMs, afterMs, reachedMs) => {
      const found: ClosedSession[] = [];
      // What is closed ended before `reachedMs`.
      for (let segment = segmentOf(Math.max(timeMs, afterMs)); segment <= segmentOf(reachedMs); segment++) {
        for (const session of read(pathOf(segment, key))) {
          if (session.endMs > afterMs && session.startMs <= timeMs && timeMs <= session.endMs)
            found.push(session);
        }
      }
      return found;
    },
    dropUntil: (endMs) => {
      const segment = segmentOf(endMs);
      if (segment <= droppedSegment) return;
      // Dropping twice does no harm: after a restart, or a refused record.
      droppedSegment = segment;
      entries.dropBelow(headOf(segment));
    },
  };
}
