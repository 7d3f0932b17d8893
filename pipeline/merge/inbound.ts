/**
 * What a task does with each record as Kafka shows it: keeps the order of partitions, drops duplicates,
 * finds losses and forks (engine rules, sections 3.1 and 6).
 */
import { PipelineError } from '#pipeline/errors.ts';
import type { KafkaRecord } from '#pipeline/kafka/types.ts';
import { type Channel, sizeOf } from './channel.ts';
import { isFence, isFencedOff, withFence } from './fence.ts';
import { confirm, type Handed, isNextSeen, takeEarly, takeHanded } from './handover.ts';
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
  /**
   * Takes a record of a channel of this partition that its writer hands over in memory. False: it is left to Kafka.
   * Throws STREAM_FORKED.
   */
  take(channel: Channel, record: Handed): boolean;
  /** The merge took a record out. */
  release(bytes: number): void;
  /** Every channel has a record waiting: the only state in which the partition may be paused. */
  canPause(): boolean;
  /** Where a restart must read on: at the first record that is not folded. */
  resumePoint(): ResumePoint;
}

/**
 * A raw, fact or plan partition: its own order is the truth, and ticks prove that time has passed. `isAhead`: it is read on,
 * however much waits.
 */
export function rawInbound(channel: Channel, resume: ResumePoint, isAhead = false): Inbound {
  const { topic, partition } = channel;
  // One record earlier, to see that it is still the one that was there: after a topic is made anew, offsets lie.
  let mustVerify = resume.offset > 0 && resume.digest !== 0;
  let nextOffset = mustVerify ? resume.offset - 1 : resume.offset;
  let maximumMs = resume.maximumMs;
  /** The record before `nextOffset`; null: none was read yet. Its digest is wanted at checkpoints alone. */
  let last: KafkaRecord | null = null;
  const digestOf = (record: KafkaRecord | null): number =>
    record === null ? resume.digest : nextDigest(0, record.timestampMs, record.key, record.value);
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
      if (mustVerify) {
        mustVerify = false;
        if (digestOf(record) === resume.digest) return false;
        throw new PipelineError(
          'STREAM_FORKED',
          `${topic}/${partition}: record ${record.offset} is not the one that was folded; the topic was deleted and made anew, or cut: start with --fresh`,
        );
      }
      const maximumBefore = maximumMs;
      const before = last;
      maximumMs = Math.max(maximumMs, record.timestampMs);
      last = record;
      if (channel.queue.length === 0) channel.frontierMs = maximumMs;
      if (isTick(record.headers)) return false;
      waitingBytes += sizeOf(record);
      channel.queue.push({
        logTimeMs: maximumMs,
        order: record.offset,
        offset: record.offset,
        maximumBefore,
        before,
        digest: 0,
        key: record.key,
        value: record.value,
        position: null,
      });
      return false;
    },
    take: () => false,
    release: (bytes) => {
      waitingBytes -= bytes;
      if (channel.queue.length === 0) channel.frontierMs = maximumMs;
    },
    canPause: () => !isAhead && channel.queue.length > 0,
    resumePoint: () => {
      const head = channel.queue.first;
      return head === undefined
        ? { offset: mustVerify ? nextOffset + 1 : nextOffset, maximumMs, digest: digestOf(last) }
        : { offset: head.offset, maximumMs: head.maximumBefore, digest: digestOf(head.before) };
    },
  };
}

