/** The records of one side of a join that still count, in memory: by key for matching, by time for closing. */

/** A record of a join; its value lies in the entry. */
export interface Row {
  readonly key: string;
  /** Event time. */
  readonly timeMs: number;
  /** Order of arrival among the records of its side, key and time. */
  readonly ordinal: number;
  /** How far closing had come when it was taken in. */
  readonly progressMs: number;
  /** Key of its entry. */
  readonly path: string;
}

interface Moment {
  readonly timeMs: number;
  readonly rows: Row[];
}

export interface OpenRows {
  /** The ordinal of the next record of a key and time. */
  nextOrdinal(key: string, timeMs: number): number;
  add(row: Row): void;
  remove(row: Row): void;
  /** Rows of a key by (time, ordinal), with the index of the first at or after a time in `firstFrom`. */
  ofKey(key: string): readonly Row[];
  /** Rows of a time, in no order. */
  at(timeMs: number): readonly Row[];
  /** The first time after `timeMs` at which `test` holds for a row. */
  firstAfter(timeMs: number, test: (row: Row) => boolean): number | undefined;
  /** Forgets all rows before a time. */
  dropBefore(timeMs: number): void;
}

const NONE: readonly Row[] = [];

/** Index of the first element at or after a time. Mostly the last ones are wanted. */
export function firstFrom(sorted: readonly { readonly timeMs: number }[], timeMs: number): number {
  let [low, high] = [0, sorted.length];
  const last = sorted[high - 1];
  if (last === undefined || last.timeMs < timeMs) return high;
  while (low < high) {
    const middle = (low + high) >> 1;
    // Between the bounds: it is there.
    if ((sorted[middle] as { timeMs: number }).timeMs < timeMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** After the rows of the same time with lower ordinals: what is loaded comes in another order. */
function placeOf(rows: readonly Row[], { timeMs, ordinal }: Row): number {
  let at = firstFrom(rows, timeMs + 1);
  for (; at > 0; at--) {
    const before = rows[at - 1] as Row;
    if (before.timeMs < timeMs || before.ordinal < ordinal) break;
  }
  return at;
}

export function createOpenRows(): OpenRows {
  const byKey = new Map<string, Row[]>();
  /** By time. */
  const moments: Moment[] = [];
  return {
    nextOrdinal: (key, timeMs) => {
      const rows = byKey.get(key);
      const before = rows?.[firstFrom(rows, timeMs + 1) - 1];
      return before?.timeMs === timeMs ? before.ordinal + 1 : 0;
    },
    add: (row) => {
      const rows = byKey.get(row.key);
      if (rows === undefined) byKey.set(row.key, [row]);
      else rows.splice(placeOf(rows, row), 0, row);
      const at = firstFrom(moments, row.timeMs);
      const moment = moments[at];
      if (moment?.timeMs === row.timeMs) moment.rows.push(row);
      else moments.splice(at, 0, { timeMs: row.timeMs, rows: [row] });
    },
    remove: (row) => {
      const rows = byKey.get(row.key);
      const place = rows?.indexOf(row) ?? -1;
      if (place >= 0) rows?.splice(place, 1);
      if (rows?.length === 0) byKey.delete(row.key);
      const at = firstFrom(moments, row.timeMs);
      const moment = moments[at];
      const inMoment = moment?.timeMs === row.timeMs ? moment.rows.indexOf(row) : -1;
      if (inMoment >= 0) moment?.rows.splice(inMoment, 1);
      if (moment?.rows.length === 0) moments.splice(at, 1);
    },
    ofKey: (key) => byKey.get(key) ?? NONE,
    at: (timeMs) => {
      const moment = moments[firstFrom(moments, timeMs)];
      return moment?.timeMs === timeMs ? moment.rows : NONE;
    },
    firstAfter: (timeMs, test) => {
      for (let at = firstFrom(moments, timeMs + 1); at < moments.length; at++) {
        const moment = moments[at] as Moment;
        if (moment.rows.some(test)) return moment.timeMs;
      }
      return undefined;
    },
    dropBefore: (timeMs) => {
      const end = firstFrom(moments, timeMs);
      if (end === 0) return;
      const keys = new Set<string>();
      for (const { rows } of moments.splice(0, end)) for (const { key } of rows) keys.add(key);
      for (const key of keys) {
        const rows = byKey.get(key) as Row[];
        rows.splice(0, firstFrom(rows, timeMs));
        if (rows.length === 0) byKey.delete(key);
      }
    },
  };
}
