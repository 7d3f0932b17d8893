/** The state of a join: records wait in entries, and memory knows which are there. `join-window.ts` says what comes out. */
import { PipelineError } from '#pipeline/errors.ts';
import type { StoreContext } from '#pipeline/processor.ts';
import { compareUtf8 } from '#pipeline/state/byte-order.ts';
import { LEAST_TIME_MS, requireTime, sortableTime } from '#pipeline/state/sortable-time.ts';
import type { Codec, StoreAccess, StoreInstance } from '#pipeline/state/store.ts';
import type { CloseRule } from '#pipeline/windows/closing.ts';
import { createClosing } from './close.ts';
import { entryCodec, entryPath, type JoinEntry, readRow, type SideName } from './join-entry.ts';
import type { JoinedOf, JoinSide, JoinStore } from './joined.ts';
import { firstFrom, type Row } from './open-rows.ts';
import { countsMsOf, createSide, firstPartner, isUnmatched, nextPartner, type Side } from './sides.ts';

export interface OpenJoinOptions {
  readonly kind: keyof JoinedOf<unknown, unknown>;
  readonly beforeMs: number;
  readonly afterMs: number;
  readonly graceMs: number;
  /** Null: nothing is ever removed. */
  readonly retentionMs: number | null;
  readonly close: CloseRule;
  readonly joined: (joined: JoinedOf<unknown, unknown>['outer'], context: StoreContext) => void;
  readonly codecs: Readonly<Record<SideName, Codec<unknown>>>;
}

/** Old records are let go in steps of this part of the time for which they count. */
const STEPS = 8;

