/**
 * What a task does with each record as Kafka shows it: keeps the order of partitions, drops duplicates,
 * finds losses and forks (engine rules, sections 3.1 and 6).
 */
import { PipelineError } from '#pipeline/errors.ts';
import type { KafkaRecord } from '#pipeline/kafka/types.ts';
import { type Channel, channelName } from './channel.ts';
import { isTick, nextDigest, type Position, readPosition } from './position.ts';

/** Where reading goes on after a restart. */
export interface ResumePoint {
  readonly offset: number;
  /** Running maximum of log time just before `offset`; 0 on derived partitions. */
  readonly maximumMs: number;
  /** Digest of the record before `offset`; 0 at the start and on derived partitions. */
  readonly digest: number;
}

export interface Inbound {
  readonly topic: string;
  readonly partition: number;
  /** Offset to ask for next. */
  readonly nextOffset: number;
  /** Bytes that wait in the merge. */
  readonly waitingBytes: number;
  /** Takes one record. Throws OFFSET_GAP, SEQUENCE_GAP, STREAM_FORKED. Returns true when it was a duplicate. */
  accept(record: KafkaRecord): boolean;
  /** The merge took a record out. */
  release(bytes: number): void;
  /** Every channel has a record waiting: the only state in which the partition may be paused. */
  canPause(): boolean;
  /** Where a restart must read on: at the first record that is not folded. */
  resumePoint(): ResumePoint;
}

const sizeOf = (record: KafkaRecord): number => (record.key?.length ?? 0) + (record.value?.length ?? 0);

/** A raw, fact or plan partition: its own order is the truth, and ticks prove that time has passed. */
export function rawInbound(channel: Channel, resume: ResumePoint): Inbound {
  const { topic, partition } = channel;
  // One record earlier, to see that it is still the one that was there: after a topic is made anew, offsets lie.
  let mustVerify = resume.offset > 0 && resume.digest !== 0;
  let nextOffset = mustVerify ? resume.offset - 1 : resume.offset;
  let maximumMs = resume.maximumMs;
  let digest = resume.digest;
  let waitingBytes = 0;
  channel.frontierMs = Math.max(channel.frontierMs, maximumMs);
  return {
    topic,
    partition,
    get nextOffset() {
      return nextOffset;
    },
    get waitingBytes() {
      return waitingBytes;
    },
    accept: (record) => {
      if (record.offset < nextOffset) return true;
      if (record.offset > nextOffset) {
        throw new PipelineError(
          'OFFSET_GAP',
          `${topic}/${partition}: expected offset ${nextOffset}, found ${record.offset}; records are lost or the topic is compacted or transactional: check its retention`,
        );
      }
      nextOffset = record.offset + 1;
      const own = nextDigest(0, record.timestampMs, record.key, record.value);
      if (mustVerify) {
        mustVerify = false;
        if (own === digest) return false;
        throw new PipelineError(
          'STREAM_FORKED',
          `${topic}/${partition}: record ${record.offset} is not the one that was folded; the topic was deleted and made anew, or cut: start with --fresh`,
        );
      }
      const maximumBefore = maximumMs;
      const digestBefore = digest;
      maximumMs = Math.max(maximumMs, record.timestampMs);
      digest = own;
      if (channel.queue.length === 0) channel.frontierMs = maximumMs;
      if (isTick(record.headers)) return false;
      waitingBytes += sizeOf(record);
      channel.queue.push({
        logTimeMs: maximumMs,
        order: record.offset,
        offset: record.offset,
        maximumBefore,
        digestBefore,
        digest,
        key: record.key,
        value: record.value,
      });
      return false;
    },
    release: (bytes) => {
      waitingBytes -= bytes;
      if (channel.queue.length === 0) channel.frontierMs = maximumMs;
    },
    canPause: () => channel.queue.length > 0,
    resumePoint: () => {
      const head = channel.queue.first;
      return head === undefined
        ? { offset: mustVerify ? nextOffset + 1 : nextOffset, maximumMs, digest }
        : { offset: head.offset, maximumMs: head.maximumBefore, digest: head.digestBefore };
    },
  };
}

