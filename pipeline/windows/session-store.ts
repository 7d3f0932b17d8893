/** The running part of `sessions`. */
import { PipelineError } from '#pipeline/errors.ts';
import { wellFormed } from '#pipeline/state/byte-order.ts';
import { requireTime } from '#pipeline/state/sortable-time.ts';
import type { Entries, StoreAccess, StoreInstance } from '#pipeline/state/store.ts';
import { createClosedSessions } from './closed-sessions.ts';
import { createClosing } from './closing.ts';
import { createEndQueue } from './end-queue.ts';
import { createSessionInputs } from './session-inputs.ts';
import {
  type ClosedSession,
  type KeptList,
  type OpenSession,
  type OpenSessions,
  type SessionBounds,
  sessionsCodec,
} from './session-value.ts';
import type { SessionSettings, SessionStore } from './sessions.ts';
import type { WindowPhase } from './windows.ts';

/** Open sessions are at `o<key>`; closed ones and kept inputs come before. */
const OPEN = 'o';
/** One timer for the whole store: for what closes next. */
const NEXT = 'next';
const NOTHING_KEPT: readonly KeptList[] = [];

export function openSessionStore<In, State, Out>(
  settings: SessionSettings<In, State, Out>,
  access: StoreAccess,
): StoreInstance<SessionStore<In, Out>> {
  const { gapMs, aggregate, retentionMs, retracts, changed, late } = settings;
  const { context } = access;
  const isOnClose = settings.emit === 'on-close';
  const valueCodec = sessionsCodec(aggregate.codec);
  const stored = access.entries(valueCodec);
  // The first letter of an entry's key says which of the three it is.
  const entries = stored as Entries<unknown> as Entries<OpenSessions<State>>;
  const inputs = createSessionInputs({
    settings,
    entries: stored as Entries<unknown> as Entries<readonly string[]>,
    name: access.name,
  });
  const closed = createClosedSessions(
    stored as Entries<unknown> as Entries<{ closed: readonly ClosedSession[] }>,
    // Of what may still be corrected, two or three segments hold all.
    Math.max(retentionMs, gapMs + 1),
  );
  const closing = createClosing(settings.close, settings.graceMs, access);
  const queue = createEndQueue(access.undo);

  /** A record up to `gapMs` after the last one still joins: as a window, a session ends after that. */
  const closesAt = (endMs: number): number => endMs + gapMs + 1;
  /** A closed session that ended by this time is not corrected any more, and may not be there. */
  const pastMs = (): number => closing.reachedMs() - retentionMs - gapMs - 1;
  const keepClosed = (key: string, all: readonly ClosedSession[]): void => {
    const afterMs = pastMs();
    closed.put(
      key,
      all.filter(({ endMs }) => endMs > afterMs),
    );
  };

  const emit = (
    key: string,
    { startMs, endMs }: SessionBounds,
    result: Out | null,
    revision: number,
    phase: WindowPhase,
  ): void => changed({ key, startMs, endMs, result, revision, phase }, context);
  const reportLate = (key: string, eventTimeMs: number, input: In, isRetraction: boolean): void => {
    access.count('late');
    late?.({ key, eventTimeMs, input, isRetraction }, context);
  };

  /** When something of the key is to be done next: its first session closes, or what was emitted of it can be forgotten. */
  const firstEnd = ({ sessions, floor }: OpenSessions<State>): number | undefined =>
    sessions[0]?.endMs ?? floor?.endMs;
  const put = (path: string, open: OpenSessions<State>): void => {
    const endMs = firstEnd(open);
    if (endMs === undefined) {
      entries.delete(path);
      queue.delete(path);
      return;
    }
    entries.put(path, open);
    // A key may be looked at too early, never too late: then nothing moves while a session grows.
    const queuedMs = queue.get(path);
    if (queuedMs !== undefined && queuedMs <= endMs) return;
    queue.set(path, endMs);
    closing.setIfEarlier(NEXT, closesAt(endMs));
  };

  const add = (givenKey: string, eventTimeMs: number, input: In): void => {
    requireTime(eventTimeMs);
    const key = wellFormed(givenKey);
    // One text for all look-ups: its hash is then known.
    const path = OPEN + key;
    const open = entries.get(path);
    const all = open?.sessions ?? [];
    const joined = all.filter(
      ({ startMs, endMs }) => startMs - gapMs <= eventTimeMs && eventTimeMs <= endMs + gapMs,
    );
    if (joined.length === 0 && closesAt(eventTimeMs) <= closing.reachedMs()) {
      reportLate(key, eventTimeMs, input, false);
      return;
    }
    const floor = open?.floor ?? null;
    let bounds: SessionBounds = { startMs: eventTimeMs, endMs: eventTimeMs };
    let revision = floor?.revision ?? -1;
    let state = aggregate.zero;
    let lists = NOTHING_KEPT;
    for (const session of joined) {
      bounds = {
        startMs: Math.min(bounds.startMs, session.startMs),
        endMs: Math.max(bounds.endMs, session.endMs),
      };
      revision = Math.max(revision, session.revision);
      state = session === joined[0] ? session.state : aggregate.merge(state, session.state);
      if (session.kept.length > 0) lists = lists.length === 0 ? session.kept : [...lists, ...session.kept];
    }
    revision += 1;
    const merged: OpenSession<State> = {
      ...bounds,
      revision,
      state: aggregate.add(state, input),
      kept: retracts ? inputs.add(key, lists, eventTimeMs, input) : lists,
    };
    const others = joined.length === all.length ? [] : all.filter((session) => !joined.includes(session));
    const sessions =
      others.length === 0 ? [merged] : [...others, merged].sort((a, b) => a.startMs - b.startMs);
    put(path, { sessions, floor });
    if (isOnClose) return;
    for (const session of joined) {
      if (!isSame(session, merged)) emit(key, session, null, revision, 'update');
    }
    emit(key, merged, aggregate.result(merged.state), revision, 'update');
  };

  const emitRebuilt = (
    key: string,
    before: SessionBounds,
    after: readonly (SessionBounds & { readonly state: State })[],
    revision: number,
    phase: WindowPhase,
  ): void => {
    if (!after.some((session) => isSame(session, before))) emit(key, before, null, revision, phase);
    for (const session of after) emit(key, session, aggregate.result(session.state), revision, phase);
  };

  const removeFromOpen = (
    key: string,
    open: OpenSessions<State>,
    session: OpenSession<State>,
    record: { readonly eventTimeMs: number; readonly input: In },
  ): boolean => {
    const texts = inputs.read(key, session.kept);
    const parts = inputs.without(texts, record.eventTimeMs, record.input);
    if (parts === null) return false;
    const revision = Math.max(session.revision, open.floor?.revision ?? -1) + 1;
    inputs.forget(key, session.kept);
    const rebuilt = parts.map(({ startMs, endMs, state, texts: own }): OpenSession<State> => {
      return { startMs, endMs, revision, state, kept: inputs.write(key, startMs, own) };
    });
    const others = open.sessions.filter((other) => other !== session);
    const sessions = [...others, ...rebuilt].sort((a, b) => a.startMs - b.startMs);
    const floorEndMs = Math.max(session.endMs, open.floor?.endMs ?? session.endMs);
    put(OPEN + key, { sessions, floor: isOnClose ? null : { endMs: floorEndMs, revision } });
    if (!isOnClose) emitRebuilt(key, session, rebuilt, revision, 'update');
    // The earlier of two parts may be closed already.
    settle();
    return true;
  };
  const removeFromClosed = (
    key: string,
    session: ClosedSession,
    record: { readonly eventTimeMs: number; readonly input: In },
  ): boolean => {
    const parts = inputs.without(session.texts, record.eventTimeMs, record.input);
    if (parts === null) return false;
    const revision = session.revision + 1;
    closed.delete(key, session);
    keepClosed(
      key,
      parts.map(({ startMs, endMs, texts }) => ({ startMs, endMs, revision, texts })),
    );
    emitRebuilt(key, session, parts, revision, 'correction');
    return true;
  };
  const remove = (givenKey: string, eventTimeMs: number, input: In): void => {
    if (!retracts) {
      const next = 'declare the sessions with retracts: true';
      throw new PipelineError('INVARIANT_BROKEN', `${access.name} does not take records back; ${next}`);
    }
    requireTime(eventTimeMs);
    const key = wellFormed(givenKey);
    const open = entries.get(OPEN + key);
    for (const session of open?.sessions ?? []) {
      const isHere = session.startMs <= eventTimeMs && eventTimeMs <= session.endMs;
      if (open !== undefined && isHere && removeFromOpen(key, open, session, { eventTimeMs, input })) return;
    }
    const afterMs = pastMs();
    if (retentionMs > 0) {
      for (const session of closed.holding(key, eventTimeMs, afterMs, closing.reachedMs())) {
        if (removeFromClosed(key, session, { eventTimeMs, input })) return;
      }
    }
    if (eventTimeMs <= afterMs) reportLate(key, eventTimeMs, input, true);
    else access.count('dropped');
  };

  /** The first session of the key closes, or nothing of it is open any more. */
  const closeFirst = (path: string, { sessions, floor }: OpenSessions<State>): void => {
    const [session, ...others] = sessions;
    put(path, { sessions: others, floor: session === undefined ? null : floor });
    if (session === undefined) return;
    const key = path.slice(OPEN.length);
    if (retentionMs > 0) {
      const revision = isOnClose ? 0 : Math.max(session.revision, floor?.revision ?? 0);
      const { startMs, endMs } = session;
      keepClosed(key, [{ startMs, endMs, revision, texts: inputs.read(key, session.kept) }]);
    }
    if (retracts) inputs.forget(key, session.kept);
    if (isOnClose) {
      access.attempt(`${key}@${session.startMs}`, () =>
        emit(key, session, aggregate.result(session.state), 0, 'final'),
      );
    }
  };
  /** Closes what is due, by (end, key). Gives the end of what comes next. */
  const closeDue = (): number | undefined => {
    const reachedMs = closing.reachedMs();
    for (let next = queue.first(); next !== undefined; next = queue.first()) {
      // The queue knows keys by their paths.
      const path = next.key;
      const open = entries.get(path);
      const endMs = open === undefined ? undefined : firstEnd(open);
      if (open === undefined || endMs === undefined) queue.delete(path);
      else if (endMs !== next.endMs) queue.set(path, endMs);
      else if (closesAt(endMs) > reachedMs) return endMs;
      else {
        queue.delete(path);
        closeFirst(path, open);
      }
    }
    return undefined;
  };
  const settle = (): void => {
    const nextMs = closeDue();
    if (nextMs === undefined) closing.clear(NEXT);
    else closing.set(NEXT, closesAt(nextMs));
  };

  return {
    handle: {
      add,
      remove,
      get: (givenKey, timeMs) => {
        const sessions = entries.get(OPEN + wellFormed(givenKey))?.sessions ?? [];
        const found = sessions.find(({ startMs, endMs }) => startMs <= timeMs && timeMs <= endMs);
        if (found === undefined) return undefined;
        const { startMs, endMs, state } = found;
        return { startMs, endMs, result: aggregate.result(state) };
      },
    },
    load: (path, text) => {
      if (!path.startsWith(OPEN)) return;
      const value = valueCodec.decode(text);
      const endMs = 'sessions' in value ? firstEnd(value) : undefined;
      if (endMs !== undefined) queue.set(path, endMs);
    },
    fired: () => {
      settle();
      if (retentionMs > 0) closed.dropUntil(pastMs());
    },
  };
}

const isSame = (a: SessionBounds, b: SessionBounds): boolean =>
  a.startMs === b.startMs && a.endMs === b.endMs;
