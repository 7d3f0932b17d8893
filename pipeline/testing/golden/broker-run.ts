/** Runs a topology on a real broker, in topics of its own, so that several runs can be compared. */
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '#pipeline/clock.ts';
import type { Entry, FetchHandler, Kafka, Producer } from '#pipeline/kafka/types.ts';
import { TICK_HEADERS } from '#pipeline/merge/position.ts';
import type { ProcessorDefinition } from '#pipeline/processor.ts';
import { buildGraph } from '#pipeline/runtime/graph.ts';
import { partitionOf } from '#pipeline/runtime/partitioner.ts';
import { startProcessing, stateFolder } from '#pipeline/runtime/processing.ts';
import { readToEnd } from '#pipeline/runtime/read-topic.ts';
import { ensureTopics } from '#pipeline/runtime/topic-settings.ts';
import { localSerde, type Serde } from '#pipeline/serde/serde.ts';
import { openLevelBackend } from '#pipeline/state/level.ts';
import { silentLog } from '#pipeline/telemetry/log.ts';
import { createMetrics, type Metrics } from '#pipeline/telemetry/metrics.ts';
import type { RecordSchema, ValueOf } from '#schemas/avro.ts';
import { dlq, planTopic, type Topic } from '#schemas/topics.ts';
import { createStreams, type Streams } from '../driver/streams.ts';

/** A processing object at work. */
export interface Running {
  readonly metrics: Metrics;
  /** Entries that it took from changelogs when it was opened. */
  readonly restoredEntries: number;
  /** Waits until nothing before this log time can come any more from any task. Throws when processing ends before. */
  until(logTimeMs: number): Promise<void>;
  /** Ends with a last checkpoint. */
  stop(): Promise<void>;
  /** Ends as a process does that is killed: what was written since the last checkpoint is in the log, but not in the state. */
  crash(): Promise<void>;
}

export interface BrokerRun {
  readonly serde: Serde;
  /** Appends a record and returns its log time. */
  write<S extends RecordSchema>(
    topic: Topic<S>,
    record: { readonly key: string; readonly value: ValueOf<S> | null; readonly atMs: number },
  ): Promise<number>;
  /** Shows on every partition of history that log time has come so far. */
  tick(logTimeMs: number): Promise<void>;
  /** Opens all tasks on the state in a folder; an absent one is made from the changelogs. */
  start(folder: string, options: { readonly checkpointMs: number }): Promise<Running>;
  /** What tasks have written so far, and how many records that is with those that were written again. */
  written(): Promise<{ readonly streams: Streams; readonly records: number }>;
  close(): Promise<void>;
}

const LOOK_AGAIN_MS = 20;

/** Creates the topics, which are named `<prefix><name>`. */
export async function openBrokerRun(options: {
  kafka: Kafka;
  processors: readonly ProcessorDefinition[];
  prefix: string;
}): Promise<BrokerRun> {
  const { kafka, processors, prefix } = options;
  const graph = buildGraph({ processors, planTopic, dlqTopic: dlq });
  const serde = localSerde(graph.topics);
  const physicalName = (topic: string): string => `${prefix}${topic}`;
  const admin = kafka.admin();
  const needed = [...graph.topics.map((topic) => [topic.name, topic] as const), ...graph.engineTopics];
  await ensureTopics(admin, new Map(needed.map(([name, topic]) => [physicalName(name), topic]))).finally(() =>
    admin.close(),
  );
  const producer: Producer = kafka.producer();
  const genesis = { fingerprint: 'golden', epoch: 1, startOffsets: new Map<string, number>() };
  let starts = 0;

  const start: BrokerRun['start'] = async (folder, { checkpointMs }) => {
    const metrics = createMetrics();
    const handlers: FetchHandler[] = [];
    let restoredEntries = 0;
    starts += 1;
    const processing = await startProcessing({
      // The door through which it can be made to fail.
      kafka: {
        ...kafka,
        fetcher: (handler, fetching) => {
          handlers.push(handler);
          return kafka.fetcher(handler, fetching);
        },
      },
      graph,
      genesis,
      serde,
      clock: systemClock,
      log: silentLog,
      metrics,
      physicalName,
      openState: (task) => openLevelBackend(stateFolder(folder, task)),
      instance: `golden-${starts}`,
      lagGroup: null,
      checkpointMs,
      onRestore: (_, { isDone, entries }) => {
        if (isDone) restoredEntries += entries;
      },
    });
    let failure: Error | null = null;
    void processing.failed.then((error) => {
      failure = error;
    });
    return {
      metrics,
      restoredEntries,
      until: async (logTimeMs) => {
        while (processing.tasks.some(({ boundMs }) => boundMs < logTimeMs)) {
          if (failure !== null) throw failure;
          await sleep(LOOK_AGAIN_MS);
        }
      },
      stop: async () => {
        await processing.stop();
        if (failure !== null) throw failure;
      },
      crash: async () => {
        for (const { onError } of handlers) onError('any', 0, new Error('killed'));
        await processing.failed;
        await processing.stop();
      },
    };
  };

  return {
    serde,
    write: async (topic, { key, value, atMs }) => {
      const keyBytes = Buffer.from(key);
      const entry: Entry = {
        timestampMs: atMs,
        key: keyBytes,
        value: value === null ? null : serde.encode(topic, value),
        headers: [],
      };
      const partition = partitionOf(keyBytes, topic.partitions);
      const { appendTimeMs } = await producer.send(physicalName(topic.name), partition, entry);
      return appendTimeMs === -1 ? atMs : appendTimeMs;
    },
    tick: async (logTimeMs) => {
      for (const { name, layer, partitions } of graph.topics) {
        if (layer !== 'history') continue;
        for (let partition = 0; partition < partitions; partition += 1) {
          producer.append(physicalName(name), partition, {
            timestampMs: logTimeMs,
            key: null,
            value: null,
            headers: TICK_HEADERS,
          });
        }
      }
      await producer.acknowledged();
    },
    start,
    written: async () => {
      const streams = createStreams();
      let records = 0;
      for (const { name, layer } of graph.topics) {
        if (layer !== 'derived') continue;
        for await (const { partition, record } of readToEnd(kafka, physicalName(name))) {
          streams.add(name, partition, record);
          records += 1;
        }
      }
      return { streams, records };
    },
    close: () => producer.close(),
  };
}

/** The records of a topic, decoded, in the order of a reader. */
export const decoded = <S extends RecordSchema>(streams: Streams, serde: Serde, topic: Topic<S>) =>
  streams.ofTopic(topic.name).map(({ record }) => ({
    key: record.key?.toString() ?? '',
    value: serde.decode(topic, record.value ?? Buffer.alloc(0)),
    logTimeMs: record.timestampMs,
  }));
