/** A rolling upgrade on a real broker: two copies of each version, which run at once around the cut. */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { systemClock } from '#pipeline/clock.ts';
import { openKafka } from '#pipeline/kafka/client.ts';
import type { Kafka } from '#pipeline/kafka/types.ts';
import { formatPosition, nextDigest, POSITION_HEADER, readPosition } from '#pipeline/merge/position.ts';
import { defineProcessor, keyed } from '#pipeline/processor.ts';
import { buildGraph, type Graph, type TaskId } from '#pipeline/runtime/graph.ts';
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
import { forceCut } from './force.ts';

const brokers = process.env['KAFKA_BROKERS'];
const run = Date.now().toString(36);
let worlds = 0;

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

  /** Topics of their own for both versions, and what processes of them share. */
  const createWorld = async () => {
    worlds += 1;
    const prefix = `cut-${run}-${worlds}.`;
    const physicalName = (name: string): string => prefix + name;
    const [one, two] = [graphOf('v1', true), graphOf('v2', false)];
    const admin = kafka.admin();
    for (const { topics, engineTopics } of [one, two]) {
      const named = [...topics.map((each) => [each.name, each] as const), ...engineTopics];
      await ensureTopics(admin, new Map(named.map(([name, each]) => [physicalName(name), each])));
    }
    await admin.close();
    const common = { kafka, serde, topic: planTopic, physicalName, clock: systemClock };
    const descriptionOf = (graph: Graph) => describeVersion({ graph, folders: [] });
    const start = async (
      graph: Graph,
      instance: string,
      owns: (task: TaskId) => boolean = () => true,
    ): Promise<Processing> => {
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
        owns,
        instance: `${prefix}${instance}`.replaceAll('.', '-'),
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

    const upgradeToTwo = async () =>
      upgrade({ ...common, graph: two, description: await descriptionOf(two), emptied: [], note: null });
    /** First occurrences in `passed`, by partition and writer. Throws on a hole and on two different ones at one place. */
    const streamsOf = async (): Promise<readonly string[]> => {
      const streams = new Map<string, string[]>();
      for await (const { partition, record } of readToEnd(kafka, physicalName('passed'))) {
        const { writer, sequence, epoch } = readPosition(record.headers, 'passed');
        // A fence.
        if (sequence === 0) continue;
        const stream = streams.get(`${partition}/${writer}`) ?? [];
        streams.set(`${partition}/${writer}`, stream);
        const line = `${serde.decode(passed, record.value ?? Buffer.alloc(0)).id} in ${epoch}`;
        expect(sequence).toBeLessThanOrEqual(stream.length + 1);
        if (sequence <= stream.length) expect(stream[sequence - 1]).toBe(line);
        else stream.push(line);
      }
      return [...streams.values()].flat();
    };
    const force = (instance: string) =>
      forceCut({
        ...common,
        graph: two,
        note: null,
        instance: `${prefix}${instance}`.replaceAll('.', '-'),
        openScratch: async () => createMemoryBackend(),
      });
    /** What a process of version 1 writes that comes back to life: the next record of `count-0`. */
    const writeAsZombie = async (): Promise<void> => {
      let last = { sequence: 0, digest: 0 };
      for await (const { record } of readToEnd(kafka, physicalName('counted'))) {
        const { sequence, previousDigest } = readPosition(record.headers, 'counted');
        if (sequence <= last.sequence) continue;
        last = { sequence, digest: nextDigest(previousDigest, record.timestampMs, record.key, record.value) };
      }
      const position = { writer: 'count-0', epoch: 1, previousDigest: last.digest };
      const header = formatPosition({ ...position, sequence: last.sequence + 1 });
      await producer.send(physicalName('counted'), 0, {
        timestampMs: 1,
        key: Buffer.from('ETH'),
        value: serde.encode(counted, aPrice('zombie')),
        headers: [[POSITION_HEADER, Buffer.from(header)]],
      });
    };
    return {
      one,
      two,
      start,
      write,
      upgradeToTwo,
      force,
      writeAsZombie,
      streamsOf,
      written: () => written,
    };
  };

  test('two copies of each version run at once, and each record is folded by one version, once', async () => {
    const { one, two, start, write, upgradeToTwo, streamsOf, written } = await createWorld();
    const old = [await start(one, 'one-a'), await start(one, 'one-b')];
    await write();
    const decided = await upgradeToTwo();
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
    for (const processing of [first, second]) await drained(processing);

    const lines = (await streamsOf()).map((line) => line.split(' '));
    const numbers = lines.map(([id]) => Number(id)).sort((a, b) => a - b);
    expect(numbers).toEqual(Array.from({ length: written() }, (_, index) => index + 1));
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

  test('a task that was down at the cut comes to it after those that it reads from have ended and gone', async () => {
    const { one, two, start, write, upgradeToTwo, streamsOf, written } = await createWorld();
    const upstream = await start(one, 'one-up', ({ subTopology }) => subTopology === 'count');
    const downstream = await start(one, 'one-down', ({ subTopology }) => subTopology === 'pass');
    const spare = await start(one, 'one-spare', () => false);
    await write();
    await downstream.stop();
    await upgradeToTwo();
    await write();
    expect(await Promise.race([upstream.ended, upstream.failed])).toBe(2);
    await upstream.stop();
    const again = await start(one, 'one-again', ({ subTopology }) => subTopology === 'pass');
    expect(await Promise.race([again.ended, again.failed])).toBe(2);
    await again.stop();
    // Once more it has nothing to do, and says so.
    const idle = await start(one, 'one-idle');
    expect(await Promise.race([idle.ended, idle.failed])).toBe(2);
    await idle.stop();
    const next = await start(two, 'two');
    await drained(next);
    await until(async () => next.tasks.every((task) => next.committed(task).step === task.step));
    // One that has run since before the cut, and hears of it only now that it is given what others have ended.
    await spare.assign(one.tasks());
    expect(await Promise.race([spare.ended, spare.failed])).toBe(2);
    expect(spare.tasks.map(({ writer }) => writer)).toEqual(['pass-0']);
    await write();
    await drained(next);
    const ids = (await streamsOf()).map((line) => Number(line.split(' ')[0])).sort((a, b) => a - b);
    expect(ids).toEqual(Array.from({ length: written() }, (_, index) => index + 1));
  });

  test('a cut is forced for a version that is gone: nothing is lost, and a process of it that comes back is not heard', async () => {
    const { one, two, start, write, upgradeToTwo, force, writeAsZombie, streamsOf, written } =
      await createWorld();
    const old = await start(one, 'one');
    await write();
    await drained(old);
    await old.stop();
    await write();
    await upgradeToTwo();
    const starting = start(two, 'two-a');
    const forced = await force('force-a');
    expect(forced).toEqual([
      { task: 'count-0', repeated: 0, isEmpty: false },
      { task: 'pass-0', repeated: 0, isEmpty: false },
    ]);
    expect(await force('force-b')).toEqual([]);
    await writeAsZombie();
    const first = await starting;
    await write();
    await drained(first);
    const second = await start(two, 'two-b');
    await write();
    for (const processing of [first, second]) await drained(processing);
    const found = (await streamsOf()).map((line) => line.split(' '));
    // What version 1 had counted and version 2 no longer reads of it stays where it was.
    const ids = found.map(([id]) => Number(id)).sort((a, b) => a - b);
    expect(ids).toEqual(Array.from({ length: written() }, (_, index) => index + 1));
    for (const [id, , count] of found) expect(count).toBe(id);
    const again = await start(one, 'one-again');
    expect(await Promise.race([again.ended, again.failed])).toBe(2);
  });

  test('a cut is not forced while a task that is short of it still runs', async () => {
    const { one, start, write, upgradeToTwo, force } = await createWorld();
    const upstream = await start(one, 'one-up', ({ subTopology }) => subTopology === 'count');
    await start(one, 'one-down', ({ subTopology }) => subTopology === 'pass');
    await write();
    await drained(upstream);
    await upstream.stop();
    await upgradeToTwo();
    await expect(force('force')).rejects.toMatchObject({
      code: 'UPGRADE_REFUSED',
      message: expect.stringContaining('pass-0: still running as version 1'),
    });
  });
});

async function drained({ isDrained, failed }: Processing): Promise<void> {
  const failure = failed.then((error) => {
    throw error;
  });
  await Promise.race([until(isDrained), failure]);
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await systemClock.sleep(50);
}
