/** Times as text of one length whose byte order is the order of time: the head of keys that are dropped by time. */
import { PipelineError } from '#pipeline/errors.ts';

/** 2^52: sums with it stay exact; about 142,000 years on both sides of 1970. */
const OFFSET_MS = 4_503_599_627_370_496;
const RADIX = 36;

/** The least time. */
export const LEAST_TIME_MS = -OFFSET_MS;

/** Characters of a sortable time; the first is 0, 1 or 2. */
export const SORTABLE_LENGTH = 11;

/** Throws VALUE_UNREADABLE unless a time is whole milliseconds within 2^52 of 1970: an event time can be hostile. */
export function requireTime(timeMs: number): void {
  if (Number.isInteger(timeMs) && timeMs >= -OFFSET_MS && timeMs < OFFSET_MS) return;
  throw new PipelineError(
    'VALUE_UNREADABLE',
    `time: expected whole milliseconds within 2^52 of 1970, found ${timeMs}; check the event time of the record`,
  );
}

/** Epoch milliseconds, also negative, to text; a time that `requireTime` takes. */
export const sortableTime = (timeMs: number): string =>
  (timeMs + OFFSET_MS).toString(RADIX).padStart(SORTABLE_LENGTH, '0');

/** The time at the head of a key. */
export const readSortableTime = (key: string): number =>
  Number.parseInt(key.slice(0, SORTABLE_LENGTH), RADIX) - OFFSET_MS;
