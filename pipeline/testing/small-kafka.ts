/** One broker in memory that can delete records: for tests of what reads and writes whole partitions. */
import { PipelineError } from '#pipeline/errors.ts';
import type { Entry, Kafka, KafkaRecord } from '#pipeline/kafka/types.ts';

/** Records in one answer: few, so that something can happen in the midst of a read. */
const CHUNK = 3;

export interface SmallKafka extends Kafka {
  append(topic: string, partition: number, entry: Entry): void;
  records(topic: string, partition: number): readonly KafkaRecord[];
  /** Executes deletions that were asked for; until then they are on the way. */
  executeDeletions(): void;
  /** Called before each chunk is handed over, with its first offset. */
  onChunk: (offset: number) => void;
  /** Records handed over so far. */
  readonly fetched: number;
}

interface Partition {
  start: number;
  readonly records: KafkaRecord[];
}

/** Topics come into being when they are named. */
export function createSmallKafka(): SmallKafka {
  const partitions = new Map<string, Partition>();
  const partitionOf = (topic: string, partition: number): Partition => {
    const name = `${topic}/${partition}`;
    let found = partitions.get(name);
    if (found === undefined) {
      found = { start: 0, records: [] };
      partitions.set(name, found);
    }
    return found;
  };
  let deletions: { readonly partition: Partition; readonly offset: number }[] = [];
  let fetched = 0;
  const unused = (): never => {
    throw new Error('not in this Kafka');
  };
  const append = (topic: string, partition: number, entry: Entry): void => {
    const { records } = partitionOf(topic, partition);
    records.push({ ...entry, offset: records.length });
  };
  const self: SmallKafka = {
    append,
    records: (topic, partition) => {
      const { start, records } = partitionOf(topic, partition);
      return records.slice(start);
    },
    executeDeletions: () => {
      for (const { partition, offset } of deletions) partition.start = Math.max(partition.start, offset);
      deletions = [];
    },
    onChunk: () => {},
    get fetched() {
      return fetched;
    },
    producer: () => ({
      append,
      acknowledged: async () => {},
      send: async (topic, partition, entry) => {
        append(topic, partition, entry);
        return { offset: partitionOf(topic, partition).records.length - 1, appendTimeMs: -1 };
      },
      pendingBytes: 0,
      isHeldUp: () => false,
      writable: async () => {},
      close: async () => {},
    }),
    fetcher: (handler) => {
      const open = new Set<string>();
      const read = async (topic: string, number: number, from: number): Promise<void> => {
        const name = `${topic}/${number}`;
        const partition = partitionOf(topic, number);
        for (let offset = from; open.has(name) && offset < partition.records.length; offset += CHUNK) {
          self.onChunk(offset);
          await null;
          if (!open.has(name)) return;
          if (offset < partition.start) {
            const message = `${name}: ${offset} is deleted`;
            handler.onError(topic, number, new PipelineError('OFFSET_OUT_OF_RANGE', message));
            return;
          }
          const records = partition.records.slice(offset, offset + CHUNK);
          fetched += records.length;
          handler.onRecords(topic, number, records, partition.records.length);
        }
      };
      return {
        add: (topic, partition, offset) => {
          open.add(`${topic}/${partition}`);
          void read(topic, partition, offset);
        },
        remove: (topic, partition) => open.delete(`${topic}/${partition}`),
        pause: () => {},
        resume: () => {},
        close: async () => open.clear(),
      };
    },
    join: unused,
    admin: () => ({
      createTopics: unused,
      topics: unused,
      settings: unused,
      offsets: async (topic) => {
        const { start, records } = partitionOf(topic, 0);
        return [{ partition: 0, start, end: records.length }];
      },
      deleteTopics: unused,
      deleteRecords: async (topic, partition, offset) => {
        deletions.push({ partition: partitionOf(topic, partition), offset });
      },
      commitOffsets: unused,
      brokerCount: async () => 1,
      close: async () => {},
    }),
    close: async () => {},
  };
  return self;
}
