/** What stands still is left out and taken in again, on a real broker. */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { systemClock } from '#pipeline/clock.ts';
import { openKafka } from '#pipeline/kafka/client.ts';
import type { Kafka } from '#pipeline/kafka/types.ts';
import { readPosition } from '#pipeline/merge/position.ts';
import { defineProcessor, keyed } from '#pipeline/processor.ts';
import { buildGraph, taskName } from '#pipeline/runtime/graph.ts';
import { openPlan } from '#pipeline/runtime/plan.ts';
import { type Processing, startProcessing } from '#pipeline/runtime/processing.ts';
import { readToEnd } from '#pipeline/runtime/read-topic.ts';
import { ensureTopics } from '#pipeline/runtime/topic-settings.ts';
import { localSerde } from '#pipeline/serde/serde.ts';
import { createMemoryBackend } from '#pipeline/state/memory.ts';
import { silentLog } from '#pipeline/telemetry/log.ts';
import { createMetrics } from '#pipeline/telemetry/metrics.ts';
import { aPrice, dlq, topic } from '#pipeline/testing/fold-run.ts';
import { plan } from '#schemas/plan.ts';
import type { price } from '#schemas/price.ts';
import { describeVersion, fingerprintOf } from './description.ts';
import { bringBack, exclude, takeIn } from './exclude.ts';
import { forceCut } from './force.ts';

const brokers = process.env['KAFKA_BROKERS'];
const run = Date.now().toString(36);
let worlds = 0;

const planTopic = { name: 'plan', layer: 'plan', key: 'kind', schema: plan, partitions: 1 } as const;
const raw = { ...topic('raw', 'raw'), partitions: 2 };
const all = topic('all');
const passed = topic('passed');

/** Two tasks write what a third one reads. */
const graph = buildGraph({
  processors: [
    defineProcessor({
      name: 'take',
      summary: 'takes',
      stores: {},
      inputs: [
        keyed<typeof price, Record<string, never>>(raw, ({ value }, { emit }) => {
          if (value !== null) emit(all, 'ETH', value);
        }),
      ],
      outputs: [all],
    }),
    defineProcessor({
      name: 'pass',
      summary: 'passes on',
      stores: {},
      inputs: [
        keyed<typeof price, Record<string, never>>(all, ({ value }, { emit }) => {
          if (value !== null) emit(passed, 'ETH', value);
        }),
      ],
      outputs: [passed],
    }),
  ],
  planTopic,
  dlqTopic: dlq,
});
const description = await describeVersion({ graph, folders: [] });
const fingerprint = fingerprintOf(description);
const serde = localSerde([planTopic, raw, all, passed, dlq]);

