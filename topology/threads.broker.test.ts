/** Tasks in threads on a real broker: what they fold, how they end, and what is left when one dies. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { connectors } from '#connectors/registry.ts';
import { systemClock } from '#pipeline/clock.ts';
import { isPipelineError } from '#pipeline/errors.ts';
import { openKafka } from '#pipeline/kafka/client.ts';
import type { Kafka } from '#pipeline/kafka/types.ts';
import { startConnecting } from '#pipeline/runtime/connecting.ts';
import { appendDecision, openPlan } from '#pipeline/runtime/plan.ts';
import type { RunningTasks } from '#pipeline/runtime/running-tasks.ts';
import { findStore } from '#pipeline/runtime/state-view.ts';
import { ensureTopics } from '#pipeline/runtime/topic-settings.ts';
import { openSerde } from '#pipeline/serde/serde.ts';
import { silentLog } from '#pipeline/telemetry/log.ts';
import { createMetrics } from '#pipeline/telemetry/metrics.ts';
import { UNSAID } from '#schemas/plan.ts';
import { planTopic } from '#schemas/topics.ts';
import { allTopics, graph } from './graph.ts';
import { physicalTopics } from './main.ts';
import { startTasks } from './start-tasks.ts';

const brokers = (process.env['KAFKA_BROKERS'] ?? '').split(',');
const registryUrl = process.env['REGISTRY_URL'] ?? '';
const clock = systemClock;
const log = silentLog;
const DETECT = graph.tasks().filter(({ subTopology }) => subTopology === 'detect').length;

describe.skipIf(process.env['KAFKA_BROKERS'] === undefined)(
  'tasks in threads (set KAFKA_BROKERS)',
  {
    timeout: 120_000,
  },
  () => {
    let kafka: Kafka;
    let stateDirectory = '';
    beforeAll(async () => {
      kafka = await openKafka({ brokers, clientId: 'test', log, clock });
      stateDirectory = await mkdtemp(join(tmpdir(), 'baleen-threads-'));
    });
    afterAll(async () => {
      await kafka.close();
      await rm(stateDirectory, { recursive: true, force: true });
    });

    test('fold everything, name the thread that dies, and go on from there in another number of threads, to the end of the version', async () => {
      const prefix = `threads-${performance.now().toString(36).replace('.', '')}.`;
      const physicalName = (topic: string): string => prefix + topic;
      const admin = kafka.admin();
      await ensureTopics(admin, physicalTopics(physicalName)).finally(() => admin.close());
      const serde = await openSerde({ registryUrl, topics: allTopics });
      const plan = { kafka, serde, graph, topic: planTopic, physicalName, fingerprint: 'test', clock };
      const genesis = await openPlan(plan);
      const start = async (threads: number) => {
        const metrics = createMetrics();
        const running = await startTasks({
          ...{ threads, kafka, serde, clock, log, metrics, physicalName, genesis, brokers, registryUrl },
          ...{ stateDirectory, kafkaSecurity: null, lagGroup: null, limits: {}, hop: 'on' },
          instance: `test-${threads}`,
          tasks: graph.tasks(),
          entry: new URL('./fixtures/mortal-thread.ts', import.meta.url),
        });
        return { running, metrics };
      };
      const stepsOf = ({ tasks }: RunningTasks) => new Map(tasks.map(({ writer, step }) => [writer, step]));
      const found = findStore(graph, 'enrich.tokens');

      const two = await start(2);
      const rooms = connectors
        .filter(({ name }) => name === 'tokens' || name === 'rules')
        .map((definition) => ({ definition, config: definition.config.parse({}) }));
      const connecting = startConnecting({
        ...{ kafka, serde, clock, log, metrics: createMetrics(), physicalName, rooms },
      });
      await connecting.started;
      await vi.waitFor(async () => expect(await two.running.isDrained()).toBe(true), 30_000);
      await connecting.stop();
      // As they last said, which may be a moment ago.
      await vi.waitFor(async () => {
        const steps = [...stepsOf(two.running).values()].reduce((sum, step) => sum + step, 0);
        expect(steps).toBeGreaterThan(DETECT);
        expect(await two.metrics.total('process_records_total')).toBe(steps);
      }, 10_000);
      // A table that every task of the sub-topology reads whole, in both threads.
      await vi.waitFor(async () => {
        const answers = await two.running.lookUp(found, 'ethereum:native');
        expect(answers.map(({ task }) => task)).toEqual(
          Array.from({ length: DETECT }, (_, partition) => `detect-${partition}`),
        );
        expect(new Set(answers.map(({ value }) => JSON.stringify(value))).size).toBe(1);
      }, 10_000);
      const before = stepsOf(two.running);

      await writeFile(join(stateDirectory, 'die-2'), '');
      const error = await two.running.failed;
      expect(isPipelineError(error, 'THREAD_FAILED')).toBe(true);
      expect(error.message).toMatch(/^thread 2 \(.*detect-\d.*\) has died: told to die/);
      await two.running.stop();
      await rm(join(stateDirectory, 'die-2'));

      for (const threads of [3, 1]) {
        const { running } = await start(threads);
        await vi.waitFor(() => expect(stepsOf(running)).toEqual(before), 20_000);
        await running.stop();
        expect(await Promise.race([running.failed, null])).toBeNull();
      }

      // The end of a version is that of all threads.
      const last = await start(2);
      const cut = { ...UNSAID, kind: 'cut', epoch: 2, fingerprint: 'next', atMs: clock.nowMs() } as const;
      await appendDecision(plan, cut);
      expect(await last.running.ended).toBe(2);
      await last.running.stop();
    });
  },
);
