/** How a record of a join is stored: key `<time><side><ordinal>:<key>`, so that the oldest are dropped by range. */
import { readSortableTime, SORTABLE_LENGTH, sortableTime } from '#pipeline/state/sortable-time.ts';
import type { Codec } from '#pipeline/state/store.ts';
import type { Row } from './open-rows.ts';

export type SideName = 'left' | 'right';

/** A record that waits for others. */
export interface JoinEntry {
  readonly side: SideName;
  /** How far closing had come when it was taken in. */
  readonly progressMs: number;
  readonly id: string;
  readonly value: unknown;
}

const RADIX = 36;

const MARK = { left: 'l', right: 'r' } as const;
const sideOf = (mark: string | undefined): SideName => (mark === MARK.left ? 'left' : 'right');

/** Text: side, progress, length of the id as JSON, the id, the value by the codec of its side. */
export const entryCodec = (codecs: Readonly<Record<SideName, Codec<unknown>>>): Codec<JoinEntry> => ({
  encode: ({ side, progressMs, id, value }) => {
    const idText = JSON.stringify(id);
    const head = `${MARK[side]}${progressMs.toString(RADIX)}:${idText.length.toString(RADIX)}:`;
    return head + idText + codecs[side].encode(value);
  },
  decode: (text) => {
    const side = sideOf(text[0]);
    const first = text.indexOf(':');
    const start = text.indexOf(':', first + 1) + 1;
    const end = start + Number.parseInt(text.slice(first + 1, start - 1), RADIX);
    return {
      side,
      progressMs: readProgress(text),
      id: JSON.parse(text.slice(start, end)) as string,
      value: codecs[side].decode(text.slice(end)),
    };
  },
});

const readProgress = (text: string): number => Number.parseInt(text.slice(1, text.indexOf(':')), RADIX);

/** Key of an entry. */
export const entryPath = (side: SideName, key: string, timeMs: number, ordinal: number): string =>
  `${sortableTime(timeMs)}${MARK[side]}${ordinal.toString(RADIX)}:${key}`;

/** What memory keeps of an entry of an earlier checkpoint. */
export function readRow(path: string, text: string): { readonly side: SideName; readonly row: Row } {
  const cut = path.indexOf(':', SORTABLE_LENGTH);
  const row = {
    key: path.slice(cut + 1),
    timeMs: readSortableTime(path),
    ordinal: Number.parseInt(path.slice(SORTABLE_LENGTH + 1, cut), RADIX),
    progressMs: readProgress(text),
    path,
  };
  return { side: sideOf(path[SORTABLE_LENGTH]), row };
}
