/** Reads a topic from its start to its present end, without a group and without a trace. */
import type { Kafka, KafkaRecord, OffsetRange } from '#pipeline/kafka/types.ts';
import { createFences } from '#pipeline/merge/fence.ts';
import { isTick, readPosition } from '#pipeline/merge/position.ts';
import type { SinkRecord } from '#pipeline/rooms.ts';
import type { Serde } from '#pipeline/serde/serde.ts';
import type { RecordSchema, ValueOf } from '#schemas/avro.ts';
import type { Topic } from '#schemas/topics.ts';

export interface PlacedRecord {
  readonly partition: number;
  readonly record: KafkaRecord;
}

/** Bytes of values that wait before no more is asked for. Records of a changelog are large, others small and many. */
const MAX_WAITING_BYTES = 8 * 1024 * 1024;
const MAX_WAITING = 20_000;

/** Records of all partitions as they come; each partition in its order. Ends at the end that the topic had at the call. */
export async function* readToEnd(kafka: Kafka, topic: string): AsyncGenerator<PlacedRecord> {
  yield* readRanges(kafka, topic, await rangesOf(kafka, topic));
}

/**
 * All records of at least this timestamp, epoch ms, and some of earlier ones between them, up to the present end: what is
 * caused at a log time lies behind the first record of that time, whoever wrote it and however often.
 */
export async function* readSince(kafka: Kafka, topic: string, sinceMs: number): AsyncGenerator<PlacedRecord> {
  yield* readRanges(kafka, topic, await rangesOf(kafka, topic, sinceMs));
}

/** Records of one partition, from an offset or its start to its present end. Throws OFFSET_OUT_OF_RANGE. */
export async function* readPartition(
  kafka: Kafka,
  topic: string,
  partition: number,
  from?: number,
): AsyncGenerator<KafkaRecord> {
  const ranges = (await rangesOf(kafka, topic)).filter((range) => range.partition === partition);
  const wanted = ranges.map(({ start, end }) => ({ partition, start: from ?? start, end }));
  for await (const { record } of readRanges(kafka, topic, wanted)) yield record;
}

const rangesOf = (kafka: Kafka, topic: string, sinceMs?: number): Promise<readonly OffsetRange[]> => {
  const admin = kafka.admin();
  return admin.offsets(topic, sinceMs).finally(() => admin.close());
};

async function* readRanges(
  kafka: Kafka,
  topic: string,
  ranges: readonly OffsetRange[],
): AsyncGenerator<PlacedRecord> {
  const remaining = new Map(
    ranges.filter(({ start, end }) => end > start).map(({ partition, end }) => [partition, end]),
  );
  if (remaining.size === 0) return;
  const waiting: PlacedRecord[] = [];
  let waitingBytes = 0;
  let failure: Error | null = null;
  let wake = () => {};
  const fetcher = kafka.fetcher({
    onRecords: (_, partition, records) => {
      const end = remaining.get(partition);
      if (end === undefined) return;
      for (const record of records) {
        if (record.offset >= end) continue;
        waiting.push({ partition, record });
        waitingBytes += record.value?.length ?? 0;
      }
      if ((records.at(-1)?.offset ?? -1) >= end - 1) {
        remaining.delete(partition);
        fetcher.remove(topic, partition);
      } else if (waiting.length > MAX_WAITING || waitingBytes > MAX_WAITING_BYTES)
        fetcher.pause(topic, partition);
      wake();
    },
    onError: (_topic, _partition, error) => {
      failure = error;
      wake();
    },
  });
  try {
    for (const { partition, start } of ranges)
      if (remaining.has(partition)) fetcher.add(topic, partition, start);
    while (remaining.size > 0 || waiting.length > 0) {
      if (failure !== null) throw failure;
      const batch = waiting.splice(0);
      waitingBytes = 0;
      for (const partition of remaining.keys()) fetcher.resume(topic, partition);
      if (batch.length === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
          if (waiting.length > 0 || failure !== null || remaining.size === 0) resolve();
        });
      }
      yield* batch;
    }
  } finally {
    await fetcher.close();
  }
}

/** Decoded records of a derived topic, without duplicates. */
export async function* readDerived<S extends RecordSchema>(
  kafka: Kafka,
  serde: Serde,
  topic: Topic<S>,
  physicalName: string,
): AsyncGenerator<SinkRecord<ValueOf<S>>> {
  const seen = new Map<string, number>();
  const fences = createFences();
  for await (const { partition, record } of readToEnd(kafka, physicalName)) {
    if (isTick(record.headers)) continue;
    const position = readPosition(record.headers, `${physicalName}/${partition}/${record.offset}`);
    const channel = `${partition}/${position.writer}`;
    if (!fences.hears(channel, position, record.offset) || record.value === null) continue;
    if (position.sequence <= (seen.get(channel) ?? 0)) continue;
    seen.set(channel, position.sequence);
    yield {
      topic,
      partition,
      offset: record.offset,
      key: record.key?.toString() ?? '',
      value: serde.decode(topic, record.value),
      logTimeMs: record.timestampMs,
      writer: position.writer,
      sequence: position.sequence,
    };
  }
}
