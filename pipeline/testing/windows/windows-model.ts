/** A model of windows for tests: all records and all windows, looked through each time. */
import type { CloseRule } from '#pipeline/windows/closing.ts';
import type { WindowShape } from '#pipeline/windows/shapes.ts';

/** A declaration of windows. `canRemove`: the aggregate can undo. */
export interface Setup {
  readonly of: Readonly<Record<string, WindowShape>>;
  readonly graceMs: number;
  readonly emit: 'on-close' | 'on-update';
  readonly close: CloseRule;
  readonly retentionMs: number;
  readonly retracts: boolean;
  readonly canRemove: boolean;
}

interface Window {
  readonly name: string;
  readonly startMs: number;
  readonly endMs: number;
}

interface Held {
  readonly key: string;
  readonly timeMs: number;
  readonly id: string;
  /** Windows that it counted in when it came. */
  readonly counts: ReadonlySet<string>;
  isHeld: boolean;
}

/** A window of a key as text. */
export const shown = ({ name, startMs }: Window, key: string): string => `${name} ${key} ${startMs}`;
const byOrder = (a: string | number, b: string | number): number => (a < b ? -1 : a > b ? 1 : 0);

/** All records and all windows, looked through each time. */
export function createModel({ of, graceMs, emit, close, retentionMs }: Setup) {
  const held: Held[] = [];
  const revisions = new Map<string, number>();
  const out: string[] = [];
  const counted = { late: 0, dropped: 0 };
  let [logMs, streamMs] = [0, Number.NEGATIVE_INFINITY];

  const reachedMs = (): number => {
    const byLogMs = close.by === 'event-time' ? Number.NEGATIVE_INFINITY : logMs - close.delayMs;
    return Math.max(close.by === 'log-time' ? Number.NEGATIVE_INFINITY : streamMs, byLogMs) - graceMs;
  };
  const windowsAt = (timeMs: number): Window[] =>
    Object.entries(of)
      .flatMap(([name, { sizeMs, advanceMs }]) => {
        const last = Math.floor(timeMs / advanceMs) * advanceMs;
        const found: Window[] = [];
        for (let startMs = last; startMs + sizeMs > timeMs; startMs -= advanceMs) {
          found.push({ name, startMs, endMs: startMs + sizeMs });
        }
        return found;
      })
      .sort((a, b) => a.startMs - b.startMs || byOrder(a.name, b.name));
  const isClosed = ({ endMs }: Window): boolean => endMs <= reachedMs();
  const isExpired = ({ endMs }: Window): boolean => endMs + retentionMs <= reachedMs();
  const resultOf = (window: Window, key: string): string | null => {
    const ids = held.filter((one) => one.isHeld && one.key === key && one.counts.has(shown(window, key)));
    return ids.length === 0
      ? null
      : ids
          .map(({ id }) => id)
          .sort()
          .join('+');
  };
  const emitNext = (window: Window, key: string, phase: string): void => {
    const name = shown(window, key);
    const revision = (revisions.get(name) ?? -1) + 1;
    revisions.set(name, revision);
    out.push(`${name} ${resultOf(window, key)} #${revision} ${phase}`);
  };
  const advance = (move: () => void): void => {
    const before = reachedMs();
    move();
    if (emit === 'on-update') return;
    const due = new Map<string, readonly [Window, string]>();
    for (const { key, timeMs } of held) {
      for (const window of windowsAt(timeMs)) {
        if (isClosed(window) && window.endMs > before && resultOf(window, key) !== null) {
          due.set(shown(window, key), [window, key]);
        }
      }
    }
    const inOrder = [...due.values()].sort(
      ([a, keyA], [b, keyB]) =>
        a.endMs - b.endMs || byOrder(a.name, b.name) || Buffer.compare(Buffer.from(keyA), Buffer.from(keyB)),
    );
    for (const [window, key] of inOrder) emitNext(window, key, 'final');
  };
  const late = (window: Window, key: string, id: string): void => {
    counted.late += 1;
    out.push(`late ${shown(window, key)} ${id}`);
  };
  return {
    out,
    counted,
    held,
    reachedMs,
    log: (toMs: number) => advance(() => (logMs = toMs)),
    stream: (toMs: number) => advance(() => (streamMs = Math.max(streamMs, toMs))),
    add: (key: string, timeMs: number, id: string) => {
      const all = windowsAt(timeMs);
      for (const window of all.filter(isClosed)) late(window, key, id);
      const open = all.filter((window) => !isClosed(window));
      const counts = new Set(open.map((window) => shown(window, key)));
      held.push({ key, timeMs, id, counts, isHeld: true });
      if (emit === 'on-update') for (const window of open) emitNext(window, key, 'update');
    },
    retract: (record: Pick<Held, 'key' | 'timeMs' | 'id'>) => {
      const { key, timeMs, id } = record;
      const all = windowsAt(timeMs);
      if (all.every(isExpired)) {
        for (const window of all) late(window, key, `-${id}`);
        return;
      }
      const found = held.find((one) => one.id === id && one.isHeld);
      if (found === undefined) {
        counted.dropped += 1;
        return;
      }
      found.isHeld = false;
      const changes = (window: Window) => found.counts.has(shown(window, key)) && !isExpired(window);
      for (const window of all.filter((one) => !changes(one))) late(window, key, `-${id}`);
      for (const window of all.filter(changes)) {
        if (isClosed(window)) emitNext(window, key, 'correction');
        else if (emit === 'on-update') emitNext(window, key, 'update');
      }
    },
    get: (key: string, timeMs: number) =>
      windowsAt(timeMs).map((window) =>
        isExpired(window) ? undefined : (resultOf(window, key) ?? undefined),
      ),
    windowsAt,
  };
}
