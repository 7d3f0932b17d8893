/** The two sides of a join, and which of their records belong together. */
import type { SideName } from './join-entry.ts';
import { createOpenRows, firstFrom, type OpenRows, type Row } from './open-rows.ts';

export interface Side {
  readonly name: SideName;
  /** Partners have times from this much before the own time to so much after it. */
  readonly backMs: number;
  readonly aheadMs: number;
  /** From the time of a record until its window closes. */
  readonly openMs: number;
  /** Passed on with null when there is no partner. */
  readonly isKept: boolean;
  readonly rows: OpenRows;
}

export function createSide(
  options: Pick<Side, 'name' | 'backMs' | 'aheadMs' | 'isKept'> & { readonly graceMs: number },
): Side {
  const { name, backMs, aheadMs, isKept, graceMs } = options;
  const openMs = Math.max(0, aheadMs) + 1 + graceMs;
  return { name, backMs, aheadMs, openMs, isKept, rows: createOpenRows() };
}

/**
 * How long a record counts after its time: until its last partner closes; and, when records are removed, until the last
 * record can be that shares a partner with it.
 */
export function countsMsOf(left: Side, right: Side, retentionMs: number | null): number {
  const [furtherMs, nearerMs] = [Math.max(left.openMs, right.openMs), Math.min(left.openMs, right.openMs)];
  // Each `openMs` holds the grace and 1: more than is needed, for the second of them.
  return furtherMs + nearerMs + (retentionMs === null ? 0 : furtherMs + retentionMs);
}

/**
 * Index in `partners`, the rows of the other side of that key, at or after `from`, of one that makes or made a pair with
 * `row`: within the bounds, and neither was closed when the other came. -1: there is none.
 */
export function nextPartner(
  side: Side,
  other: Side,
  row: Row,
  partners: readonly Row[],
  from: number,
): number {
  const lastMs = row.timeMs + side.aheadMs;
  const closeMs = row.timeMs + side.openMs;
  for (let at = from; at < partners.length; at++) {
    const partner = partners[at] as Row;
    if (partner.timeMs > lastMs) return -1;
    if (row.progressMs < partner.timeMs + other.openMs && partner.progressMs < closeMs) return at;
  }
  return -1;
}

export const firstPartner = (side: Side, other: Side, row: Row, partners: readonly Row[]): number =>
  nextPartner(side, other, row, partners, firstFrom(partners, row.timeMs - side.backMs));

export const isUnmatched = (side: Side, other: Side, row: Row): boolean =>
  firstPartner(side, other, row, other.rows.ofKey(row.key)) === -1;
