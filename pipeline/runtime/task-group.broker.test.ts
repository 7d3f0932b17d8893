/** A storm of rebalances on a real broker: members of a group come and go faster than tasks can settle. */
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { systemClock } from '#pipeline/clock.ts';
import { openKafka } from '#pipeline/kafka/client.ts';
import type { Kafka } from '#pipeline/kafka/types.ts';
import { defineProcessor, keyed } from '#pipeline/processor.ts';
import { localSerde } from '#pipeline/serde/serde.ts';
import type { StateBackend } from '#pipeline/state/backend.ts';
import { keyValue } from '#pipeline/state/key-value.ts';
import { createMemoryBackend } from '#pipeline/state/memory.ts';
import { silentLog } from '#pipeline/telemetry/log.ts';
import { createMetrics } from '#pipeline/telemetry/metrics.ts';
import { aPrice, dlq, topic } from '#pipeline/testing/fold-run.ts';
import { Random } from '#pipeline/testing/simulation/scheduler.ts';
import type { price } from '#schemas/price.ts';
import { planTopic } from '#schemas/topics.ts';
import { buildGraph } from './graph.ts';
import { startProcessing } from './processing.ts';
import { readDerived } from './read-topic.ts';
import { joinTaskGroup } from './task-group.ts';
import { ensureTopics } from './topic-settings.ts';

const brokers = process.env['KAFKA_BROKERS'];
const SEED = 1;
const MEMBERS = 4;
const MOVES = 60;
const patiently = { timeout: 60_000, interval: 50 };

const raw = { ...topic('raw', 'raw'), partitions: 2 };
const counted = { ...topic('counted'), partitions: 2 };
const passed = { ...topic('passed'), partitions: 2 };
const stores = { seen: keyValue<number>() };

/** Both number what they fold: a record that is lost, or folded twice, shows in all that follow it. */
const numbering = (name: string, from: typeof raw, to: typeof raw, keyOf: (id: string) => string) =>
  defineProcessor({
    name,
    summary: 'numbers records',
    stores,
    inputs: [
      keyed<typeof price, typeof stores>(from, ({ value }, { stores: { seen }, emit }) => {
        if (value === null) return;
        const number = (seen.get('all') ?? 0) + 1;
        seen.put('all', number);
        emit(to, keyOf(value.id), { ...value, id: `${value.id} ${number}` });
      }),
    ],
    outputs: [to],
  });
const graph = buildGraph({
  processors: [
    numbering('count', raw, counted, (id) => id),
    numbering('pass', counted, passed, (id) => id.slice(0, id.indexOf(' '))),
  ],
  planTopic,
  dlqTopic: dlq,
});

