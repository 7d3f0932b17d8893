/** A rolling upgrade on a real broker: two copies of each version, which run at once around the cut. */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { systemClock } from '#pipeline/clock.ts';
import { openKafka } from '#pipeline/kafka/client.ts';
import type { Kafka } from '#pipeline/kafka/types.ts';
import { readPosition } from '#pipeline/merge/position.ts';
import { defineProcessor, keyed } from '#pipeline/processor.ts';
import { buildGraph, type Graph } from '#pipeline/runtime/graph.ts';
import { openPlan } from '#pipeline/runtime/plan.ts';
import { type Processing, startProcessing } from '#pipeline/runtime/processing.ts';
import { readToEnd } from '#pipeline/runtime/read-topic.ts';
import { ensureTopics } from '#pipeline/runtime/topic-settings.ts';
import { localSerde } from '#pipeline/serde/serde.ts';
import { keyValue } from '#pipeline/state/key-value.ts';
import { createMemoryBackend } from '#pipeline/state/memory.ts';
import { silentLog } from '#pipeline/telemetry/log.ts';
import { createMetrics } from '#pipeline/telemetry/metrics.ts';
import { aPrice, dlq, topic } from '#pipeline/testing/fold-run.ts';
import { plan } from '#schemas/plan.ts';
import type { price } from '#schemas/price.ts';
import { upgrade } from './cut.ts';
import { describeVersion, fingerprintOf } from './description.ts';

const brokers = process.env['KAFKA_BROKERS'];
const run = `cut-${Date.now().toString(36)}.`;
const physicalName = (name: string): string => run + name;

const planTopic = { name: 'plan', layer: 'plan', key: 'kind', schema: plan, partitions: 1 } as const;
const raw = topic('raw', 'raw');
const counted = topic('counted');
const passed = { ...topic('passed'), partitions: 2 };
const stores = { seen: keyValue<number>() };

/** Counts all prices, and passes them on under another key with the name of the version. */
const graphOf = (version: string, isFirst: boolean): Graph => {
  const count = defineProcessor({
    name: 'count',
    summary: 'counts',
    stores,
    inputs: [
      keyed<typeof price, typeof stores>(raw, ({ value }, context) => {
        if (value === null) return;
        const number = (context.stores.seen.get('all') ?? 0) + 1;
        context.stores.seen.put('all', number);
        context.emit(counted, 'ETH', { ...value, id: `${value.id} ${version} ${number}` });
      }),
    ],
    outputs: [counted],
  });
  const pass = defineProcessor({
    // Another processor in its place: its tasks, writers and state are new at the cut.
    name: isFirst ? 'pass' : 'pass-on',
    summary: 'passes on',
    stores,
    inputs: [
      keyed<typeof price, typeof stores>(counted, ({ value }, context) => {
        if (value === null) return;
        const number = (context.stores.seen.get('all') ?? 0) + 1;
        context.stores.seen.put('all', number);
        context.emit(passed, value.id, { ...value, id: `${value.id} ${number}` });
      }),
    ],
    outputs: [passed],
  });
  return buildGraph({ processors: [count, pass], planTopic, dlqTopic: dlq });
};

