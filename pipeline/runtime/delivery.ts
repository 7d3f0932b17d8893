/** Runs a sink: reads its topics, drops what it has, hands over batches with positions, and tries again when it must. */
import { backoffMs, type Clock } from '#pipeline/clock.ts';
import { isPipelineError, messageOf, PipelineError } from '#pipeline/errors.ts';
import type { Fetcher, Kafka, KafkaRecord } from '#pipeline/kafka/types.ts';
import { createFences, type Fence } from '#pipeline/merge/fence.ts';
import { formatDigest, isTick, nextDigest, readPosition } from '#pipeline/merge/position.ts';
import type { Sink, SinkBatch, SinkRecord, WriterPosition } from '#pipeline/rooms.ts';
import type { Serde } from '#pipeline/serde/serde.ts';
import type { Log } from '#pipeline/telemetry/log.ts';
import type { Metrics } from '#pipeline/telemetry/metrics.ts';
import type { Topic } from '#schemas/topics.ts';

export interface DeliveryOptions {
  readonly name: string;
  readonly sink: Sink;
  readonly inputs: readonly Topic[];
  readonly kafka: Kafka;
  readonly serde: Serde;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly physicalName: (topic: string) => string;
  /** Fences of the plan, by `topic/partition/writer`: reading may go on behind them. Default none. */
  readonly fences?: ReadonlyMap<string, readonly Fence[]>;
  /** Called after a batch became durable. */
  readonly onDelivered?: (records: readonly SinkRecord[]) => void;
}

export interface Delivery {
  readonly failed: Promise<Error>;
  /** Everything in the topics is delivered. */
  isDrained(): Promise<boolean>;
  readonly waiting: number;
  stop(): Promise<void>;
}

const MAX_BATCH = 5_000;
const MAX_WAITING = 20_000;

interface Waiting {
  readonly record: SinkRecord;
  readonly before: WriterPosition;
  readonly after: WriterPosition;
}