/** A partition of a derived topic: several writers, each with dense sequences. */
export function derivedInbound(options: {
  topic: string;
  partition: number;
  channels: readonly Channel[];
  resumeOffset: number;
  /** Of the reader. */
  epoch: number;
  /** Where the reader's version begins: what is earlier belongs to the version before. Default 0. */
  cutMs?: number;
}): Inbound {
  const { topic, partition, channels, epoch, cutMs = 0 } = options;
  const byWriter = new Map(channels.map((channel) => [channel.writer, channel]));
  let nextOffset = options.resumeOffset;
  /** First record of a writer that only a later version knows: it must find it from here. */
  let firstOfLater: number | null = null;
  let waitingBytes = 0;
  return {
    topic,
    partition,
    get nextOffset() {
      return nextOffset;
    },
    get waitingBytes() {
      return waitingBytes;
    },
    accept: (record) => {
      if (record.offset < nextOffset) return true;
      const place = `${topic}/${partition}/${record.offset}`;
      nextOffset = record.offset + 1;
      const position = readPosition(record.headers, place);
      const channel = byWriter.get(position.writer);
      if (channel === undefined && position.epoch < epoch) return true;
      if (channel === undefined && position.epoch > epoch) {
        firstOfLater ??= record.offset;
        return false;
      }
      if (channel === undefined) {
        throw new PipelineError(
          'STREAM_FORKED',
          `${place}: ${position.writer} is no writer of this topic; the topic is of another topology: start with --fresh`,
        );
      }
      if (position.sequence <= channel.stored.sequence) return true;
      const isClosed =
        position.epoch < channel.epoch || (position.epoch < epoch && record.timestampMs > cutMs);
      if (isClosed) throw writesOn(place, position, channel, epoch);
      if (position.sequence > channel.stored.sequence + 1) {
        throw new PipelineError(
          'SEQUENCE_GAP',
          `${place}: ${position.writer} jumps from ${channel.stored.sequence} to ${position.sequence}: records are lost; replay this topic`,
        );
      }
      if (position.previousDigest !== channel.stored.digest >>> 0) {
        throw new PipelineError(
          'STREAM_FORKED',
          `${place}: ${position.writer} wrote ${position.sequence} after other bytes than are in the log; its logic is not a fold: compare with baleen replay`,
        );
      }
      const digest = nextDigest(channel.stored.digest, record.timestampMs, record.key, record.value);
      channel.stored = { sequence: position.sequence, digest };
      channel.epoch = position.epoch;
      if (position.epoch > epoch) channel.laterFrom = Math.min(channel.laterFrom, position.sequence);
      if (record.timestampMs < cutMs) {
        // A reader that is new at the cut: the record is part of the stream, and not of what it folds.
        channel.folded = { ...channel.stored };
        applyPendingTick(channel);
        return false;
      }
      waitingBytes += sizeOf(record);
      channel.queue.push({
        logTimeMs: record.timestampMs,
        order: position.sequence,
        offset: record.offset,
        maximumBefore: 0,
        digestBefore: 0,
        digest,
        key: record.key,
        value: record.value,
      });
      applyPendingTick(channel);
      return false;
    },
    release: (bytes) => {
      waitingBytes -= bytes;
    },
    canPause: () => channels.every((channel) => channel.queue.length > 0),
    resumePoint: () => {
      let offset = firstOfLater ?? nextOffset;
      for (const channel of channels) offset = Math.min(offset, channel.queue.first?.offset ?? offset);
      return { offset, maximumMs: 0, digest: 0 };
    },
  };
}

const writesOn = (place: string, { writer, epoch }: Position, channel: Channel, own: number): PipelineError =>
  new PipelineError(
    'EPOCH_CLOSED',
    `${place}: ${writer} writes on as version ${epoch}, beyond its cut to version ${Math.max(channel.epoch, own)}; a process of the old version did not stop there: stop it, then replay this topic`,
  );

/** A writer's promise that nothing earlier follows. Held back until the records that it covers are here. */
export function acceptTick(channel: Channel, logTimeMs: number, sequence: number, nowMs: number): void {
  const pending = channel.pendingTick;
  if (pending === null || logTimeMs >= pending.logTimeMs) {
    channel.pendingTick = {
      logTimeMs,
      sequence,
      sinceMs: pending?.sinceMs ?? nowMs,
    };
  }
  applyPendingTick(channel);
}

function applyPendingTick(channel: Channel): void {
  const tick = channel.pendingTick;
  if (tick === null || channel.stored.sequence < tick.sequence) return;
  channel.frontierMs = Math.max(channel.frontierMs, tick.logTimeMs);
  channel.pendingTick = null;
}

/** A tick has waited for longer than `limitMs` for records that it covers: perhaps a loss at the tail, which no gap shows. */
export const isTailLate = ({ pendingTick }: Channel, nowMs: number, limitMs: number): boolean =>
  pendingTick !== null && nowMs - pendingTick.sinceMs >= limitMs;

/** The partition was read to its end, and what its writer says that it wrote is not there. */
export const tailLost = (channel: Channel): PipelineError =>
  new PipelineError(
    'SEQUENCE_GAP',
    `${channelName(channel)}: its writer says that it wrote up to ${channel.pendingTick?.sequence}, the log ends at ${channel.stored.sequence}: records are lost at the end; replay this topic`,
  );