describe.skipIf(brokers === undefined)('a rolling upgrade (set KAFKA_BROKERS)', { timeout: 120_000 }, () => {
  let kafka: Kafka;
  beforeAll(async () => {
    const options = { clientId: 'test', log: silentLog, clock: systemClock };
    kafka = await openKafka({ brokers: (brokers ?? '').split(','), ...options });
  });
  afterAll(() => kafka.close());

  const serde = localSerde([planTopic, raw, counted, passed, dlq]);

  test('two copies of each version run at once, and each record is folded by one version, once', async () => {
    const [one, two] = [graphOf('v1', true), graphOf('v2', false)];
    const admin = kafka.admin();
    for (const { topics, engineTopics } of [one, two]) {
      const named = [...topics.map((each) => [each.name, each] as const), ...engineTopics];
      await ensureTopics(admin, new Map(named.map(([name, each]) => [physicalName(name), each])));
    }
    await admin.close();
    const common = { kafka, serde, topic: planTopic, physicalName, clock: systemClock };
    const descriptionOf = (graph: Graph) => describeVersion({ graph, folders: [] });
    const start = async (graph: Graph, instance: string): Promise<Processing> => {
      const description = await descriptionOf(graph);
      const genesis = await openPlan({
        ...common,
        graph,
        description,
        fingerprint: fingerprintOf(description),
      });
      const processing = await startProcessing({
        ...common,
        graph,
        genesis,
        instance: `${run}${instance}`.replaceAll('.', '-'),
        lagGroup: null,
        log: silentLog,
        metrics: createMetrics(),
        checkpointMs: 100,
        openState: async () => createMemoryBackend(),
      });
      let isStopped = false;
      onTestFinished(async () => {
        if (!isStopped) await processing.stop();
      });
      const { stop } = processing;
      return {
        ...processing,
        stop: () => {
          isStopped = true;
          return stop();
        },
      };
    };
    const producer = kafka.producer();
    onTestFinished(() => producer.close());
    let written = 0;
    const write = async (): Promise<void> => {
      for (let more = 0; more < 40; more += 1) {
        written += 1;
        const value = serde.encode(raw, aPrice(`${written}`));
        producer.append(physicalName('raw'), 0, {
          timestampMs: 0,
          key: Buffer.from('ETH'),
          value,
          headers: [],
        });
      }
      await producer.acknowledged();
    };

    const old = [await start(one, 'one-a'), await start(one, 'one-b')];
    await write();
    const decided = await upgrade({
      ...common,
      graph: two,
      description: await descriptionOf(two),
      emptied: [],
      note: null,
    });
    expect(decided.epoch).toBe(2);
    expect(decided.dropped).toEqual(['pass.seen']);
    // The first new process is there before the old ones are at the cut: it waits.
    const starting = start(two, 'two-a');
    await write();
    const ends = await Promise.all(old.map(({ ended, failed }) => Promise.race([ended, failed])));
    expect(ends).toEqual([2, 2]);
    const first = await starting;
    await write();
    // The old ones may stay for a while: they do nothing more.
    await old[0]?.stop();
    const second = await start(two, 'two-b');
    await write();
    await old[1]?.stop();
    for (const { isDrained, failed } of [first, second])
      await Promise.race([
        until(isDrained),
        failed.then((error) => {
          throw error;
        }),
      ]);

    const streams = new Map<string, string[]>();
    for await (const { partition, record } of readToEnd(kafka, physicalName('passed'))) {
      const { writer, sequence, epoch } = readPosition(record.headers, 'passed');
      const stream = streams.get(`${partition}/${writer}`) ?? [];
      streams.set(`${partition}/${writer}`, stream);
      const line = `${serde.decode(passed, record.value ?? Buffer.alloc(0)).id} in ${epoch}`;
      expect(sequence).toBeLessThanOrEqual(stream.length + 1);
      if (sequence <= stream.length) expect(stream[sequence - 1]).toBe(line);
      else stream.push(line);
    }
    const lines = [...streams.values()].flat().map((line) => line.split(' '));
    const numbers = lines.map(([id]) => Number(id)).sort((a, b) => a - b);
    expect(numbers).toEqual(Array.from({ length: written }, (_, index) => index + 1));
    const countOf = (version: string) => lines.filter(([, found]) => found === version).length;
    expect(countOf('v1')).toBeGreaterThanOrEqual(40);
    expect(countOf('v2')).toBeGreaterThanOrEqual(80);
    // `count` keeps what it knew, `pass-on` begins anew; the epoch is that of the version.
    for (const [id, version, count, passedOn, , epoch] of lines) {
      expect(count).toBe(id);
      expect(Number(passedOn)).toBe(version === 'v1' ? Number(id) : Number(id) - countOf('v1'));
      expect(epoch).toBe(version === 'v1' ? '1' : '2');
    }
  });
});

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await systemClock.sleep(50);
}
