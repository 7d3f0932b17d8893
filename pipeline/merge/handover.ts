/**
 * Records that come by memory, from a task of the same process, before Kafka has them (engine rules, section 10).
 * A cache of the log: what is not next is left to Kafka, and what Kafka shows later is compared with what was taken.
 */
import { PipelineError } from '#pipeline/errors.ts';
import type { Entry, KafkaRecord } from '#pipeline/kafka/types.ts';
import { type Channel, channelName, type Pending } from './channel.ts';
import { POSITION_HEADER } from './position.ts';

/** A record as its writer handed it to its producer. The bytes are shared and never change. */
export interface Handed {
  /** The position is its first header. */
  readonly entry: Entry;
  readonly epoch: number;
  readonly sequence: number;
  /** Of the writer's previous record in this partition. */
  readonly digestBefore: number;
  readonly digest: number;
}

const forked = (channel: Channel, sequence: number): PipelineError =>
  new PipelineError(
    'STREAM_FORKED',
    `${channelName(channel)}: record ${sequence} in the log has other bytes than this process made; its logic is not a fold: compare with baleen replay`,
  );

const pendingOf = ({ entry, sequence, digest }: Handed, floorMs: number): Pending => ({
  logTimeMs: Math.max(entry.timestampMs, floorMs),
  order: sequence,
  offset: -1,
  maximumBefore: 0,
  before: null,
  digest,
  key: entry.key,
  value: entry.value,
  position: entry.headers[0]?.[1] ?? null,
});

function take(channel: Channel, pending: Pending): void {
  channel.queue.push(pending);
  channel.unseen.push(pending);
  channel.last = { sequence: pending.order, digest: pending.digest };
}

/**
 * Takes a record that is next; one that comes after a hole may become so. Throws STREAM_FORKED when it does not follow
 * from the bytes that were taken before.
 */
export function takeHanded(channel: Channel, handed: Handed): void {
  const { last, early } = channel;
  const { sequence } = handed;
  if (sequence <= last.sequence) return;
  if (sequence === last.sequence + 1) {
    if (handed.digestBefore >>> 0 !== last.digest >>> 0) throw forked(channel, last.sequence);
    take(channel, pendingOf(handed, channel.floorMs));
    return;
  }
  const first = early.first;
  if (first !== undefined && sequence !== first.order + early.length) early.clear();
  early.push(pendingOf(handed, channel.floorMs));
}

/** Kafka has moved `last` on: what was early may be next now. */
export function takeEarly(channel: Channel): void {
  const { early } = channel;
  while (early.first !== undefined && early.first.order <= channel.last.sequence) early.shift();
  if (early.first?.order !== channel.last.sequence + 1) return;
  for (let pending = early.shift(); pending !== undefined; pending = early.shift()) take(channel, pending);
}

/** Whether Kafka shows the very record that is the next to be seen of this channel. Nothing is read or made for that. */
export function isNextSeen({ unseen, stored }: Channel, { headers }: KafkaRecord): boolean {
  const next = unseen.first;
  const header = headers[0];
  if (next === undefined || next.position === null || header === undefined) return false;
  return (
    next.order === stored.sequence + 1 && header[0] === POSITION_HEADER && next.position.equals(header[1])
  );
}

/**
 * Kafka shows a record that was taken already, by memory or before a restart: it gets its offset. Throws STREAM_FORKED
 * when it has other bytes.
 */
export function confirm(channel: Channel, sequence: number, offset: number, digest: number): void {
  const { unseen, last } = channel;
  const pending = unseen.first?.order === sequence ? unseen.shift() : undefined;
  if (pending !== undefined) pending.offset = offset;
  // Between what was stored and what was folded before a restart only the last digest is known; it is chained over all.
  const expected = pending?.digest ?? (sequence === last.sequence ? last.digest : digest);
  if (expected >>> 0 !== digest >>> 0) throw forked(channel, sequence);
}
