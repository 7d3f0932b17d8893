/** A channel is what the merge orders: one writer of one partition. A raw, fact or plan partition is one writer. */
import type { KafkaRecord } from '#pipeline/kafka/types.ts';
import { byCodeUnits } from '#pipeline/state/byte-order.ts';
import type { Fence } from './fence.ts';

/** An input record that waits for its turn. */
export interface Pending {
  /** Effective log time. */
  readonly logTimeMs: number;
  /** Sequence of the writer; the offset on raw, fact and plan partitions. */
  readonly order: number;
  /** -1 while it is known from memory alone. */
  offset: number;
  /** Running maximum of the partition just before this record; raw, fact and plan partitions only. */
  readonly maximumBefore: number;
  /** The record before this one, as it was read; raw, fact and plan partitions only. Null: none since the start. */
  readonly before: KafkaRecord | null;
  /** Chained over all records of the writer; 0 on raw, fact and plan partitions. */
  readonly digest: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** Header `position` of a record that came by memory; null: it came from Kafka. */
  readonly position: Buffer | null;
}

export interface Channel {
  readonly topic: string;
  readonly partition: number;
  /** Empty on raw, fact and plan partitions. */
  readonly writer: string;
  /** Place in the total order of channels; no two are equal. */
  rank: number;
  readonly queue: Queue;
  /** The next record has a log time of at least this. */
  frontierMs: number;
  /** Last record folded. */
  folded: { sequence: number; digest: number };
  /** Last contiguous record taken, from Kafka or from memory; derived channels only, as all that follows. */
  last: { sequence: number; digest: number };
  /** Last contiguous record seen in Kafka; never ahead of `last`. */
  stored: { sequence: number; digest: number };
  /** Taken from memory and not seen in Kafka yet; some may be folded. */
  readonly unseen: Queue;
  /** Handed over in memory, contiguous, but not next to `last` yet. */
  readonly early: Queue;
  /** A tick that waits for the records that it covers. */
  pendingTick: { logTimeMs: number; sequence: number; sinceMs: number } | null;
  /** Highest epoch seen in Kafka; 0 before the first record, and on raw, fact and plan partitions. */
  epoch: number;
  /** Of this writer, in this partition, in order of their epochs. */
  fences: readonly Fence[];
  /** What is earlier counts as of this log time; 0: nothing is. */
  floorMs: number;
  /** First sequence that a later version than the reader's wrote; +Infinity: none was seen. */
  laterFrom: number;
}

/** Bytes of key and value. */
export const sizeOf = ({ key, value }: Pick<Pending, 'key' | 'value'>): number =>
  (key?.length ?? 0) + (value?.length ?? 0);

/** First in, first out, without shifting an array. */
export class Queue {
  #items: (Pending | undefined)[] = [];
  #head = 0;
  #bytes = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }
  get first(): Pending | undefined {
    return this.#items[this.#head];
  }
  /** Of keys and values. */
  get bytes(): number {
    return this.#bytes;
  }
  push(item: Pending): void {
    this.#items.push(item);
    this.#bytes += sizeOf(item);
  }
  shift(): Pending | undefined {
    const item = this.#items[this.#head];
    if (item === undefined) return undefined;
    this.#items[this.#head] = undefined;
    this.#head += 1;
    this.#bytes -= sizeOf(item);
    if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
  clear(): void {
    this.#items = [];
    this.#head = 0;
    this.#bytes = 0;
  }
}

export const createChannel = (topic: string, partition: number, writer: string): Channel => ({
  topic,
  partition,
  writer,
  rank: 0,
  queue: new Queue(),
  frontierMs: 0,
  folded: { sequence: 0, digest: 0 },
  last: { sequence: 0, digest: 0 },
  stored: { sequence: 0, digest: 0 },
  unseen: new Queue(),
  early: new Queue(),
  pendingTick: null,
  epoch: 0,
  fences: [],
  floorMs: 0,
  laterFrom: Number.POSITIVE_INFINITY,
});

/** What a checkpoint keeps of a channel. */
export interface ChannelPoint {
  /** Last record folded. */
  readonly sequence: number;
  readonly digest: number;
  /** Last of them that was seen in Kafka, where that is an earlier one: those between are compared when they are. */
  readonly stored?: { readonly sequence: number; readonly digest: number };
  /** Seen so far, where there are any: reading may go on behind them. */
  readonly fences?: readonly Fence[];
  /** What is earlier counts as of this log time; absent: nothing is. */
  readonly floorMs?: number;
}

export const channelPoint = ({ folded, stored, writer, fences, floorMs }: Channel): ChannelPoint => ({
  ...folded,
  ...(writer === '' || stored.sequence >= folded.sequence ? {} : { stored: { ...stored } }),
  ...(fences.length === 0 ? {} : { fences }),
  ...(floorMs === 0 ? {} : { floorMs }),
});

/** Sets a new channel to where a checkpoint left it; null: there is none. */
export function resumeChannel(channel: Channel, point: ChannelPoint | null): void {
  const { sequence, digest } = point ?? { sequence: 0, digest: 0 };
  channel.folded = { sequence, digest };
  channel.last = { sequence, digest };
  channel.stored = { ...(point?.stored ?? channel.folded) };
  channel.fences = point?.fences ?? [];
  channel.floorMs = point?.floorMs ?? 0;
  channel.frontierMs = channel.floorMs;
}

/** `topic/partition`, by logical name. */
export const partitionOf = ({ topic, partition }: Pick<Channel, 'topic' | 'partition'>): string =>
  `${topic}/${partition}`;

export const channelName = (channel: Pick<Channel, 'topic' | 'partition' | 'writer'>): string =>
  `${channel.topic}/${channel.partition}/${channel.writer}`;

/** `detect-10` sorts after `detect-2`. */
function compareWriters(a: string, b: string): number {
  const [cutA, cutB] = [a.lastIndexOf('-'), b.lastIndexOf('-')];
  return (
    byCodeUnits(a.slice(0, cutA), b.slice(0, cutB)) || Number(a.slice(cutA + 1)) - Number(b.slice(cutB + 1))
  );
}

/** Ranks channels: `plan` first, then topic, partition, writer (engine rules, 3.2). Names are logical, so a shadow run agrees. */
export function rankChannels(channels: readonly Channel[], planTopic: string): readonly Channel[] {
  const ranked = [...channels].sort(
    (a, b) =>
      Number(b.topic === planTopic) - Number(a.topic === planTopic) ||
      byCodeUnits(a.topic, b.topic) ||
      a.partition - b.partition ||
      compareWriters(a.writer, b.writer),
  );
  ranked.forEach((channel, rank) => {
    channel.rank = rank;
  });
  return ranked;
}
