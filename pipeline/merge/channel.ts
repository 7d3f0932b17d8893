/** A channel is what the merge orders: one writer of one partition. A raw, fact or plan partition is one writer. */
import { byCodeUnits } from '#pipeline/state/byte-order.ts';

/** An input record that waits for its turn. */
export interface Pending {
  /** Effective log time. */
  readonly logTimeMs: number;
  /** Sequence of the writer; the offset on raw, fact and plan partitions. */
  readonly order: number;
  readonly offset: number;
  /** Running maximum of the partition just before this record; raw, fact and plan partitions only. */
  readonly maximumBefore: number;
  /** Digest of the record before this one; raw, fact and plan partitions only. */
  readonly digestBefore: number;
  readonly digest: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
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
  /** Last contiguous record seen in Kafka; derived channels only. */
  stored: { sequence: number; digest: number };
  /** A tick that waits for the records that it covers. */
  pendingTick: { logTimeMs: number; sequence: number; sinceMs: number } | null;
  /** Highest epoch seen in Kafka; 0 before the first record, and on raw, fact and plan partitions. */
  epoch: number;
  /** First sequence that a later version than the reader's wrote; +Infinity: none was seen. */
  laterFrom: number;
}

/** First in, first out, without shifting an array. */
export class Queue {
  #items: (Pending | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }
  get first(): Pending | undefined {
    return this.#items[this.#head];
  }
  push(item: Pending): void {
    this.#items.push(item);
  }
  shift(): Pending | undefined {
    const item = this.#items[this.#head];
    if (item === undefined) return undefined;
    this.#items[this.#head] = undefined;
    this.#head += 1;
    if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
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
  stored: { sequence: 0, digest: 0 },
  pendingTick: null,
  epoch: 0,
  laterFrom: Number.POSITIVE_INFINITY,
});

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
