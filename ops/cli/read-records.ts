/** Reads a topic for people: from its start or its end, to its present end or for ever. No group, no trace. */
import type { Kafka } from '#pipeline/kafka/types.ts';
import type { PlacedRecord } from '#pipeline/runtime/read-topic.ts';

const MAX_WAITING = 5_000;

/**
 * Records of all partitions as they come, each partition in its order. Ends at the end that the topic had at the
 * call unless `isEndless`, and when the signal aborts. Throws what Kafka refuses.
 */
export async function* readRecords(options: {
  readonly kafka: Kafka;
  readonly topic: string;
  readonly from: 'start' | 'end';
  readonly isEndless: boolean;
  readonly signal: AbortSignal;
}): AsyncGenerator<PlacedRecord> {
  const { kafka, topic, from, isEndless, signal } = options;
  const admin = kafka.admin();
  const ranges = await admin.offsets(topic).finally(() => admin.close());
  const wanted = ranges.filter(({ start, end }) => isEndless || (from === 'start' && end > start));
  const ends = new Map(
    wanted.map(({ partition, end }) => [partition, isEndless ? Number.POSITIVE_INFINITY : end]),
  );
  const paused = new Set<number>();
  const waiting: PlacedRecord[] = [];
  let failure: Error | null = null;
  let wake = () => {};
  const isOver = () => ends.size === 0 || failure !== null || signal.aborted;

  const fetcher = kafka.fetcher({
    onRecords: (_, partition, records) => {
      const end = ends.get(partition);
      if (end === undefined) return;
      for (const record of records) if (record.offset < end) waiting.push({ partition, record });
      if ((records.at(-1)?.offset ?? -1) >= end - 1) {
        ends.delete(partition);
        fetcher.remove(topic, partition);
      } else if (waiting.length > MAX_WAITING) {
        paused.add(partition);
        fetcher.pause(topic, partition);
      }
      wake();
    },
    onError: (_topic, _partition, error) => {
      failure = error;
      wake();
    },
  });
  const onAbort = () => wake();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    for (const { partition, start, end } of wanted) {
      if (ends.has(partition)) fetcher.add(topic, partition, from === 'start' ? start : end);
    }
    for (;;) {
      yield* waiting.splice(0);
      if (failure !== null) throw failure;
      if (waiting.length > 0 && !signal.aborted) continue;
      if (isOver()) return;
      for (const partition of paused) fetcher.resume(topic, partition);
      paused.clear();
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (waiting.length > 0 || isOver()) resolve();
      });
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    await fetcher.close();
  }
}
