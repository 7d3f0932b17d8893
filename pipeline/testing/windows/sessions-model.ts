/** A model of sessions for tests: lists of records. */
import type { CloseRule } from '#pipeline/windows/closing.ts';

/** A declaration of sessions. */
export interface Setup {
  readonly gapMs: number;
  readonly graceMs: number;
  readonly emit: 'on-close' | 'on-update';
  readonly close: CloseRule;
  readonly retentionMs: number;
  readonly retracts: boolean;
}

interface Row {
  readonly timeMs: number;
  readonly id: string;
}

interface Session {
  readonly key: string;
  /** By time. */
  readonly rows: readonly Row[];
  readonly isClosed: boolean;
}

const startOf = ({ rows }: Session): number => rows[0]?.timeMs ?? 0;
const endOf = ({ rows }: Session): number => rows.at(-1)?.timeMs ?? 0;
const boundsOf = (session: Session): string => `${session.key} [${startOf(session)},${endOf(session)}]`;
const resultOf = ({ rows }: Session): string =>
  rows
    .map(({ id }) => id)
    .sort()
    .join('+');
const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** Sessions as lists of their records. */
export function createModel({ gapMs, graceMs, emit, close, retentionMs }: Setup) {
  let all: Session[] = [];
  const out: string[] = [];
  const counted = { late: 0, dropped: 0 };
  let [logMs, streamMs] = [0, Number.NEGATIVE_INFINITY];
  const reachedMs = (): number => {
    const byLogMs = close.by === 'event-time' ? Number.NEGATIVE_INFINITY : logMs - close.delayMs;
    return Math.max(close.by === 'log-time' ? Number.NEGATIVE_INFINITY : streamMs, byLogMs) - graceMs;
  };
  const isOver = (endMs: number, extraMs = 0): boolean => endMs + gapMs + 1 + extraMs <= reachedMs();
  const settle = (): void => {
    const due = all.filter((session) => !session.isClosed && isOver(endOf(session)));
    due.sort((a, b) => endOf(a) - endOf(b) || byBytes(a.key, b.key));
    for (const session of due) {
      if (emit === 'on-close') out.push(`${boundsOf(session)} ${resultOf(session)} final`);
    }
    all = all.map((session) => (due.includes(session) ? { ...session, isClosed: true } : session));
  };
  const split = ({ key, isClosed, rows }: Session, without: string): Session[] => {
    const parts: Session[] = [];
    for (const row of rows.filter(({ id }) => id !== without)) {
      const part = parts.at(-1);
      if (part !== undefined && row.timeMs - endOf(part) <= gapMs) {
        parts[parts.length - 1] = { ...part, rows: [...part.rows, row] };
      } else {
        parts.push({ key, isClosed, rows: [row] });
      }
    }
    return parts;
  };
  const emitChange = (gone: readonly Session[], present: readonly Session[], phase: string): void => {
    for (const session of gone) {
      if (!present.some((other) => boundsOf(other) === boundsOf(session))) {
        out.push(`${boundsOf(session)} null ${phase}`);
      }
    }
    for (const session of present) out.push(`${boundsOf(session)} ${resultOf(session)} ${phase}`);
  };
  return {
    out,
    counted,
    log: (toMs: number) => {
      logMs = toMs;
      settle();
    },
    stream: (toMs: number) => {
      streamMs = Math.max(streamMs, toMs);
      settle();
    },
    add: (key: string, timeMs: number, id: string) => {
      const joined = all
        .filter((session) => {
          const isNear = startOf(session) - gapMs <= timeMs && timeMs <= endOf(session) + gapMs;
          return session.key === key && !session.isClosed && isNear;
        })
        .sort((a, b) => startOf(a) - startOf(b));
      if (joined.length === 0 && isOver(timeMs)) {
        counted.late += 1;
        out.push(`late ${key} ${timeMs} ${id}`);
        return;
      }
      const rows = [...joined.flatMap((session) => session.rows), { timeMs, id }];
      const merged = { key, isClosed: false, rows: rows.sort((a, b) => a.timeMs - b.timeMs) };
      all = [...all.filter((session) => !joined.includes(session)), merged];
      if (emit === 'on-update') emitChange(joined, [merged], 'update');
    },
    retract: (key: string, timeMs: number, id: string) => {
      const holds = (session: Session) => session.key === key && session.rows.some((row) => row.id === id);
      const found = all.find(
        (session) => holds(session) && (!session.isClosed || !isOver(endOf(session), retentionMs)),
      );
      if (found === undefined) {
        const isLate = isOver(timeMs, retentionMs);
        counted[isLate ? 'late' : 'dropped'] += 1;
        if (isLate) out.push(`late ${key} ${timeMs} -${id}`);
        return;
      }
      const parts = split(found, id);
      all = [...all.filter((session) => session !== found), ...parts];
      if (found.isClosed) emitChange([found], parts, 'correction');
      else if (emit === 'on-update') emitChange([found], parts, 'update');
      settle();
    },
    get: (key: string, timeMs: number) => {
      const found = all.find(
        (session) =>
          session.key === key && !session.isClosed && startOf(session) <= timeMs && timeMs <= endOf(session),
      );
      return found === undefined
        ? undefined
        : { startMs: startOf(found), endMs: endOf(found), result: resultOf(found) };
    },
  };
}
