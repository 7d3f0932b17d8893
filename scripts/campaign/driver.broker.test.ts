/** The driver on three brokers: leaders that move and go away under it, TLS and users. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Admin as PlainAdmin } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type KafkaCluster, startKafkaCluster } from '#ops/local/kafka-cluster.ts';
import { run } from '#ops/local/run.ts';
import { systemClock } from '#pipeline/clock.ts';
import { type KafkaSecurity, openKafka } from '#pipeline/kafka/client.ts';
import type { Entry, Kafka } from '#pipeline/kafka/types.ts';
import { silentLog } from '#pipeline/telemetry/log.ts';
import { createMetrics } from '#pipeline/telemetry/metrics.ts';
import { electPreferredLeaders, openPlainKafka } from './plain-kafka.ts';

const PARTITIONS = 9;
const user = { name: 'alice', password: 'not-for-logs' };
const keystorePassword = 'changeit';

const entry = (value: string): Entry => ({
  timestampMs: 1,
  key: null,
  value: Buffer.from(value),
  headers: [],
});

describe('the Kafka client on three brokers', { timeout: 120_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'baleen-cluster-'));
  const keystore = join(folder, 'keys.p12');
  let cluster: KafkaCluster;
  let ca = '';

  const keytool = async (...args: readonly string[]): Promise<void> => {
    const { code, output } = await run('keytool', [
      ...args,
      '-keystore',
      keystore,
      '-storepass',
      keystorePassword,
    ]);
    expect(code, output).toBe(0);
  };

  beforeAll(async () => {
    const names = ['-dname', 'CN=localhost', '-ext', 'SAN=IP:127.0.0.1,DNS:localhost', '-alias', 'broker'];
    await keytool('-genkeypair', '-keyalg', 'EC', '-validity', '2', '-storetype', 'PKCS12', ...names);
    await keytool('-exportcert', '-rfc', '-alias', 'broker', '-file', join(folder, 'ca.pem'));
    ca = readFileSync(join(folder, 'ca.pem'), 'utf8');
    cluster = await startKafkaCluster({
      dataDir: folder,
      log: silentLog,
      signal: new AbortController().signal,
      secure: { keystore: { path: keystore, password: keystorePassword }, user },
    });
  });
  afterAll(async () => {
    await cluster?.stop();
    rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  });

  const open = async (brokers: readonly string[], security?: KafkaSecurity): Promise<Kafka> => {
    const kafka = await openKafka({
      ...{ brokers, clientId: 'test', log: silentLog, clock: systemClock },
      ...(security === undefined ? {} : { security }),
    });
    onTestFinished(() => kafka.close());
    return kafka;
  };

  const createTopic = async (kafka: Kafka, name: string, partitions: number): Promise<string> => {
    const admin = kafka.admin();
    const settings = { 'min.insync.replicas': '2' };
    await admin.createTopics([{ name, partitions, replication: 3, settings }]);
    await admin.close();
    return name;
  };

  /** Every partition is led by another broker than before. */
  const moveLeaders = async (admin: PlainAdmin, topic: string): Promise<void> => {
    const leadersNow = async () => {
      const found = (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0]?.partitions ?? [];
      return found.toSorted((a, b) => a.partitionId - b.partitionId);
    };
    const before = await leadersNow();
    const partitionAssignment = before.map(({ partitionId, leader }) => {
      const nodes = cluster.nodes.map(({ id }) => id);
      const from = nodes.indexOf(leader) + 1;
      return { partition: partitionId, replicas: [...nodes.slice(from), ...nodes.slice(0, from)] };
    });
    await admin.alterPartitionReassignments({ topics: [{ topic, partitionAssignment }] });
    await expect
      .poll(
        async () => {
          await electPreferredLeaders(cluster.nodes[0]?.ports.client ?? 0);
          const after = await leadersNow();
          return after.filter(({ leader }, index) => leader === before[index]?.leader).length;
        },
        { timeout: 20_000 },
      )
      .toBe(0);
  };

  test('loses and reorders nothing while leaders move and a broker dies', async () => {
    const kafka = await open(cluster.brokers);
    const topic = await createTopic(kafka, 'moving', PARTITIONS);
    const metrics = createMetrics();
    const writing = await openKafka({
      ...{ brokers: cluster.brokers, clientId: 'writer', log: silentLog, clock: systemClock, metrics },
    });
    onTestFinished(() => writing.close());
    const producer = writing.producer();
    const seen = Array.from({ length: PARTITIONS }, () => ({ next: 0, gaps: 0 }));
    const errors: Error[] = [];
    const fetcher = kafka.fetcher({
      onRecords: (_, partition, records) => {
        const one = seen[partition];
        for (const { value } of one === undefined ? [] : records) {
          if (one === undefined) break;
          // A lower one was sent again without an answer: allowed, and dropped by position. A higher one is a loss.
          if (Number(value) > one.next) one.gaps += 1;
          if (Number(value) === one.next) one.next += 1;
        }
      },
      onError: (_topic, _partition, error) => errors.push(error),
    });
    onTestFinished(() => fetcher.close());
    for (let partition = 0; partition < PARTITIONS; partition += 1) fetcher.add(topic, partition, 0);

    let rounds = 0;
    const stopWriting = systemClock.every(20, () => {
      if (producer.pendingBytes > 100_000) return;
      for (let partition = 0; partition < PARTITIONS; partition += 1)
        producer.append(topic, partition, entry(`${rounds}`));
      rounds += 1;
    });
    onTestFinished(stopWriting);
    const admin = kafka.admin();
    onTestFinished(() => admin.close());
    const plain = openPlainKafka(cluster.brokers).admin();
    await plain.connect();
    onTestFinished(() => plain.disconnect());
    const written = async (more: number): Promise<void> => {
      const until = rounds + more;
      await expect
        .poll(() => Math.min(...seen.map(({ next }) => next)), { timeout: 30_000 })
        .toBeGreaterThan(until);
    };

    await written(20);
    await moveLeaders(plain, topic);
    await written(20);
    const [first] = cluster.nodes;
    await first?.service.kill();
    // Offsets are asked for while a third of the leaders is gone: patiently, and never with an error of a connection.
    await Promise.all([admin.offsets(topic), written(20)]);
    await first?.service.start(new AbortController().signal);
    await moveLeaders(plain, topic);
    stopWriting();
    await producer.acknowledged();
    await expect
      .poll(() => seen.map(({ next }) => next), { timeout: 30_000 })
      .toEqual(seen.map(() => rounds));
    expect(errors).toEqual([]);
    expect(seen.map(({ gaps }) => gaps)).toEqual(seen.map(() => 0));
    // Leaders did move under it.
    expect(await metrics.total('produce_retries_total')).toBeGreaterThan(0);
  });

  test.each(['plain', 'scram-sha-512'] as const)(
    'logs in with %s over TLS, writes, reads and asks',
    async (mechanism) => {
      const sasl = { mechanism, username: user.name, password: user.password };
      const kafka = await open(cluster.secureBrokers, { ssl: { ca }, sasl });
      const topic = await createTopic(kafka, `secure-${mechanism}`, 3);
      const producer = kafka.producer();
      for (let partition = 0; partition < 3; partition += 1)
        producer.append(topic, partition, entry(`${partition}`));
      await producer.acknowledged();
      const values: string[] = [];
      const fetcher = kafka.fetcher({
        onRecords: (_topic, _partition, records) => values.push(...records.map(({ value }) => `${value}`)),
        onError: (_topic, _partition, error) => values.push(error.message),
      });
      for (let partition = 0; partition < 3; partition += 1) fetcher.add(topic, partition, 0);
      await expect.poll(() => values.toSorted()).toEqual(['0', '1', '2']);
      await fetcher.close();
      const admin = kafka.admin();
      expect((await admin.settings([topic])).get(topic)).toMatchObject({ 'min.insync.replicas': '2' });
      await admin.close();
    },
  );

  test('says that a password is wrong, and does not say the password', async () => {
    const sasl = { mechanism: 'scram-sha-512', username: user.name, password: 'guessed-wrongly' } as const;
    const opened = open(cluster.secureBrokers, { ssl: { ca }, sasl });
    await expect(opened).rejects.toMatchObject({ code: 'KAFKA_REFUSED' });
    await expect(opened).rejects.not.toThrow(/guessed-wrongly/);
  });

  test('does not talk to a broker whose certificate nobody vouches for', async () => {
    const sasl = { mechanism: 'plain', username: user.name, password: user.password } as const;
    await expect(open(cluster.secureBrokers, { ssl: { ca: null }, sasl })).rejects.toMatchObject({
      code: 'KAFKA_UNAVAILABLE',
    });
  });
});
