/** A log in memory, without promises: partitions, offsets and append time as Kafka gives them. Nothing is ever deleted. */
import { PipelineError } from '#pipeline/errors.ts';
import type { Entry, KafkaRecord } from '#pipeline/kafka/types.ts';

export interface MemoryTopic {
  readonly partitions: number;
  /** The log stamps its records, as a broker does on topics with append time; else they keep the writer's time. */
  readonly hasAppendTime: boolean;
}

export interface MemoryLog {
  /** Appends at the end of the partition. Throws INVARIANT_BROKEN for a partition that is not there. */
  append(topic: string, partition: number, entry: Entry): KafkaRecord;
  /** All records of a partition; each lies at its offset. The list grows as records are appended. */
  records(topic: string, partition: number): readonly KafkaRecord[];
  /** Records appended so far, everywhere. */
  readonly size: number;
}

export function createMemoryLog(options: {
  topics: ReadonlyMap<string, MemoryTopic>;
  /** Time of the broker that has the partition. */
  appendTimeMs: (topic: string, partition: number) => number;
  /** Sees each record as soon as it is in the log. */
  onAppend?: (topic: string, partition: number, record: KafkaRecord) => void;
}): MemoryLog {
  const topics = new Map(
    [...options.topics].map(([name, { partitions, hasAppendTime }]) => [
      name,
      { hasAppendTime, partitions: Array.from({ length: partitions }, (): KafkaRecord[] => []) },
    ]),
  );
  let size = 0;
  const partitionOf = (topic: string, partition: number): KafkaRecord[] => {
    const records = topics.get(topic)?.partitions[partition];
    if (records === undefined) {
      throw new PipelineError(
        'INVARIANT_BROKEN',
        `${topic}/${partition}: expected a partition of this log, found ${topics.get(topic)?.partitions.length ?? 'no topic of this name and no'} partitions`,
      );
    }
    return records;
  };
  return {
    append: (topic, partition, entry) => {
      const records = partitionOf(topic, partition);
      const isStamped = topics.get(topic)?.hasAppendTime === true;
      const timestampMs = isStamped ? options.appendTimeMs(topic, partition) : entry.timestampMs;
      const record: KafkaRecord = { ...entry, timestampMs, offset: records.length };
      records.push(record);
      size += 1;
      options.onAppend?.(topic, partition, record);
      return record;
    },
    records: partitionOf,
    get size() {
      return size;
    },
  };
}
