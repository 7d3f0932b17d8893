/** Everything that faults happen to, started and stopped together: brokers behind proxies, workers, disks. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Kafka as PlainKafka } from 'kafkajs';
import { type KafkaCluster, startKafkaCluster } from '#ops/local/kafka-cluster.ts';
import { systemClock } from '#pipeline/clock.ts';
import { openKafka } from '#pipeline/kafka/client.ts';
import { ensureTopics } from '#pipeline/runtime/topic-settings.ts';
import { silentLog } from '#pipeline/telemetry/log.ts';
import type { Topic } from '#schemas/topics.ts';
import { mountSmall, unmount } from './disk.ts';
import { createFleet, type Exit, type Fleet, WORKERS } from './fleet.ts';
import { openPlainKafka } from './plain-kafka.ts';
import { type SpoilingProxy, startProxy } from './proxy.ts';
import { graph } from './topology.ts';

export const PREFIX = 'campaign.';

/** The ways to one broker. */
export interface BrokerDoors {
  readonly client: SpoilingProxy;
  readonly replication: SpoilingProxy;
  readonly controller: SpoilingProxy;
}

export interface World {
  readonly cluster: KafkaCluster;
  /** By node id. */
  readonly doors: ReadonlyMap<number, BrokerDoors>;
  readonly fleet: Fleet;
  readonly plain: PlainKafka;
  /** State folders are small file systems of their own. */
  readonly hasSmallDisks: boolean;
  readonly signal: AbortSignal;
  stop(): Promise<void>;
}

export const physicalName = (topic: string): string => `${PREFIX}${topic}`;

/** Starts everything but the input; workers run when it resolves. Cleans up after itself when it fails. */
export async function startWorld(options: {
  dataDir: string;
  signal: AbortSignal;
  onExit: (exit: Exit) => void;
  say: (line: string) => void;
}): Promise<World> {
  const { dataDir, signal, onExit, say } = options;
  const undo: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse())
      await step().catch((error: unknown) => say(`cleaning up: ${error}`));
  };
  undo.push(() => rm(dataDir, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 }));
  try {
    const doors = new Map<number, BrokerDoors>();
    undo.push(async () => {
      await Promise.all(
        [...doors.values()].flatMap((one) => Object.values(one).map((proxy: SpoilingProxy) => proxy.close())),
      );
    });
    const cluster = await startKafkaCluster({
      dataDir: join(dataDir, 'kafka'),
      ...{ log: silentLog, signal },
      advertise: async (id, real) => {
        const [client, replication, controller] = await Promise.all([
          startProxy(real.client),
          startProxy(real.replication),
          startProxy(real.controller),
        ]);
        doors.set(id, { client, replication, controller });
        return { client: client.port, replication: replication.port, controller: controller.port };
      },
    });
    undo.push(cluster.stop);
    say(`three brokers at ${cluster.brokers.join()}, behind proxies`);
    await createTopics(cluster.brokers);
    const fleet = createFleet({ dataDir, brokers: cluster.brokers, prefix: PREFIX, onExit });
    const folders = WORKERS.map((worker) => fleet.stateDir(worker));
    undo.push(async () => {
      for (const folder of folders) await unmount(folder);
    });
    const mounted = await Promise.all(folders.map(mountSmall));
    undo.push(fleet.stop);
    for (const worker of WORKERS) await fleet.start(worker);
    say(`${graph.tasks().length} tasks in ${WORKERS.length} processes (${WORKERS.join()})`);
    const plain = openPlainKafka(cluster.brokers);
    return { cluster, doors, fleet, plain, hasSmallDisks: mounted.every(Boolean), signal, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function createTopics(brokers: readonly string[]): Promise<void> {
  const kafka = await openKafka({ brokers, clientId: 'campaign-topics', log: silentLog, clock: systemClock });
  const admin = kafka.admin();
  try {
    const needed = new Map<string, Pick<Topic, 'layer' | 'partitions'>>([
      ...graph.topics.map((topic) => [physicalName(topic.name), topic] as const),
      ...[...graph.engineTopics].map(([name, topic]) => [physicalName(name), topic] as const),
    ]);
    await ensureTopics(admin, needed);
  } finally {
    await admin.close();
    await kafka.close();
  }
}