function set(point: { sequence: number; digest: number }, sequence: number, digest: number): void {
  point.sequence = sequence;
  point.digest = digest;
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
  /** Writers that the reader's version does without: nothing of them is waited for behind their fence. Default none. */
  excluded?: ReadonlySet<string>;
  /** Bytes that may wait here, and as many more taken from memory that Kafka has not shown. */
  maxWaitingBytes: number;
}): Inbound {
  const { topic, partition, channels, epoch, cutMs = 0, excluded, maxWaitingBytes } = options;
  const byWriter = new Map(channels.map((channel) => [channel.writer, channel]));
  let nextOffset = options.resumeOffset;
  /** First record of a writer that only a later version knows: it must find it from here. */
  let firstOfLater: number | null = null;
  let waitingBytes = 0;
  /** Of what came by memory and was not seen in Kafka. */
  let handedBytes = 0;
  /** The channel of which Kafka last showed something that had come by memory: records of a writer lie together. */
  let recent: Channel | undefined;

  /** Kafka shows the next record of a channel, which was taken already. */
  const see = (channel: Channel, sequence: number, writtenIn: number, record: KafkaRecord): void => {
    const digest = nextDigest(channel.stored.digest, record.timestampMs, record.key, record.value);
    const bytes = channel.unseen.bytes;
    confirm(channel, sequence, record.offset, digest);
    handedBytes += channel.unseen.bytes - bytes;
    set(channel.stored, sequence, digest);
    channel.epoch = writtenIn;
    recent = channel;
  };

  const queue = (channel: Channel, sequence: number, digest: number, record: KafkaRecord): void => {
    waitingBytes += sizeOf(record);
    channel.queue.push({
      logTimeMs: Math.max(record.timestampMs, channel.floorMs),
      order: sequence,
      offset: record.offset,
      maximumBefore: 0,
      before: null,
      digest,
      key: record.key,
      value: record.value,
      position: null,
    });
  };

  /** Takes what is handed over, or (null) what was handed over early, and keeps the sums of bytes. */
  const takeIn = (channel: Channel, record: Handed | null): void => {
    const { queue, unseen, early } = channel;
    const waiting = queue.bytes;
    const handed = unseen.bytes + early.bytes;
    if (record === null) takeEarly(channel);
    else takeHanded(channel, record);
    waitingBytes += queue.bytes - waiting;
    handedBytes += unseen.bytes + early.bytes - handed;
  };

  const goOnWithout = (channel: Channel): void => {
    if (excluded?.has(channel.writer) === true) channel.frontierMs = Number.POSITIVE_INFINITY;
  };
  // Who came to the cut in time has folded all of an excluded writer; others were told of its fence (`plan/decree.ts`).
  for (const channel of channels) {
    const fence = channel.fences.find((one) => one.epoch === epoch);
    if (fence === undefined || fence.offset < nextOffset) goOnWithout(channel);
  }

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
      if (recent !== undefined && isNextSeen(recent, record)) {
        nextOffset = record.offset + 1;
        see(recent, recent.stored.sequence + 1, epoch, record);
        return false;
      }
      const place = `${topic}/${partition}/${record.offset}`;
      nextOffset = record.offset + 1;
      const position = readPosition(record.headers, place);
      const channel = byWriter.get(position.writer);
      if (isFence(position)) {
        if (position.epoch > epoch) throw fencedOff(place, position, epoch);
        if (channel === undefined) return false;
        channel.fences = withFence(channel.fences, { epoch: position.epoch, offset: record.offset });
        if (position.epoch === epoch) goOnWithout(channel);
        return false;
      }
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
      if (isFencedOff(channel.fences, position.epoch, record.offset)) return true;
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
      if (position.sequence <= channel.last.sequence) {
        see(channel, position.sequence, position.epoch, record);
        return false;
      }
      const digest = nextDigest(channel.stored.digest, record.timestampMs, record.key, record.value);
      set(channel.stored, position.sequence, digest);
      set(channel.last, position.sequence, digest);
      channel.epoch = position.epoch;
      if (position.epoch > epoch) channel.laterFrom = Math.min(channel.laterFrom, position.sequence);
      // Of a reader that is new at the cut: the record is part of the stream, and not of what it folds.
      if (record.timestampMs < cutMs && channel.floorMs === 0) set(channel.folded, position.sequence, digest);
      else queue(channel, position.sequence, digest, record);
      if (channel.early.length > 0) takeIn(channel, null);
      applyPendingTick(channel);
      return false;
    },
    take: (channel, record) => {
      if (record.epoch !== epoch || record.sequence <= channel.last.sequence) return false;
      // Full: the writer is never made to wait. Where two tasks wait for a third, that would be a deadlock.
      if (Math.max(waitingBytes, handedBytes) + sizeOf(record.entry) > maxWaitingBytes) return false;
      takeIn(channel, record);
      return true;
    },
    release: (bytes) => {
      waitingBytes -= bytes;
    },
    canPause: () => channels.every((channel) => channel.queue.length > 0),
    resumePoint: () => {
      let offset = firstOfLater ?? nextOffset;
      for (const { queue } of channels) {
        // What Kafka has not shown lies behind all that it has.
        const head = queue.first?.offset ?? -1;
        if (head !== -1) offset = Math.min(offset, head);
      }
      return { offset, maximumMs: 0, digest: 0 };
    },
  };
}

const fencedOff = (place: string, { writer, epoch }: Position, own: number): PipelineError =>
  new PipelineError(
    'EPOCH_CLOSED',
    `${place}: the cut to version ${epoch} was forced, and ${writer} is read as that version from here on; this is version ${own}, which is over: start the new one`,
  );

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
  if (tick === null || channel.last.sequence < tick.sequence) return;
  channel.frontierMs = Math.max(channel.frontierMs, tick.logTimeMs);
  channel.pendingTick = null;
}
