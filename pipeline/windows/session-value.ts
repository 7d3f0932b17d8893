/** Sessions of one key, and how they are stored. Values are never changed in place. */
import type { Aggregate } from '#pipeline/aggregates/aggregate.ts';
import type { Codec } from '#pipeline/state/store.ts';

/** Event times of the first and the last record, both inclusive. */
export interface SessionBounds {
  readonly startMs: number;
  readonly endMs: number;
}

/** A list of kept inputs: named by the event time of its first one, and how long it is. */
export type KeptList = readonly [firstMs: number, count: number];

export interface OpenSession<State> extends SessionBounds {
  /** Of what was emitted last. */
  readonly revision: number;
  readonly state: State;
  /** Empty when inputs are not kept. */
  readonly kept: readonly KeptList[];
}

/** The open sessions of a key, by start. They do not touch: the gap lies between them. */
export interface OpenSessions<State> {
  readonly sessions: readonly OpenSession<State>[];
  /** Bounds up to here have been emitted up to this revision, by sessions that are gone; null before any was taken back. */
  readonly floor: { readonly endMs: number; readonly revision: number } | null;
}

/** A session that has closed and may be corrected. */
export interface ClosedSession extends SessionBounds {
  readonly revision: number;
  readonly texts: readonly string[];
}

/** Entries of a session store: open sessions, closed ones, or a piece of kept inputs. */
export type StoredSessions<State> =
  | OpenSessions<State>
  | { readonly closed: readonly ClosedSession[] }
  | readonly string[];

export function sessionsCodec<State>(codec: Codec<State>): Codec<StoredSessions<State>> {
  return {
    encode: (stored) => {
      if (!('sessions' in stored)) return JSON.stringify(stored);
      const { sessions, floor } = stored;
      return JSON.stringify({
        sessions: sessions.map((session) => ({ ...session, state: codec.encode(session.state) })),
        floor,
      });
    },
    decode: (text) => {
      // What `encode` above wrote.
      const stored = JSON.parse(text) as StoredSessions<string>;
      if (!('sessions' in stored)) return stored;
      return {
        sessions: stored.sessions.map((session) => ({ ...session, state: codec.decode(session.state) })),
        floor: stored.floor,
      };
    },
  };
}

/** A session made of kept inputs. */
export interface RebuiltSession<State> extends SessionBounds {
  readonly state: State;
  readonly texts: readonly string[];
}

/** A kept input with its event time. */
export const keptText = (eventTimeMs: number, input: string): string => `${eventTimeMs}:${input}`;

/** The sessions that these inputs form, by start. Inputs of one time stay in their order. */
export function rebuildSessions<In, State>(
  texts: readonly string[],
  options: { aggregate: Aggregate<In, State, unknown>; inputCodec: Codec<In>; gapMs: number },
): readonly RebuiltSession<State>[] {
  const { aggregate, inputCodec, gapMs } = options;
  const byTime = texts
    .map((text) => ({ text, timeMs: Number(text.slice(0, text.indexOf(':'))) }))
    .sort((a, b) => a.timeMs - b.timeMs);
  const sessions: { startMs: number; endMs: number; state: State; texts: string[] }[] = [];
  for (const { text, timeMs } of byTime) {
    let session = sessions.at(-1);
    if (session === undefined || timeMs - session.endMs > gapMs) {
      session = { startMs: timeMs, endMs: timeMs, state: aggregate.zero, texts: [] };
      sessions.push(session);
    }
    session.endMs = timeMs;
    session.state = aggregate.add(session.state, inputCodec.decode(text.slice(text.indexOf(':') + 1)));
    session.texts.push(text);
  }
  return sessions;
}