export async function startDelivery(options: DeliveryOptions): Promise<Delivery> {
  const { name, sink, inputs, kafka, serde, clock, log, metrics, physicalName } = options;
  const topicOf = new Map(inputs.map((topic) => [physicalName(topic.name), topic]));
  const { promise: failed, resolve: fail } = Promise.withResolvers<Error>();
  const stopping = new AbortController();
  let waiting: Waiting[] = [];
  const fences = createFences(options.fences);
  let positions = new Map<string, WriterPosition>();
  /** `topic/partition` -> next offset that was read. */
  let read = new Map<string, number>();
  let isFromEnd = false;
  let isPaused = false;
  /** Records of the batch that is being written. */
  let inDelivery = 0;
  let wake = () => {};
  let fetcher: Fetcher | null = null;

  const take = (physical: string, partition: number, record: KafkaRecord): void => {
    const topic = topicOf.get(physical);
    if (topic === undefined) return;
    read.set(`${topic.name}/${partition}`, record.offset + 1);
    if (isTick(record.headers)) return;
    const place = `${physical}/${partition}/${record.offset}`;
    const position = readPosition(record.headers, place);
    const { writer, sequence, previousDigest } = position;
    const channel = `${topic.name}/${partition}/${writer}`;
    const base = { topic: topic.name, partition, writer };
    let last = positions.get(channel);
    const isHeard = fences.hears(channel, position, record.offset);
    if (record.value === null) return;
    // A sink that starts at the end takes each writer as it finds it.
    if (last === undefined) {
      const isFirst = !isFromEnd;
      last = {
        ...base,
        sequence: isFirst ? 0 : sequence - 1,
        digest: isFirst ? formatDigest(0) : formatDigest(previousDigest),
      };
    }
    if (sequence <= last.sequence || !isHeard) {
      metrics.add('duplicates_dropped_total', { where: `sink:${name}` });
      return;
    }
    if (sequence > last.sequence + 1) {
      metrics.add('gaps_total', { where: `sink:${name}` });
      throw new PipelineError(
        'SEQUENCE_GAP',
        `${place}: ${writer} jumps from ${last.sequence} to ${sequence}: records are lost; replay this topic`,
      );
    }
    if (formatDigest(previousDigest) !== last.digest) {
      throw new PipelineError(
        'STREAM_FORKED',
        `${place}: ${writer} wrote ${sequence} after other bytes than were delivered; compare with baleen replay`,
      );
    }
    const digest = formatDigest(nextDigest(previousDigest, record.timestampMs, record.key, record.value));
    const after = { ...base, sequence, digest };
    positions.set(channel, after);
    waiting.push({
      record: {
        topic,
        partition,
        offset: record.offset,
        key: record.key?.toString() ?? '',
        value: serde.decode(topic, record.value),
        logTimeMs: record.timestampMs,
        writer,
        sequence,
      },
      before: last,
      after,
    });
  };

  const pauseOrResume = (): void => {
    const wanted = waiting.length > MAX_WAITING ? true : waiting.length < MAX_WAITING / 2 ? false : isPaused;
    if (wanted === isPaused || fetcher === null) return;
    isPaused = wanted;
    for (const topic of inputs) {
      for (let partition = 0; partition < topic.partitions; partition += 1) {
        if (wanted) fetcher.pause(physicalName(topic.name), partition);
        else fetcher.resume(physicalName(topic.name), partition);
      }
    }
  };

  /** From what is durable outside: at start, and when somebody else moved on. */
  const begin = async (): Promise<void> => {
    await fetcher?.close();
    const state = await sink.load();
    waiting = [];
    isPaused = false;
    isFromEnd = state === null;
    positions = new Map(
      (state?.positions ?? []).map((position) => [
        `${position.topic}/${position.partition}/${position.writer}`,
        position,
      ]),
    );
    read = new Map();
    const resume = new Map(
      (state?.resume ?? []).map(({ topic, partition, nextOffset }) => [`${topic}/${partition}`, nextOffset]),
    );
    const own: Fetcher = kafka.fetcher({
      onRecords: (topic, partition, records) => {
        if (own !== fetcher || stopping.signal.aborted) return;
        try {
          for (const record of records) take(topic, partition, record);
        } catch (error) {
          fail(error instanceof Error ? error : new Error(String(error)));
          stopping.abort();
        }
        pauseOrResume();
        wake();
      },
      onError: (_topic, _partition, error) => {
        fail(error);
        stopping.abort();
        wake();
      },
    });
    fetcher = own;
    const admin = kafka.admin();
    try {
      for (const topic of inputs) {
        for (const { partition, start, end } of await admin.offsets(physicalName(topic.name))) {
          const offset = resume.get(`${topic.name}/${partition}`) ?? (state === null ? end : start);
          read.set(`${topic.name}/${partition}`, offset);
          own.add(physicalName(topic.name), partition, offset);
        }
      }
    } finally {
      await admin.close();
    }
  };

  const deliver = async (items: readonly Waiting[]): Promise<void> => {
    const batch = toBatch(items);
    for (let attempt = 0; ; attempt += 1) {
      try {
        await sink.write(batch);
        metrics.add('sink_records_total', { sink: name }, items.length);
        measure(batch.records);
        options.onDelivered?.(batch.records);
        return;
      } catch (error) {
        if (isPipelineError(error, 'SINK_STALE')) {
          log.warn('positions moved, loading again', { sink: name, error: messageOf(error) });
          await retry(begin);
          return;
        }
        if (!isPipelineError(error) || error.action !== 'retry') throw error;
        if (attempt % 10 === 0)
          log.warn('sink does not take records, trying again', { sink: name, error: messageOf(error) });
        metrics.add('sink_retries_total', { sink: name });
        await clock.sleep(backoffMs(attempt), stopping.signal);
        if (stopping.signal.aborted) return;
      }
    }
  };

  /** One of each topic: the first, which waited longest. */
  const measure = (records: readonly SinkRecord[]): void => {
    const nowMs = clock.nowMs();
    const seen = new Set<string>();
    for (const { topic, value } of records) {
      if (seen.has(topic.name)) continue;
      seen.add(topic.name);
      if (typeof value !== 'object' || value === null || !('receivedAtMs' in value)) continue;
      const { receivedAtMs } = value;
      if (typeof receivedAtMs !== 'number') continue;
      metrics.observe('sink_latency_seconds', { sink: name }, Math.max(0, nowMs - receivedAtMs) / 1_000);
    }
  };

  const retry = async (work: () => Promise<void>): Promise<void> => {
    for (let attempt = 0; !stopping.signal.aborted; attempt += 1) {
      try {
        return await work();
      } catch (error) {
        if (!isPipelineError(error) || error.action !== 'retry') throw error;
        if (attempt % 10 === 0)
          log.warn('sink does not answer, trying again', { sink: name, error: messageOf(error) });
        await clock.sleep(backoffMs(attempt), stopping.signal);
      }
    }
  };

  await begin();
  const stopMeasuring = metrics.sample((set) =>
    set('sink_buffered_records', { sink: name }, waiting.length + inDelivery),
  );
  const loop = (async () => {
    while (!stopping.signal.aborted) {
      const items = waiting.splice(0, MAX_BATCH);
      pauseOrResume();
      if (items.length === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
          if (waiting.length > 0 || stopping.signal.aborted) resolve();
        });
        continue;
      }
      inDelivery = items.length;
      await deliver(items);
      inDelivery = 0;
    }
  })().catch((error: unknown) => fail(error instanceof Error ? error : new Error(String(error))));

  return {
    failed,
    get waiting() {
      return waiting.length;
    },
    isDrained: async () => {
      const admin = kafka.admin();
      try {
        for (const topic of inputs) {
          for (const { partition, end } of await admin.offsets(physicalName(topic.name))) {
            if ((read.get(`${topic.name}/${partition}`) ?? 0) < end) return false;
          }
        }
      } finally {
        await admin.close();
      }
      return waiting.length === 0 && inDelivery === 0;
    },
    stop: async () => {
      stopping.abort();
      stopMeasuring();
      wake();
      await fetcher?.close();
      await loop;
      await sink.close();
    },
  };
}

function toBatch(items: readonly Waiting[]): SinkBatch {
  const before = new Map<string, WriterPosition>();
  const after = new Map<string, WriterPosition>();
  const resume = new Map<string, { topic: string; partition: number; nextOffset: number }>();
  for (const item of items) {
    const { topic, partition, writer } = item.after;
    const channel = `${topic}/${partition}/${writer}`;
    if (!before.has(channel)) before.set(channel, item.before);
    after.set(channel, item.after);
    resume.set(`${topic}/${partition}`, { topic, partition, nextOffset: item.record.offset + 1 });
  }
  return {
    records: items.map(({ record }) => record),
    before: [...before.values()],
    after: [...after.values()],
    resume: [...resume.values()],
  };
}
