/** What the tasks of a process read: one fetched partition may have several readers. */
import type { Fetcher, Kafka, KafkaRecord } from '#pipeline/kafka/types.ts';
import type { Inbound } from '#pipeline/merge/inbound.ts';
import type { Task } from './task.ts';

export interface Input {
  /** Logical name. */
  readonly topic: string;
  readonly physical: string;
  readonly partition: number;
  readonly readers: readonly { readonly task: Task; readonly inbound: Inbound }[];
  isPaused: boolean;
  /** Where the partition ended when it was last fetched; 0 before. */
  endOffset: number;
}

/** Where a partition is to be fetched from. */
export interface FetchFrom {
  readonly physical: string;
  readonly partition: number;
  readonly offset: number;
}

export interface Inputs {
  readonly all: readonly Input[];
  /** A task reads from now on. Returns what must be fetched from there: new partitions, and those that it needs from further back. */
  add(task: Task): readonly FetchFrom[];
  /** It reads no more. Returns the partitions that nobody reads now. */
  remove(task: Task): readonly Input[];
  /** Hands records to all readers. False when nobody reads the partition. */
  take(physical: string, partition: number, records: readonly KafkaRecord[], endOffset?: number): boolean;
  /** Records that the task has not folded yet, as far as was seen; ticks count until they are read. */
  lag(task: Task): number;
  /** Stops fetching partitions of which enough waits, and starts again those of which little does. */
  balance(fetcher: Pick<Fetcher, 'pause' | 'resume'>): void;
}

interface OpenInput extends Input {
  readers: { readonly task: Task; readonly inbound: Inbound }[];
  /** Everything before it was handed over. */
  takenOffset: number;
}

export function createInputs(options: {
  physicalName: (topic: string) => string;
  /** Bytes that may wait in one partition before its fetching is paused. */
  maxWaitingBytes: number;
}): Inputs {
  const { physicalName, maxWaitingBytes } = options;
  const byName = new Map<string, OpenInput>();

  const read = (task: Task, inbound: Inbound): FetchFrom | null => {
    const { topic, partition, nextOffset } = inbound;
    const physical = physicalName(topic);
    const name = `${physical}/${partition}`;
    const known = byName.get(name);
    if (known !== undefined && nextOffset >= known.takenOffset) {
      known.readers.push({ task, inbound });
      return null;
    }
    // Somebody who is behind brings the whole partition back: the others drop what they have.
    const input: OpenInput = {
      topic,
      physical,
      partition,
      readers: [...(known?.readers ?? []), { task, inbound }],
      isPaused: false,
      endOffset: known?.endOffset ?? 0,
      takenOffset: nextOffset,
    };
    byName.set(name, input);
    return { physical, partition, offset: nextOffset };
  };

  return {
    get all() {
      return [...byName.values()];
    },
    add: (task) => task.inbounds.map((inbound) => read(task, inbound)).filter((from) => from !== null),
    remove: (task) => {
      const unread: Input[] = [];
      for (const [name, input] of byName) {
        if (input.readers.every((reader) => reader.task !== task)) continue;
        input.readers = input.readers.filter((reader) => reader.task !== task);
        if (input.readers.length > 0) continue;
        byName.delete(name);
        unread.push(input);
      }
      return unread;
    },
    take: (physical, partition, records, endOffset = 0) => {
      const input = byName.get(`${physical}/${partition}`);
      if (input === undefined) return false;
      input.endOffset = Math.max(input.endOffset, endOffset);
      input.takenOffset = (records.at(-1)?.offset ?? input.takenOffset - 1) + 1;
      for (const { task, inbound } of input.readers)
        task.accept(input.topic, partition, unseen(records, inbound.nextOffset));
      return true;
    },
    lag: (task) => {
      let lag = task.waiting;
      for (const { readers, endOffset } of byName.values()) {
        for (const { task: reader, inbound } of readers)
          if (reader === task) lag += Math.max(0, endOffset - inbound.nextOffset);
      }
      return lag;
    },
    balance: (fetcher) => {
      for (const input of byName.values()) {
        const limit = input.isPaused ? maxWaitingBytes / 2 : maxWaitingBytes;
        // Pausing a partition whose needed writer lies behind others would be a deadlock (engine rules, section 6).
        const mustPause =
          input.readers.some(({ inbound }) => inbound.waitingBytes > limit) &&
          input.readers.every(({ inbound }) => inbound.canPause());
        if (mustPause === input.isPaused) continue;
        input.isPaused = mustPause;
        if (mustPause) fetcher.pause(input.physical, input.partition);
        else fetcher.resume(input.physical, input.partition);
      }
    },
  };
}

/** What one reader has while another is brought up is no duplicate in the log. */
const unseen = (records: readonly KafkaRecord[], nextOffset: number): readonly KafkaRecord[] =>
  (records[0]?.offset ?? nextOffset) >= nextOffset
    ? records
    : records.filter(({ offset }) => offset >= nextOffset);

/** Every input was read to its present end by all its readers. */
export async function isFolded(kafka: Pick<Kafka, 'admin'>, inputs: readonly Input[]): Promise<boolean> {
  const admin = kafka.admin();
  try {
    for (const [physical, group] of Map.groupBy(inputs, (input) => input.physical)) {
      const ends = new Map((await admin.offsets(physical)).map(({ partition, end }) => [partition, end]));
      const isBehind = group.some(({ partition, readers }) =>
        readers.some(({ inbound }) => inbound.nextOffset < (ends.get(partition) ?? 0)),
      );
      if (isBehind) return false;
    }
    return true;
  } finally {
    await admin.close();
  }
}