describe.skipIf(brokers === undefined)('a rebalance storm (set KAFKA_BROKERS)', { timeout: 180_000 }, () => {
  let kafka: Kafka;
  const prefix = `storm-${Date.now().toString(36)}.`;
  const physicalName = (name: string): string => prefix + name;
  const serde = localSerde([planTopic, raw, counted, passed, dlq]);
  const open = (): Promise<Kafka> =>
    openKafka({
      brokers: (brokers ?? '').split(','),
      clientId: 'test',
      log: silentLog,
      clock: systemClock,
    });
  beforeAll(async () => {
    kafka = await open();
    const admin = kafka.admin();
    const named = [...graph.topics.map((each) => [each.name, each] as const), ...graph.engineTopics];
    await ensureTopics(admin, new Map(named.map(([name, each]) => [physicalName(name), each])));
    await admin.close();
  });
  afterAll(() => kafka.close());

  let starts = 0;
  let openings = 0;
  /** `disk`: what it keeps between its starts. */
  const join = async (disk: Map<string, StateBackend>, onShare: () => void) => {
    starts += 1;
    const own = await open();
    const processing = await startProcessing({
      kafka: own,
      graph,
      genesis: { fingerprint: 'test', epoch: 1, startOffsets: new Map() },
      serde,
      clock: systemClock,
      log: silentLog,
      metrics: createMetrics(),
      physicalName,
      owns: () => false,
      openState: async ({ subTopology, partition }) => {
        openings += 1;
        const name = `${subTopology}-${partition}`;
        const backend = disk.get(name) ?? createMemoryBackend();
        disk.set(name, backend);
        return backend;
      },
      instance: `storm-${starts}`,
      lagGroup: null,
      checkpointMs: 50,
    });
    const membership = joinTaskGroup({
      kafka: {
        join: (options) =>
          own.join({
            ...options,
            onShare: (share) => {
              onShare();
              options.onShare(share);
            },
          }),
      },
      group: `${prefix}group`,
      tasks: graph.tasks(),
      processing,
      stored: () => [...disk.keys()],
    });
    const leave = async (isPolite: boolean): Promise<void> => {
      // Who stops first and says goodbye later leaves its tasks with nobody, or with two, for a while.
      if (isPolite) await membership.leave();
      await processing.stop();
      if (!isPolite) await membership.leave();
      await own.close();
    };
    return { processing, leave };
  };

  test(`changes nothing in what is written (seed ${SEED})`, async () => {
    const random = new Random(SEED);
    const members = Array.from({ length: MEMBERS }, () => ({
      disk: new Map<string, StateBackend>(),
      joined: null as Awaited<ReturnType<typeof join>> | null,
    }));
    let shares = 0;
    const enter = async (member: (typeof members)[number]): Promise<void> => {
      member.joined = await join(member.disk, () => {
        shares += 1;
      });
    };
    const leave = async (member: (typeof members)[number], isPolite: boolean): Promise<void> => {
      const { joined } = member;
      member.joined = null;
      await joined?.leave(isPolite);
    };
    onTestFinished(async () => {
      for (const member of members) await leave(member, true);
    });
    const producer = kafka.producer();
    onTestFinished(() => producer.close());
    let written = 0;
    const write = (): void => {
      for (let more = 0; more < 25; more += 1) {
        written += 1;
        const value = serde.encode(raw, aPrice(`${written}`));
        const record = { timestampMs: 0, key: Buffer.from('ETH'), value, headers: [] };
        producer.append(physicalName('raw'), written % 2, record);
      }
    };

    await Promise.all(members.slice(1).map(enter));
    for (let move = 0; move < MOVES; move += 1) {
      write();
      const member = random.pick(members);
      if (member.joined !== null) await leave(member, random.chance(0.7));
      else {
        const before = shares;
        await enter(member);
        // Some moves come while the one before is being worked out, others once it is.
        if (random.chance(0.6)) await vi.waitFor(() => expect(shares).toBeGreaterThan(before), patiently);
      }
    }
    await producer.acknowledged();
    for (const member of members) if (member.joined === null) await enter(member);
    const running = members.flatMap(({ joined }) => joined?.processing ?? []);
    await vi.waitFor(async () => {
      const names = running.flatMap(({ tasks }) => tasks.map(({ writer }) => writer));
      expect(names.sort()).toEqual(['count-0', 'count-1', 'pass-0', 'pass-1']);
      for (const processing of running) expect(await processing.isDrained()).toBe(true);
    }, patiently);

    const ids: number[] = [];
    const numbers = new Map<string, number[]>();
    for await (const { writer, value } of readDerived(kafka, serde, passed, physicalName('passed'))) {
      const [id = 0, count = 0, pass = 0] = (value?.id ?? '').split(' ').map(Number);
      ids.push(id);
      // Every second record is in the same partition, so its number there is known.
      expect(count).toBe(Math.ceil(id / 2));
      numbers.set(writer, [...(numbers.get(writer) ?? []), pass]);
    }
    const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);
    expect(ascending(ids)).toEqual(upTo(written));
    expect([...numbers.keys()].sort()).toEqual(['pass-0', 'pass-1']);
    for (const own of numbers.values()) expect(ascending(own)).toEqual(upTo(own.length));
    // It was a storm.
    expect(openings).toBeGreaterThan(5 * graph.tasks().length);
  });
});

const ascending = (numbers: readonly number[]): readonly number[] => [...numbers].sort((a, b) => a - b);
