/** A record that really kills real processes, on a real broker: found, passed over, and everything else exactly once. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { systemClock } from '#pipeline/clock.ts';
import { openKafka } from '#pipeline/kafka/client.ts';
import type { Kafka } from '#pipeline/kafka/types.ts';
import { readDecisions } from '#pipeline/plan/decisions.ts';
import { DEATHS_AT_MARK, DEATHS_TO_SEARCH } from '#pipeline/poison/search.ts';
import { skipsOf } from '#pipeline/poison/skips.ts';
import { readToEnd } from '#pipeline/runtime/read-topic.ts';
import { ensureTopics } from '#pipeline/runtime/topic-settings.ts';
import { localSerde } from '#pipeline/serde/serde.ts';
import { silentLog } from '#pipeline/telemetry/log.ts';
import { createStreams } from '#pipeline/testing/driver/streams.ts';
import { dlq, planTopic } from '#schemas/topics.ts';
import { counted, given, graph, POISON, passed } from './topology.ts';
import type { WorkerSettings } from './worker.ts';

const brokers = process.env['KAFKA_BROKERS'];
const WORKER = join(import.meta.dirname, 'worker.ts');

describe.skipIf(brokers === undefined)(
  'a record that kills (set KAFKA_BROKERS)',
  { timeout: 180_000 },
  () => {
    const prefix = `poison-${Date.now().toString(36)}.`;
    const physicalName = (topic: string): string => `${prefix}${topic}`;
    const serde = localSerde(graph.topics);
    let kafka: Kafka;
    let folder = '';
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'baleen-poison-'));
      kafka = await openKafka({
        brokers: (brokers ?? '').split(','),
        ...{ clientId: 'test', log: silentLog, clock: systemClock },
      });
      const admin = kafka.admin();
      const named = [...graph.topics.map((topic) => [topic.name, topic] as const), ...graph.engineTopics];
      await ensureTopics(admin, new Map(named.map(([name, topic]) => [physicalName(name), topic])));
      await admin.close();
    });
    afterAll(async () => {
      await kafka.close();
      await rm(folder, { recursive: true, force: true });
    });

    const start = (name: string): ChildProcess => {
      const settings: WorkerSettings = {
        ...{ brokers: (brokers ?? '').split(','), prefix, folder: join(folder, name) },
      };
      const child = spawn(process.execPath, [WORKER, JSON.stringify(settings)], { stdio: 'ignore' });
      onTestFinished(() => void child.kill('SIGKILL'));
      return child;
    };

    const write = async (from: number, to: number): Promise<void> => {
      const producer = kafka.producer();
      for (let number = from; number <= to; number += 1) {
        const value = serde.encode(given, { number: BigInt(number), count: 0n });
        producer.append(physicalName(given.name), 0, {
          ...{ timestampMs: 0, key: Buffer.from(`key ${number}`), value, headers: [] },
        });
      }
      await producer.acknowledged();
      await producer.close();
    };

    /** First occurrences; throws on a hole, and on other bytes at a place that was there. */
    const found = async () => {
      const streams = createStreams();
      for (const { name, layer } of graph.topics) {
        if (layer !== 'derived') continue;
        for await (const { partition, record } of readToEnd(kafka, physicalName(name)))
          streams.add(name, partition, record);
      }
      return streams;
    };
    const numbers = async (): Promise<readonly (readonly [bigint, bigint])[]> =>
      (await found()).ofTopic(counted.name).map(({ record }) => {
        const { number, count } = serde.decode(counted, record.value ?? Buffer.alloc(0));
        return [number, count];
      });
    const skips = async () => skipsOf(await readDecisions({ kafka, serde, topic: planTopic, physicalName }));

    /** Starts it again whenever it dies, until `isDone`. Returns the process that runs then, and how many died before. */
    const supervise = async (name: string, isDone: () => Promise<boolean>) => {
      for (let deaths = 0; ; deaths += 1) {
        const child = start(name);
        const exit = once(child, 'exit');
        const done = (async () => {
          while (child.exitCode === null && child.signalCode === null && !(await isDone())) await sleep(100);
        })();
        await Promise.race([exit, done]);
        if (child.exitCode === null && child.signalCode === null) return { child, deaths };
        expect(child.signalCode).toBe('SIGKILL');
        expect(deaths).toBeLessThan(DEATHS_TO_SEARCH + DEATHS_AT_MARK);
      }
    };

    test('is found after a few deaths and passed over; all else comes once, and its bytes are kept', async () => {
      await write(1, 25);
      const { child, deaths } = await supervise('one', async () => (await numbers()).length >= 24);
      expect(deaths).toBe(DEATHS_TO_SEARCH + DEATHS_AT_MARK);
      const expected = Array.from({ length: 25 }, (_, index) => BigInt(index + 1)).filter(
        (number) => number !== POISON,
      );
      // The count goes on as if it had never been.
      expect(await numbers()).toEqual(expected.map((number, index) => [number, BigInt(index + 1)]));
      expect(await skips()).toMatchObject([
        { writer: 'count-0', processor: 'count', place: `passed/0/pass-0:${POISON}` },
      ]);
      const letters = (await found()).ofTopic(dlq.name).map(({ record }) => {
        return serde.decode(dlq, record.value ?? Buffer.alloc(0));
      });
      expect(letters).toMatchObject([
        {
          place: `passed/0/pass-0:${POISON}`,
          component: 'count',
          code: 'POISON_SKIPPED',
          key: `key ${POISON}`,
        },
      ]);
      expect(serde.decode(passed, letters[0]?.body ?? Buffer.alloc(0)).number).toBe(POISON);

      // Killed from outside, it is searched, and nothing is found.
      child.kill('SIGKILL');
      await once(child, 'exit');
      for (let kills = 0; kills < 5; kills += 1) {
        const victim = start('one');
        await write(26 + kills, 26 + kills);
        const length = 25 + kills;
        while ((await numbers()).length < length) await sleep(50);
        victim.kill('SIGKILL');
        await once(victim, 'exit');
      }
      expect(await skips()).toHaveLength(1);

      // Another process without any state of its own comes to the same, byte by byte, and does not die.
      const before = (await found()).lines();
      const other = start('other');
      await write(31, 31);
      while ((await numbers()).length < 30) await sleep(50);
      expect(other.signalCode).toBeNull();
      const after = (await found()).lines();
      for (const [name, lines] of Object.entries(before))
        expect(after[name]?.slice(0, lines.length)).toEqual(lines);
      other.kill('SIGTERM');
      expect(await once(other, 'exit')).toEqual([0, null]);
    });
  },
);
