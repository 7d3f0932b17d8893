/**
 * A fence in a derived partition: behind it, a writer of an earlier version is not heard any more. It stands in the
 * partition itself, so all readers see it between the same two records, whatever else they know.
 *
 * It is a record without key and value, with the position `writer:0;epoch;00000000`. Sequences of records begin at 1, so who
 * knows nothing of fences takes it for a duplicate.
 */
import type { Entry } from '#pipeline/kafka/types.ts';
import { formatPosition, POSITION_HEADER, type Position } from './position.ts';

export interface Fence {
  /** Of the version that alone counts behind it. */
  readonly epoch: number;
  readonly offset: number;
}

const FENCE_SEQUENCE = 0;

export const fenceEntry = (writer: string, epoch: number, logTimeMs: number): Entry => ({
  timestampMs: logTimeMs,
  key: null,
  value: null,
  headers: [
    [
      POSITION_HEADER,
      Buffer.from(formatPosition({ writer, sequence: FENCE_SEQUENCE, epoch, previousDigest: 0 }), 'latin1'),
    ],
  ],
});

export const isFence = ({ sequence }: Pick<Position, 'sequence'>): boolean => sequence === FENCE_SEQUENCE;

/** With one more. The first of an epoch counts: a request that was sent again wrote another. */
export const withFence = (fences: readonly Fence[], fence: Fence): readonly Fence[] =>
  fences.some(({ epoch, offset }) => epoch === fence.epoch && offset <= fence.offset)
    ? fences
    : [...fences.filter(({ epoch }) => epoch !== fence.epoch), fence];

/** Whether what a writer wrote at `offset` as version `epoch` lies behind a fence. */
export const isFencedOff = (fences: readonly Fence[], epoch: number, offset: number): boolean =>
  fences.some((fence) => epoch < fence.epoch && offset > fence.offset);

/** The fences of many writers, as a reader comes by them. */
export interface Fences {
  /** Whether a record of a channel (`topic/partition/writer`) counts. A fence does not, and is remembered. */
  hears(channel: string, position: Pick<Position, 'sequence' | 'epoch'>, offset: number): boolean;
}

/** `known`: what is known already, as reading may begin behind it. */
export function createFences(known: ReadonlyMap<string, readonly Fence[]> = new Map()): Fences {
  const seen = new Map(known);
  return {
    hears: (channel, position, offset) => {
      const { epoch } = position;
      const fences = seen.get(channel) ?? [];
      if (!isFence(position)) return !isFencedOff(fences, epoch, offset);
      seen.set(channel, withFence(fences, { epoch, offset }));
      return false;
    },
  };
}
