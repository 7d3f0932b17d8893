/**
 * What a producer holds: batches for each partition, of which the last one grows, and the choice of what goes into the
 * next round. Entries are written into their batch at once: thousands that wait would be as many objects to carry along.
 */
import { decodeBatches } from './batch-decode.ts';
import { BatchBuilder, entryBytes } from './batch-encode.ts';
import type { Entry, Placement } from './types.ts';

/** Who wants to know where an entry of a batch came to lie; null: nobody. */
export type Waiter = PromiseWithResolvers<Placement> | null;

/** What one round sends to one partition. */
export interface Batch {
  readonly topic: string;
  readonly partition: number;
  readonly batch: Buffer;
  readonly count: number;
  /** As counted when its entries were added. */
  readonly bytes: number;
  /** By place in the batch; shorter where nobody waits. */
  readonly waiters: readonly (Waiter | undefined)[];
  /** Of its first entry; rises with every append of the producer. */
  readonly order: number;
}

interface Growing {
  readonly builder: BatchBuilder;
  readonly order: number;
  readonly waiters: (Waiter | undefined)[];
}

interface PartitionQueue {
  readonly topic: string;
  readonly partition: number;
  batches: Growing[];
  /** Most bytes in one batch; falls when the broker says that a batch is too large for the topic. */
  maxBatchBytes: number;
  /** Of the batch before: room that the next may need. */
  usualBytes: number;
  isHeld: boolean;
}

type Place = Pick<PartitionQueue, 'topic' | 'partition'>;

export interface ProducerQueue {
  /** Bytes by which the queue grew. */
  add(topic: string, partition: number, entry: Entry, waiter: Waiter): number;
  /** Nothing can be taken. */
  readonly isEmpty: boolean;
  /** Order of the oldest entry held; Infinity when empty. */
  oldest(): number;
  /** Takes the next round: one batch of each waiting partition, in turn, up to `maxBytes`; a larger one alone. */
  take(maxBytes: number): readonly Batch[];
  /** Puts entries back at the front, to go in batches of half the size. */
  putBack(batch: Batch): void;
  /** Of this partition nothing is taken until it is freed; what it holds is still the oldest of it. */
  hold(place: Place): void;
  free(place: Place): void;
  isHeld(topic: string, partition: number): boolean;
  /** The bytes of a batch are needed no more, by nobody: later ones are written in their place. */
  reuse(batch: Batch): void;
  /** Takes everything out; those who wait for it. */
  clear(): readonly (Waiter | undefined)[];
}

const LEAST_ROOM_BYTES = 1_024;
/** Fresh memory in large pieces is slow: the system clears each page. */
const MAX_FREE_ROOMS = 16;
const MAX_FREE_ROOM_BYTES = 1024 * 1024;

export function createProducerQueue(options: {
  /** In one batch; a larger entry has one to itself. */
  maxBatchBytes: number;
  compression: 'none' | 'zstd';
}): ProducerQueue {
  const topics = new Map<string, PartitionQueue[]>();
  /** Queues with entries, in the order of their turn. */
  const ready = new Set<PartitionQueue>();
  const held = new Set<PartitionQueue>();
  const freeRooms: Buffer[] = [];
  let order = 0;

  const queueOf = (topic: string, partition: number): PartitionQueue => {
    let partitions = topics.get(topic);
    if (partitions === undefined) {
      partitions = [];
      topics.set(topic, partitions);
    }
    const { maxBatchBytes } = options;
    const usualBytes = LEAST_ROOM_BYTES;
    partitions[partition] ??= { topic, partition, batches: [], maxBatchBytes, usualBytes, isHeld: false };
    return partitions[partition];
  };

  /** Writes an entry behind `batches`; by how many bytes they grew. */
  const put = (
    queue: PartitionQueue,
    batches: Growing[],
    entry: Entry,
    { order, waiter }: { order: number; waiter: Waiter },
  ): number => {
    let last = batches.at(-1);
    if (last === undefined || last.builder.length + entryBytes(entry) > queue.maxBatchBytes) {
      const room = freeRooms.pop() ?? Buffer.allocUnsafeSlow(Math.max(LEAST_ROOM_BYTES, queue.usualBytes));
      last = { builder: new BatchBuilder(room), order, waiters: [] };
      batches.push(last);
    }
    const { builder, waiters } = last;
    const before = builder.count === 0 ? 0 : builder.length;
    if (waiter !== null) waiters[builder.count] = waiter;
    builder.add(entry);
    return builder.length - before;
  };

  /** Lets it have its turn after those that wait. */
  const enqueue = (queue: PartitionQueue): void => {
    if (!queue.isHeld && queue.batches.length > 0) ready.add(queue);
  };

  const release = (room: ArrayBufferLike): void => {
    if (freeRooms.length < MAX_FREE_ROOMS && room.byteLength <= MAX_FREE_ROOM_BYTES)
      freeRooms.push(Buffer.from(room));
  };

  return {
    add: (topic, partition, entry, waiter) => {
      const queue = queueOf(topic, partition);
      const bytes = put(queue, queue.batches, entry, { order, waiter });
      order += 1;
      if (queue.batches.length === 1) enqueue(queue);
      return bytes;
    },
    get isEmpty() {
      return ready.size === 0;
    },
    oldest: () => {
      let least = Number.POSITIVE_INFINITY;
      for (const { batches } of [...ready, ...held]) least = Math.min(least, batches[0]?.order ?? least);
      return least;
    },
    take: (maxBytes) => {
      const taken: Batch[] = [];
      let total = 0;
      for (const queue of [...ready]) {
        const { topic, partition, batches } = queue;
        const [first] = batches;
        if (first === undefined) continue;
        const bytes = first.builder.length;
        if (total > 0 && total + bytes > maxBytes) break;
        total += bytes;
        batches.shift();
        queue.usualBytes = bytes;
        ready.delete(queue);
        enqueue(queue);
        const batch = first.builder.finish(options.compression);
        // What was compressed is a copy: its room is free at once.
        if (options.compression !== 'none') release(first.builder.room.buffer);
        taken.push({ ...first, topic, partition, batch, count: first.builder.count, bytes });
      }
      return taken;
    },
    putBack: ({ topic, partition, batch, bytes, waiters, order }) => {
      const queue = queueOf(topic, partition);
      queue.maxBatchBytes = Math.floor(bytes / 2);
      const smaller: Growing[] = [];
      for (const [index, entry] of decodeBatches(batch, 0).entries())
        put(queue, smaller, entry, { order, waiter: waiters[index] ?? null });
      queue.batches = [...smaller, ...queue.batches];
      enqueue(queue);
    },
    hold: ({ topic, partition }) => {
      const queue = queueOf(topic, partition);
      queue.isHeld = true;
      held.add(queue);
      ready.delete(queue);
    },
    free: ({ topic, partition }) => {
      const queue = queueOf(topic, partition);
      queue.isHeld = false;
      held.delete(queue);
      enqueue(queue);
    },
    isHeld: (topic, partition) => topics.get(topic)?.[partition]?.isHeld === true,
    reuse: ({ batch }) => {
      // What was compressed lies in memory that it may share with others.
      if (options.compression === 'none') release(batch.buffer);
    },
    clear: () => {
      const all = [...ready, ...held];
      const waiters = all.flatMap(({ batches }) => batches.flatMap((batch) => batch.waiters));
      for (const queue of all) queue.batches = [];
      ready.clear();
      return waiters;
    },
  };
}