export function openJoin(
  options: OpenJoinOptions,
  access: StoreAccess,
): StoreInstance<JoinStore<unknown, unknown>> {
  const { kind, beforeMs, afterMs, graceMs, retentionMs, joined } = options;
  const { context } = access;
  const entries = access.entries<JoinEntry>(entryCodec(options.codecs));
  const closing = createClosing(options.close, access);
  const isLeftKept = kind !== 'inner';
  const left = createSide({ name: 'left', backMs: beforeMs, aheadMs: afterMs, isKept: isLeftKept, graceMs });
  const isRightKept = kind === 'outer';
  const right = createSide({
    name: 'right',
    backMs: afterMs,
    aheadMs: beforeMs,
    isKept: isRightKept,
    graceMs,
  });
  const countsMs = countsMsOf(left, right, retentionMs);
  const stepMs = Math.ceil(countsMs / STEPS);
  // Decides only when memory and entries let go of what counts no more: not rolled back, not restored.
  let droppedStep = Math.ceil(LEAST_TIME_MS / stepMs);

  const drop = (progressMs: number): void => {
    if (Math.floor((progressMs - countsMs) / stepMs) <= droppedStep) return;
    // A window that is closed but not handled yet still needs its records.
    const handledMs = Math.min(progressMs, closing.armedMs ?? progressMs);
    const step = Math.floor((handledMs - countsMs) / stepMs);
    if (step <= droppedStep) return;
    droppedStep = step;
    left.rows.dropBefore(step * stepMs);
    right.rows.dropBefore(step * stepMs);
    entries.dropBelow(sortableTime(step * stepMs));
  };

  const entryOf = ({ path }: Row): JoinEntry => {
    const entry = entries.get(path);
    if (entry === undefined) throw new PipelineError('INVARIANT_BROKEN', `${access.name}: no entry ${path}`);
    return entry;
  };
  const shown = ({ timeMs }: Row, { value, id }: JoinEntry): JoinSide<unknown> => ({ timeMs, value, id });
  const passOnPair = (side: Side, row: Row, entry: JoinEntry, partner: Row, isRetraction: boolean): void => {
    const { key } = row;
    const timeMs = Math.max(row.timeMs, partner.timeMs);
    const own = shown(row, entry);
    const other = shown(partner, entryOf(partner));
    if (side === left) joined({ key, left: own, right: other, timeMs, isRetraction }, context);
    else joined({ key, left: other, right: own, timeMs, isRetraction }, context);
  };
  const passOnAlone = (side: Side, row: Row, entry: JoinEntry, isRetraction: boolean): void => {
    const { key, timeMs } = row;
    const own = shown(row, entry);
    if (side === left) joined({ key, left: own, right: null, timeMs, isRetraction }, context);
    else joined({ key, left: null, right: own, timeMs, isRetraction }, context);
  };

  const take = (side: Side, other: Side, given: string, timeMs: number, value: unknown, id: string): void => {
    requireTime(timeMs);
    const progressMs = closing.progressMs();
    const closeMs = timeMs + side.openMs;
    if (closeMs <= progressMs) {
      access.count('late');
      return;
    }
    drop(progressMs);
    const key = given.toWellFormed();
    const ordinal = side.rows.nextOrdinal(key, timeMs);
    const row: Row = { key, timeMs, ordinal, progressMs, path: entryPath(side.name, key, timeMs, ordinal) };
    const entry: JoinEntry = { side: side.name, progressMs, id, value };
    side.rows.add(row);
    access.undo(() => side.rows.remove(row));
    entries.put(row.path, entry);

    const partners = other.rows.ofKey(key);
    let at = firstPartner(side, other, row, partners);
    if (at === -1 && side.isKept) closing.armBy(closeMs);
    for (; at !== -1; at = nextPartner(side, other, row, partners, at + 1)) {
      passOnPair(side, row, entry, partners[at] as Row, false);
    }
  };

  /** The first record of a time with an id. */
  const find = (side: Side, key: string, timeMs: number, id: string): Row | undefined => {
    const rows = side.rows.ofKey(key);
    for (let at = firstFrom(rows, timeMs); ; at++) {
      const row = rows[at];
      if (row?.timeMs !== timeMs) return undefined;
      if (entryOf(row).id === id) return row;
    }
  };

  const remove = (side: Side, other: Side, given: string, timeMs: number, id: string): boolean => {
    if (retentionMs === null) {
      throw new PipelineError(
        'INVARIANT_BROKEN',
        `${access.name}: expected no removal without retentionMs, found one; declare joinWindow({ retentionMs })`,
      );
    }
    const progressMs = closing.progressMs();
    const closeMs = timeMs + side.openMs;
    if (closeMs + retentionMs <= progressMs) {
      access.count('late');
      return false;
    }
    const key = given.toWellFormed();
    const row = find(side, key, timeMs, id);
    if (row === undefined) {
      access.count('dropped');
      return false;
    }
    const entry = entryOf(row);
    entries.delete(row.path);
    side.rows.remove(row);
    access.undo(() => side.rows.add(row));

    // Of what closed before the time that the timers wait for, all that was unmatched has been passed on.
    const handledMs = Math.min(progressMs, (closing.armedMs ?? Number.POSITIVE_INFINITY) - 1);
    const partners = other.rows.ofKey(key);
    let at = firstPartner(side, other, row, partners);
    if (at === -1 && side.isKept && closeMs <= handledMs) passOnAlone(side, row, entry, true);
    for (; at !== -1; at = nextPartner(side, other, row, partners, at + 1)) {
      const partner = partners[at] as Row;
      passOnPair(side, row, entry, partner, true);
      if (!other.isKept || !isUnmatched(other, side, partner)) continue;
      const partnerCloseMs = partner.timeMs + other.openMs;
      if (partnerCloseMs <= handledMs) passOnAlone(other, partner, entryOf(partner), false);
      else closing.armBy(partnerCloseMs);
    }
    return true;
  };

  /** Passes on the unmatched records of a side whose windows close at a time. */
  const closeAt = (side: Side, other: Side, closeMs: number): void => {
    if (!side.isKept) return;
    const rows = side.rows.at(closeMs - side.openMs).filter((row) => isUnmatched(side, other, row));
    rows.sort((a, b) => (a.key === b.key ? a.ordinal - b.ordinal : compareUtf8(a.key, b.key)));
    for (const row of rows) {
      access.attempt(`${row.key}@${row.timeMs}`, () => passOnAlone(side, row, entryOf(row), false));
    }
  };
  /** When the next window of an unmatched record of a side closes; +Infinity: none does. */
  const nextCloseMs = (side: Side, other: Side, afterMs: number): number => {
    if (!side.isKept) return Number.POSITIVE_INFINITY;
    const timeMs = side.rows.firstAfter(afterMs - side.openMs, (row) => isUnmatched(side, other, row));
    return timeMs === undefined ? Number.POSITIVE_INFINITY : timeMs + side.openMs;
  };

  return {
    handle: {
      left: (key, timeMs, value, id = '') => take(left, right, key, timeMs, value, id),
      right: (key, timeMs, value, id = '') => take(right, left, key, timeMs, value, id),
      removeLeft: (key, timeMs, id = '') => remove(left, right, key, timeMs, id),
      removeRight: (key, timeMs, id = '') => remove(right, left, key, timeMs, id),
    },
    load: (path, text) => {
      const { side, row } = readRow(path, text);
      (side === 'left' ? left : right).rows.add(row);
    },
    fired: (timer) => {
      const closeMs = closing.closeMsOf(timer);
      closeAt(left, right, closeMs);
      closeAt(right, left, closeMs);
      const nextMs = Math.min(nextCloseMs(left, right, closeMs), nextCloseMs(right, left, closeMs));
      closing.arm(Number.isFinite(nextMs) ? nextMs : undefined);
    },
  };
}
