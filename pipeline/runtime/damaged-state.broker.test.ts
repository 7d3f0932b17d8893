/** State folders whose files are really damaged, between two runs of the same tasks on a real broker. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { systemClock } from '#pipeline/clock.ts';
import { openKafka } from '#pipeline/kafka/client.ts';
import type { Kafka } from '#pipeline/kafka/types.ts';
import { defineProcessor, keyed, type ProcessContext } from '#pipeline/processor.ts';
import { localSerde } from '#pipeline/serde/serde.ts';
import { keyValue } from '#pipeline/state/key-value.ts';
import { openLevelBackend, putAside } from '#pipeline/state/level.ts';
import { silentLog } from '#pipeline/telemetry/log.ts';
import { createMetrics } from '#pipeline/telemetry/metrics.ts';
import { NAMESPACE, timestampMs } from '#schemas/avro.ts';
import { dlq, planTopic, type Topic } from '#schemas/topics.ts';
import { buildGraph } from './graph.ts';
import type { OpenState, TaskRestore } from './open-task.ts';
import { startProcessing, stateFolder } from './processing.ts';
import { readDerived } from './read-topic.ts';
import { ensureTopics } from './topic-settings.ts';

const brokers = process.env['KAFKA_BROKERS'];

const schema = {
  type: 'record',
  name: 'Counted',
  namespace: NAMESPACE,
  fields: [
    { name: 'text', type: 'string' },
    { name: 'eventTimeMs', type: timestampMs },
  ],
} as const;
const raw: Topic<typeof schema> = { name: 'raw.words', layer: 'raw', key: 'word', schema, partitions: 1 };
const counts: Topic<typeof schema> = { name: 'words', layer: 'derived', key: 'word', schema, partitions: 1 };

const stores = { counts: keyValue<number>() };

/** The state shows in every output: one lost entry, and a count begins anew. */
const graph = buildGraph({
  processors: [
    defineProcessor({
      name: 'count',
      summary: 'counts words',
      stores,
      inputs: [
        keyed(raw, ({ key }, context: ProcessContext<typeof stores>) => {
          const count = (context.stores.counts.get(key) ?? 0) + 1;
          context.stores.counts.put(key, count);
          context.emit(counts, key, { text: String(count), eventTimeMs: 0 });
        }),
      ],
      outputs: [counts],
    }),
  ],
  planTopic,
  dlqTopic: dlq,
});
const [task] = graph.tasks();
const topics = [planTopic, raw, counts, dlq];
const WORDS = 3_000;

describe.skipIf(brokers === undefined)(
  'a damaged state folder (set KAFKA_BROKERS)',
  { timeout: 120_000 },
  () => {
    let kafka: Kafka;
    let directory = '';
    beforeAll(async () => {
      directory = await mkdtemp(join(tmpdir(), 'baleen-damaged-'));
      const options = { clientId: 'test', log: silentLog, clock: systemClock };
      kafka = await openKafka({ brokers: (brokers ?? '').split(','), ...options });
    });
    afterAll(async () => {
      await kafka.close();
      await rm(directory, { recursive: true, force: true });
    });

    const folder = (): string => {
      if (task === undefined) throw new Error('the graph has one task');
      return stateFolder(directory, task);
    };
    const openState: OpenState = async (_, found) => {
      if (found === 'damaged') await putAside(folder());
      return openLevelBackend(folder());
    };

    /** Starts, folds all there is after each word was written once more, and stops. */
    async function run(physicalName: (topic: string) => string) {
      const metrics = createMetrics();
      const warnings: string[] = [];
      const restores: TaskRestore[] = [];
      const processing = await startProcessing({
        kafka,
        graph,
        genesis: { fingerprint: 'test', epoch: 1, startOffsets: new Map() },
        serde: localSerde(topics),
        clock: systemClock,
        log: { ...silentLog, warn: (message) => warnings.push(message) },
        metrics,
        physicalName,
        openState,
        instance: `test-${performance.now().toString(36).replace('.', '')}`,
        lagGroup: null,
        checkpointMs: 50,
        onRestore: (_, progress) => restores.push(progress),
      });
      const producer = kafka.producer();
      for (let word = 0; word < WORDS; word++) {
        producer.append(physicalName(raw.name), 0, {
          timestampMs: systemClock.nowMs(),
          key: Buffer.from(`word-${word}`),
          value: localSerde(topics).encode(raw, { text: 'x'.repeat(900), eventTimeMs: 0 }),
          headers: [],
        });
      }
      await producer.acknowledged();
      await vi.waitFor(async () => expect(await processing.isDrained()).toBe(true), { timeout: 30_000 });
      await processing.stop();
      await producer.close();
      return { warnings, restores, metrics };
    }

    const overwrite = async (pattern: RegExp): Promise<number> => {
      const names = (await readdir(folder())).filter((name) => pattern.test(name));
      for (const name of names) {
        const path = join(folder(), name);
        const contents = await readFile(path);
        const at = Math.floor(contents.length / 2);
        contents.fill(0x5a, at, Math.min(contents.length, at + 100));
        await writeFile(path, contents);
      }
      return names.length;
    };

    test.each<readonly [string, () => Promise<unknown>, number]>([
      ['bytes of its log are overwritten', () => overwrite(/\.log$/), 1],
      ['its manifest is overwritten', () => overwrite(/MANIFEST/), 1],
      ['it was deleted', () => rm(folder(), { recursive: true }), 0],
    ])('is made again from the changelog when %s', async (name, damage, rebuilds) => {
      await rm(folder(), { recursive: true, force: true });
      const prefix = `damaged-${Date.now().toString(36)}-${name.length}.`;
      const physicalName = (topic: string) => `${prefix}${topic}`;
      const admin = kafka.admin();
      const needed = [...topics.map((topic) => [topic.name, topic] as const), ...graph.engineTopics];
      await ensureTopics(admin, new Map(needed.map(([topic, what]) => [physicalName(topic), what])));
      await admin.close();

      const before = await run(physicalName);
      expect(before.warnings).toEqual([]);
      await damage();
      const after = await run(physicalName);
      expect(after.warnings).toHaveLength(rebuilds);
      expect(await after.metrics.total('state_rebuilds_total')).toBe(rebuilds);
      expect(await after.metrics.total('restored_entries_total')).toBeGreaterThanOrEqual(WORDS);
      expect(after.restores[0]).toMatchObject({ isDone: false, entries: 0 });
      expect(after.restores[0]?.remaining).toBeGreaterThan(0);
      expect(after.restores.at(-1)).toMatchObject({ isDone: true, remaining: 0 });

      const seen = new Map<string, string>();
      const written = readDerived(kafka, localSerde(topics), counts, physicalName(counts.name));
      for await (const { key, value } of written) seen.set(key, `${seen.get(key) ?? ''}${value.text}`);
      expect(seen.size).toBe(WORDS);
      expect(new Set(seen.values())).toEqual(new Set(['12']));
    });
  },
);