describe.skipIf(brokers === undefined)('what stands still (set KAFKA_BROKERS)', { timeout: 120_000 }, () => {
  let kafka: Kafka;
  beforeAll(async () => {
    const options = { clientId: 'test', log: silentLog, clock: systemClock };
    kafka = await openKafka({ brokers: (brokers ?? '').split(','), ...options });
  });
  afterAll(() => kafka.close());

  const createWorld = async () => {
    worlds += 1;
    const prefix = `exclude-${run}-${worlds}-`;
    const physicalName = (name: string): string => prefix + name;
    const admin = kafka.admin();
    const topics = [...graph.topics.map((each) => [each.name, each] as const), ...graph.engineTopics];
    await ensureTopics(admin, new Map(topics.map(([name, each]) => [physicalName(name), each])));
    await admin.close();
    const common = { kafka, serde, graph, topic: planTopic, physicalName, clock: systemClock };
    let starts = 0;
    /** Runs all tasks but one; with its epoch. */
    const start = async (without: string | null = null): Promise<Processing & { epoch: number }> => {
      starts += 1;
      const genesis = await openPlan({ ...common, description, fingerprint });
      const processing = await startProcessing({
        ...common,
        genesis,
        owns: (task) => taskName(task) !== without,
        instance: `${prefix}${starts}`,
        lagGroup: null,
        log: silentLog,
        metrics: createMetrics(),
        checkpointMs: 100,
        openState: async () => createMemoryBackend(),
      });
      onTestFinished(() => processing.stop());
      return { ...processing, epoch: genesis.epoch };
    };
    const producer = kafka.producer();
    onTestFinished(() => producer.close());
    const write = async (partition: number, ids: readonly string[]): Promise<void> => {
      for (const id of ids) {
        const value = serde.encode(raw, aPrice(id));
        const entry = { timestampMs: 0, key: Buffer.from('ETH'), value, headers: [] };
        producer.append(physicalName('raw'), partition, entry);
      }
      await producer.acknowledged();
    };
    /** What came out, in order, each once. */
    const found = async (): Promise<readonly string[]> => {
      const ids: string[] = [];
      for await (const { record } of readToEnd(kafka, physicalName('passed'))) {
        const { sequence } = readPosition(record.headers, 'passed');
        if (sequence === ids.length + 1) ids.push(serde.decode(passed, record.value ?? Buffer.alloc(0)).id);
      }
      return ids;
    };
    const decide = { ...common, note: null };
    const force = { ...decide, openScratch: async () => createMemoryBackend() };
    return {
      start,
      write,
      found,
      exclude: (name: string) => exclude({ ...decide, names: [name] }),
      takeIn: (name: string) => takeIn({ ...decide, names: [name] }),
      force: () => forceCut({ ...force, instance: `${prefix}force` }),
      bringBack: (onWait: (names: readonly string[]) => void) =>
        bringBack({
          ...force,
          instance: `${prefix}back`,
          signal: AbortSignal.timeout(60_000),
          onWait,
        }),
    };
  };

  test('a task that stands still is left out, so that others go on, and comes back with all that it had to do', async () => {
    const { start, write, found, exclude, takeIn, force, bringBack } = await createWorld();
    const whole = await start();
    await write(0, ['a1']);
    await write(1, ['b1']);
    await until(async () => (await found()).length === 2);
    await whole.stop();

    const stuck = await start('take-1');
    await write(0, ['a2']);
    await write(1, ['b2']);
    await expect(exclude('take-7')).rejects.toMatchObject({ code: 'UPGRADE_REFUSED' });
    await expect(takeIn('take-1')).rejects.toMatchObject({ code: 'UPGRADE_REFUSED' });
    expect(await exclude('take-1')).toMatchObject({ epoch: 2, fingerprint, excluded: ['take-1'] });
    await until(async () => stuck.tasks.some(({ writer, ended }) => writer === 'take-0' && ended !== null));
    await stuck.stop();
    // It is the same code: who starts now brings what it can to the cut.
    const again = await start('take-1');
    expect(again.epoch).toBe(1);
    await again.stop();
    expect((await force()).map(({ task, repeated }) => [task, repeated])).toEqual([
      ['take-1', 0],
      ['pass-0', 0],
    ]);

    const without = await start();
    expect(without.epoch).toBe(2);
    expect(without.tasks.map(({ writer }) => writer)).toEqual(['take-0', 'pass-0']);
    await expect(exclude('take-1')).rejects.toThrow('excluded already');
    await write(0, ['a3']);
    await write(1, ['b3']);
    await until(async () => (await found()).includes('a3'));
    expect((await found()).slice(2)).toEqual(['a2', 'a3']);

    expect(await takeIn('take-1')).toMatchObject({ epoch: 3, excluded: [] });
    const waits: (readonly string[])[] = [];
    const back = await bringBack((names) => waits.push(names));
    expect(back).toEqual([{ task: 'take-1', repeated: 0, isEmpty: false }]);
    expect(waits.flat()).not.toContain('take-1');
    expect(await Promise.race([without.ended, without.failed])).toBe(3);
    await without.stop();
    const last = await start();
    expect(last.epoch).toBe(3);
    await write(1, ['b4']);
    await until(async () => (await found()).length === 7);
    expect((await found()).slice(4)).toEqual(['b2', 'b3', 'b4']);
  });

  test('a partition is not read while it is left out, and what it got meanwhile counts as of its return', async () => {
    const { start, write, found, exclude, takeIn, bringBack } = await createWorld();
    const whole = await start();
    await write(1, ['b1']);
    await until(async () => (await found()).length === 1);
    await exclude('raw/1');
    expect(await Promise.race([whole.ended, whole.failed])).toBe(2);
    await whole.stop();

    const without = await start();
    await write(1, ['b2']);
    await write(0, ['a1']);
    await until(async () => (await found()).length === 2);
    const { cut } = await takeIn('raw/1');
    expect(await bringBack(() => {})).toEqual([]);
    expect(await Promise.race([without.ended, without.failed])).toBe(3);
    await without.stop();

    const last = await start();
    await until(async () => (await found()).length === 3);
    expect(await found()).toEqual(['b1', 'a1', 'b2']);
    const take = last.tasks.find(({ writer }) => writer === 'take-1');
    expect(take?.logTimeMs).toBeGreaterThanOrEqual(cut?.logTimeMs ?? Number.POSITIVE_INFINITY);
  });
});

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await systemClock.sleep(50);
}
