/** What a producer holds: one queue for each partition, and the choice of what goes into the next round. */
import { BATCH_HEADER_BYTES, entryBytes } from './batch-encode.ts';
import type { Entry, Placement } from './types.ts';

/** A queued entry. `order` rises with every append of the producer. */
export interface QueuedEntry {
  readonly entry: Entry;
  readonly bytes: number;
  readonly order: number;
  readonly waiter: PromiseWithResolvers<Placement> | null;
}

interface PartitionQueue {
  readonly topic: string;
  readonly partition: number;
  items: QueuedEntry[];
  /** Most bytes in one batch; falls when the broker says that a batch is too large for the topic. */
  maxBatchBytes: number;
}

/** What one round sends to one partition. */
export interface Taken {
  readonly topic: string;
  readonly partition: number;
  readonly items: readonly QueuedEntry[];
  readonly bytes: number;
}

export interface ProducerQueue {
  add(topic: string, partition: number, entry: Entry, waiter: QueuedEntry['waiter']): QueuedEntry;
  readonly isEmpty: boolean;
  /** Order of the oldest entry held; Infinity when empty. */
  oldest(): number;
  /** Takes the next round: a share of each waiting partition, in turn; a larger entry alone. */
  take(maxBytes: number): readonly Taken[];
  /** Puts entries back at the front, to go in batches of half the size. */
  putBack(taken: Taken): void;
  /** Takes everything out. */
  clear(): readonly QueuedEntry[];
}

export function createProducerQueue(): ProducerQueue {
  const topics = new Map<string, PartitionQueue[]>();
  /** Queues with entries, in the order of their turn. */
  const ready = new Set<PartitionQueue>();
  let order = 0;

  const queueOf = (topic: string, partition: number): PartitionQueue => {
    let partitions = topics.get(topic);
    if (partitions === undefined) {
      partitions = [];
      topics.set(topic, partitions);
    }
    partitions[partition] ??= { topic, partition, items: [], maxBatchBytes: Number.POSITIVE_INFINITY };
    return partitions[partition];
  };

  return {
    add: (topic, partition, entry, waiter) => {
      const item = { entry, bytes: entryBytes(entry), order: order++, waiter };
      const queue = queueOf(topic, partition);
      queue.items.push(item);
      ready.add(queue);
      return item;
    },
    get isEmpty() {
      return ready.size === 0;
    },
    oldest: () => {
      let least = Number.POSITIVE_INFINITY;
      for (const { items } of ready) least = Math.min(least, items[0]?.order ?? least);
      return least;
    },
    take: (maxBytes) => {
      const chosen = new Map<PartitionQueue, { count: number; bytes: number }>();
      let total = 0;
      const choose = (queue: PartitionQueue, share: number): void => {
        const picked = chosen.get(queue) ?? { count: 0, bytes: 0 };
        for (;;) {
          const size = queue.items[picked.count]?.bytes;
          if (size === undefined) break;
          const isFirst = picked.count === 0;
          const added = size + (isFirst ? BATCH_HEADER_BYTES : 0);
          const limit = Math.min(share, queue.maxBatchBytes);
          if (total > 0 && total + added > maxBytes) break;
          if (!isFirst && picked.bytes + added > limit) break;
          picked.count++;
          picked.bytes += added;
          total += added;
        }
        if (picked.count > 0) chosen.set(queue, picked);
      };
      const share = Math.floor(maxBytes / Math.max(1, ready.size));
      for (const queue of ready) choose(queue, share);
      // What the quiet partitions leave goes to the busy ones.
      for (const queue of ready) if (total < maxBytes) choose(queue, maxBytes);
      return [...chosen].map(([queue, { count, bytes }]) => {
        const items = queue.items.slice(0, count);
        queue.items = queue.items.slice(count);
        ready.delete(queue);
        if (queue.items.length > 0) ready.add(queue);
        return { topic: queue.topic, partition: queue.partition, items, bytes };
      });
    },
    putBack: (taken) => {
      const queue = queueOf(taken.topic, taken.partition);
      queue.maxBatchBytes = Math.floor(taken.bytes / 2);
      queue.items = [...taken.items, ...queue.items];
      ready.add(queue);
    },
    clear: () => {
      const all = [...ready].flatMap(({ items }) => items);
      for (const queue of ready) queue.items = [];
      ready.clear();
      return all;
    },
  };
}
