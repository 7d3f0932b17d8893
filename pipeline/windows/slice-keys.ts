/** Keys of the entries of a window store: the start of the slice comes first, so that they are dropped by time. */
import { readSortableTime, SORTABLE_LENGTH, sortableTime } from '#pipeline/state/sortable-time.ts';

/** After the time: what the entry is. */
const SLICE = ':';
const REVISION = '!';
const LATE = '~';

/** The value of a slice is at `<start>:<key>`. */
export const slicePrefix = (startMs: number): string => sortableTime(startMs) + SLICE;

/** Start of the slice whose value is there; null for another entry. */
export const readSliceStart = (path: string): number | null =>
  path[SORTABLE_LENGTH] === SLICE ? readSortableTime(path) : null;

/** The key of a value that `readSliceStart` knows. */
export const sliceKey = (path: string): string => path.slice(SORTABLE_LENGTH + SLICE.length);

/** The revision of a window corrected after its close is at `<start>!<name>!<key>`: it starts with a slice. */
export const revisionKey = (startMs: number, name: string, key: string): string =>
  `${sortableTime(startMs)}${REVISION}${name}${REVISION}${key}`;

/** Kept inputs of a slice are at `<start>#<piece>#<key>`, the late ones at `<start>~<fromEndMs>#<piece>#<key>`. */
export const inputsHead = (startMs: number): string => sortableTime(startMs);
export const lateInputsHead = (startMs: number, fromEndMs: number): string =>
  `${sortableTime(startMs)}${LATE}${fromEndMs}`;
