/** An offset that the log does not hold: says what may have happened to it. */
import { PipelineError } from '../errors.ts';
import type { OffsetRange } from './types.ts';

/** Null when the offset lies in the range after all. */
export function outOfRangeError(
  place: { readonly topic: string; readonly partition: number; readonly offset: number },
  range: OffsetRange,
): PipelineError | null {
  const { topic, partition, offset } = place;
  if (offset >= range.start && offset <= range.end) return null;
  const isBelow = offset < range.start;
  const reason = isBelow
    ? 'records before the start were deleted (retention, or a purge)'
    : 'records after the end were lost or the topic was made again (truncation)';
  return new PipelineError(
    'OFFSET_OUT_OF_RANGE',
    `${topic}/${partition}: expected to read on at offset ${offset}, the log holds ${range.start} to ${range.end}: ` +
      `${reason}; nothing is skipped: restore from a checkpoint that the log still covers`,
    {
      facts: {
        topic,
        partition,
        offset,
        startOffset: range.start,
        endOffset: range.end,
        cause: isBelow ? 'retention' : 'truncation',
      },
    },
  );
}
