/** A topic that a loader filled, read on a real broker. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { systemClock } from '#pipeline/clock.ts';
import { openKafka } from '#pipeline/kafka/client.ts';
import type { Kafka } from '#pipeline/kafka/types.ts';
import { TICK_HEADERS } from '#pipeline/merge/position.ts';
import { defineProcessor, keyed, type ProcessContext } from '#pipeline/processor.ts';
import { localSerde } from '#pipeline/serde/serde.ts';
import { createMemoryBackend } from '#pipeline/state/memory.ts';
import { logTimer } from '#pipeline/state/timer.ts';
import { silentLog } from '#pipeline/telemetry/log.ts';
import { silentMetrics } from '#pipeline/telemetry/metrics.ts';
import { NAMESPACE } from '#schemas/avro.ts';
import { dlq, planTopic, type Topic } from '#schemas/topics.ts';
import { buildGraph } from './graph.ts';
import { startProcessing } from './processing.ts';
import { readDerived } from './read-topic.ts';
import { ensureTopics } from './topic-settings.ts';

const brokers = process.env['KAFKA_BROKERS'];

const schema = {
  type: 'record',
  name: 'Word',
  namespace: NAMESPACE,
  fields: [{ name: 'text', type: 'string' }],
} as const;
const loaded: Topic<typeof schema> = { name: 'words', layer: 'history', key: 'word', schema, partitions: 1 };
const echoes: Topic<typeof schema> = { name: 'echoes', layer: 'derived', key: 'word', schema, partitions: 1 };

const stores = { later: logTimer() };
const graph = buildGraph({
  processors: [
    defineProcessor({
      name: 'echo',
      summary: 'says each word at once, and once more half a second later',
      stores,
      inputs: [
        keyed(loaded, ({ key, logTimeMs }, { emit, stores: { later } }: ProcessContext<typeof stores>) => {
          later.set(key, logTimeMs + 500);
          emit(echoes, key, { text: key });
        }),
      ],
      onTimer: { later: ({ key }, { emit }) => emit(echoes, key, { text: `${key} again` }) },
      outputs: [echoes],
    }),
  ],
  planTopic,
  dlqTopic: dlq,
});

describe.skipIf(brokers === undefined)('loaded history (set KAFKA_BROKERS)', { timeout: 60_000 }, () => {
  let kafka: Kafka;
  beforeAll(async () => {
    const options = { clientId: 'test', log: silentLog, clock: systemClock };
    kafka = await openKafka({ brokers: (brokers ?? '').split(','), ...options });
  });
  afterAll(() => kafka.close());

  test('has the log time of its loader up to its closing tick, and gets no tick of a reader', async () => {
    const prefix = `history-${performance.now().toString(36).replace('.', '')}.`;
    const physicalName = (topic: string): string => prefix + topic;
    const topics = [planTopic, loaded, echoes, dlq];
    const serde = localSerde(topics);
    const admin = kafka.admin();
    const own = topics.map((topic) => [physicalName(topic.name), topic] as const);
    const engine = [...graph.engineTopics].map(([name, topic]) => [physicalName(name), topic] as const);
    await ensureTopics(admin, new Map([...own, ...engine]));

    const loader = kafka.producer();
    const load = (text: string, timestampMs: number) =>
      loader.append(physicalName(loaded.name), 0, {
        timestampMs,
        key: Buffer.from(text),
        value: serde.encode(loaded, { text }),
        headers: [],
      });
    load('one', 1_000);
    load('two', 1_010);
    load('three', 1_005);
    const closing = TICK_HEADERS;
    loader.append(physicalName(loaded.name), 0, {
      timestampMs: 1_505,
      key: null,
      value: null,
      headers: closing,
    });
    await loader.acknowledged();

    const processing = await startProcessing({
      kafka,
      graph,
      genesis: { fingerprint: 'test', epoch: 1, startOffsets: new Map() },
      serde,
      clock: systemClock,
      log: silentLog,
      metrics: silentMetrics,
      physicalName,
      openState: async () => createMemoryBackend(),
      instance: 'test',
      lagGroup: null,
      tickIntervalMs: 5,
    });
    const written = async () => {
      const records = await Array.fromAsync(readDerived(kafka, serde, echoes, physicalName(echoes.name)));
      return records.map(({ value, logTimeMs }) => [value.text, logTimeMs]);
    };
    // What is due at 1,510 stays: history goes no further than 1,505.
    await vi.waitFor(
      async () =>
        expect(await written()).toEqual([
          ['one', 1_000],
          ['two', 1_010],
          ['three', 1_010],
          ['one again', 1_500],
        ]),
      { timeout: 30_000 },
    );
    await processing.stop();
    expect(await admin.offsets(physicalName(loaded.name))).toEqual([{ partition: 0, start: 0, end: 4 }]);
    await admin.close();
    await loader.close();
  });
});
