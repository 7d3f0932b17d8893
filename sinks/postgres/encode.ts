/**
 * Values as text of PostgreSQL's `COPY ... FROM STDIN` (text format; PostgreSQL manual, "COPY", "Text Format").
 * Everything here is pure. A cell is the text of one value before escaping; null is SQL NULL, which is unknown.
 */

export type Cell = string | null;

/** How many UTF-16 units are gathered before a chunk is handed on: 64 KB and more per write. */
const CHUNK_UNITS = 65_536;

/** What `COPY` would read as structure; and U+0000, which no PostgreSQL text can hold. */
const SPECIAL = /[\\\t\n\r\u0000]/;
const EACH_SPECIAL = /[\\\t\n\r\u0000]/g;
const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['\\', '\\\\'],
  ['\t', '\\t'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\u0000', '\uFFFD'],
]);

/** One cell, escaped. U+0000 becomes U+FFFD; half a surrogate pair becomes U+FFFD when encoded as UTF-8. */
export const copyCell = (cell: Cell): string => {
  if (cell === null) return '\\N';
  return SPECIAL.test(cell) ? cell.replaceAll(EACH_SPECIAL, (found) => ESCAPES.get(found) ?? found) : cell;
};

/** One line with its end. */
export function copyLine(cells: readonly Cell[]): string {
  let line = '';
  for (let index = 0; index < cells.length; index += 1) {
    line += (index === 0 ? '' : '\t') + copyCell(cells[index] ?? null);
  }
  return line + '\n';
}

/** Lines as UTF-8, in chunks of 64 KB or more: one small write per row costs more than the row. */
export function* copyChunks(rows: Iterable<readonly Cell[]>): Generator<Buffer> {
  let text = '';
  for (const cells of rows) {
    text += copyLine(cells);
    if (text.length >= CHUNK_UNITS) {
      yield Buffer.from(text);
      text = '';
    }
  }
  if (text !== '') yield Buffer.from(text);
}

/** Any text that PostgreSQL can hold: without U+0000, without half surrogate pairs. */
export const storable = (text: string): string => text.replaceAll('\u0000', '\uFFFD').toWellFormed();

/** JSON text for `jsonb`. Exact integers (bigint) as decimal text; NaN and infinities as null: unknown. */
export function jsonCell(value: unknown): string {
  // `jsonb` refuses the escapes \u0000 and \udXXX, so strings are cleaned before they are escaped.
  return JSON.stringify(value, (_key, part: unknown) => {
    if (typeof part === 'string') return storable(part);
    return typeof part === 'bigint' ? part.toString() : part;
  });
}

/** First and last millisecond of the years 0001 to 9999, which ISO 8601 writes with four digits. */
const FIRST_MS = -62_135_596_800_000;
const LAST_MS = 253_402_300_799_999;

/** `timestamptz` text of epoch milliseconds; beyond the years 0001 to 9999 `-infinity` or `infinity`. */
export function timeCell(ms: number | null): Cell {
  if (ms === null) return null;
  if (ms >= FIRST_MS && ms <= LAST_MS) return new Date(ms).toISOString();
  return ms < FIRST_MS ? '-infinity' : 'infinity';
}

/** Numbers and flags as PostgreSQL reads them; bigint exactly. */
export const plainCell = (value: string | number | bigint | boolean | null): Cell =>
  value === null ? null : String(value);
