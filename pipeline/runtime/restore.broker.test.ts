/** Changelogs with snapshots and deletions on a real broker, with state in LevelDB. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { systemClock } from '#pipeline/clock.ts';
import { openKafka } from '#pipeline/kafka/client.ts';
import type { Kafka, Producer } from '#pipeline/kafka/types.ts';
import { LAST_KEY, type StateBackend } from '#pipeline/state/backend.ts';
import { openLevelBackend } from '#pipeline/state/level.ts';
import { silentLog } from '#pipeline/telemetry/log.ts';
import { encode, shared, stateAt } from '#pipeline/testing/changelog-run.ts';
import type { ChangelogWriter } from './checkpoint.ts';
import { type RestoreProgress, restore } from './restore.ts';
import { writeSnapshot } from './snapshot.ts';
import type { Task } from './task.ts';
import { topicSpec } from './topic-settings.ts';

const brokers = process.env['KAFKA_BROKERS'];
const run = Date.now().toString(36);
let named = 0;

describe.skipIf(brokers === undefined)('a changelog (set KAFKA_BROKERS)', { timeout: 60_000 }, () => {
  let kafka: Kafka;
  let producer: Producer;
  beforeAll(async () => {
    const options = { clientId: 'test', log: silentLog, clock: systemClock };
    kafka = await openKafka({ brokers: (brokers ?? '').split(','), ...options });
    producer = kafka.producer();
  });
  afterAll(async () => {
    await producer.close();
    await kafka.close();
  });

  /** A changelog of one task, as the engine makes it. */
  const createTopic = async (): Promise<string> => {
    named += 1;
    const name = `restore-${run}-${named}`;
    const admin = kafka.admin();
    await admin.createTopics([topicSpec({ layer: 'derived', partitions: 1 }, name, 1)]);
    await admin.close();
    return name;
  };
  const openFolder = async (): Promise<{
    readonly backend: StateBackend;
    readonly reopen: () => Promise<StateBackend>;
  }> => {
    const folder = await mkdtemp(join(tmpdir(), 'baleen-restore-'));
    let backend = await openLevelBackend(folder);
    onTestFinished(async () => {
      await backend.close();
      await rm(folder, { recursive: true, force: true });
    });
    const reopen = async () => {
      await backend.close();
      backend = await openLevelBackend(folder);
      return backend;
    };
    return { backend, reopen };
  };
  const contentsOf = async (backend: StateBackend): Promise<ReadonlyMap<string, string>> =>
    shared(new Map(await Array.fromAsync(backend.scan('', LAST_KEY))));
  const startOf = async (topic: string): Promise<number | undefined> => {
    const admin = kafka.admin();
    return (await admin.offsets(topic).finally(() => admin.close()))[0]?.start;
  };
  const restoreFrom = async (topic: string, backend: StateBackend) => {
    const seen: RestoreProgress[] = [];
    const onProgress = (progress: RestoreProgress) => seen.push(progress);
    const done = await restore({ kafka, topic, partition: 0, backend, fingerprint: 'one', onProgress });
    return { done, most: Math.max(0, ...seen.map(({ remaining }) => remaining)) };
  };

  /** A task that writes deltas of one step more each. */
  const createWriter = (topic: string) => {
    const log: ChangelogWriter = {
      topic,
      producer,
      instance: 'one',
      lastStep: 0,
      groups: 0,
      bytesSinceSnapshot: 0,
      maxRecordBytes: 30,
    };
    const advance = async (steps: number): Promise<void> => {
      log.groups += 1;
      const { instance, groups: number, lastStep: from } = log;
      for (const entry of encode({ instance, number, from, to: from + steps }))
        producer.append(topic, 0, entry);
      await producer.acknowledged();
      log.lastStep += steps;
    };
    const snapshot = (backend: StateBackend): Promise<number> => {
      // All that it uses of a task.
      const task = { id: { subTopology: 'p', partition: 0 }, logTimeMs: 7 } as Task;
      return writeSnapshot({ task, backend, log, topic, kafka, producer });
    };
    return { advance, snapshot };
  };

  test('rebuilds a deleted folder, and reuses one that is there', async () => {
    const topic = await createTopic();
    const { advance } = createWriter(topic);
    for (let count = 0; count < 20; count += 1) await advance(3);
    const { backend, reopen } = await openFolder();
    const first = await restoreFrom(topic, backend);
    expect(await contentsOf(backend)).toEqual(stateAt(60));
    expect(first.most).toBeGreaterThan(20);
    await advance(1);
    const reopened = await reopen();
    const second = await restoreFrom(topic, reopened);
    expect(await contentsOf(reopened)).toEqual(stateAt(61));
    expect(second.most).toBe(2);
  });

  test('is deleted behind a snapshot, and leads a new and an old folder to the same', async () => {
    const topic = await createTopic();
    const { advance, snapshot } = createWriter(topic);
    await advance(7);
    const old = await openFolder();
    await restoreFrom(topic, old.backend);
    await advance(30);
    const own = await openFolder();
    await restoreFrom(topic, own.backend);
    expect(await startOf(topic)).toBe(0);
    expect(await snapshot(own.backend)).toBeGreaterThan(0);
    expect(await startOf(topic)).toBeGreaterThan(0);
    await advance(4);
    for (const { backend } of [old, await openFolder()]) {
      await restoreFrom(topic, backend);
      expect(await contentsOf(backend)).toEqual(stateAt(41));
    }
  });
});
