/**
 * Several real brokers on this machine (KRaft, each broker and controller), for tests and fault campaigns: replication
 * 3, two of them in sync for a write, small heaps. Nobody else finds them: everything is on loopback.
 */
import { join } from 'node:path';
import type { Log } from '#pipeline/telemetry/log.ts';
import { kafkaPlan } from './kafka.ts';
import { freePorts } from './ports.ts';
import { createLocalService, type LocalService } from './service.ts';
import { CACHE_DIR } from './services.ts';

/** Where one node listens, or where others find it. */
export interface NodePorts {
  readonly client: number;
  /** Between brokers. */
  readonly replication: number;
  readonly controller: number;
}

/** A listener over TLS with users, on every node. */
export interface SecureListener {
  /** PKCS12 with key and certificate, and its password. */
  readonly keystore: { readonly path: string; readonly password: string };
  /** User of PLAIN and of SCRAM-SHA-512. */
  readonly user: { readonly name: string; readonly password: string };
}

export interface ClusterOptions {
  readonly dataDir: string;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly secure?: SecureListener;
  /** Puts something between a node and everybody else; returns where it listens. Default: nothing between. */
  readonly advertise?: (id: number, real: NodePorts) => Promise<NodePorts>;
}

export interface ClusterNode {
  /** From 1. */
  readonly id: number;
  /** Where it listens itself. */
  readonly ports: NodePorts;
  /** Stop, kill, start again. */
  readonly service: LocalService;
}

export interface KafkaCluster {
  readonly nodes: readonly ClusterNode[];
  /** For clients, as advertised. */
  readonly brokers: readonly string[];
  /** Over TLS with users; empty without `secure`. */
  readonly secureBrokers: readonly string[];
  /** All nodes at once and without ceremony: an orderly stop would wait for a majority that is going too. */
  stop(): Promise<void>;
}

export const CLUSTER_SIZE = 3;

const JVM_FLAGS = ['-Xms96m', '-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'] as const;

const SETTINGS = {
  'offsets.topic.replication.factor': '3',
  'transaction.state.log.replication.factor': '3',
  'transaction.state.log.min.isr': '2',
  'share.coordinator.state.topic.replication.factor': '3',
  'share.coordinator.state.topic.min.isr': '2',
  'num.io.threads': '2',
  // Leaders move when told to, not by themselves.
  'auto.leader.rebalance.enable': 'false',
  // A follower that is cut off leaves the in-sync set after so long.
  'replica.lag.time.max.ms': '4000',
  // A busy machine must not look like a dead broker.
  'broker.session.timeout.ms': '3000',
  'broker.heartbeat.interval.ms': '500',
} as const;

const addressOf = (port: number): string => `127.0.0.1:${port}`;

/** Resolves when all nodes answer. Throws what a start of a local broker throws; then nothing is left running. */
export async function startKafkaCluster(options: ClusterOptions): Promise<KafkaCluster> {
  const { dataDir, log, signal, secure, advertise = async (_, real) => real } = options;
  const ports = await freePorts(CLUSTER_SIZE * 4);
  const places = await Promise.all(
    Array.from({ length: CLUSTER_SIZE }, async (_, index) => {
      const [client = 0, replication = 0, controller = 0, secured = 0] = ports.slice(index * 4);
      const real = { client, replication, controller };
      return { id: index + 1, real, secured, shown: await advertise(index + 1, real) };
    }),
  );
  const voters = places.map(({ id, shown }) => `${id}@${addressOf(shown.controller)}`).join();
  const nodes = places.map(({ id, real, secured, shown }): ClusterNode => {
    const home = join(dataDir, `broker-${id}`);
    const plan = kafkaPlan({
      dataDir: home,
      cacheDir: CACHE_DIR,
      port: real.client,
      controllerPort: real.controller,
      jvmFlags: JVM_FLAGS,
      formatArgs: secure === undefined ? [] : firstUser(secure),
      properties: {
        ...SETTINGS,
        'node.id': String(id),
        'controller.quorum.voters': voters,
        ...listeners({ real, shown, secured: secure === undefined ? null : secured }),
        ...(secure === undefined ? {} : secureSettings(secure)),
      },
    });
    return {
      id,
      ports: real,
      service: createLocalService(plan, { dataDir: home, log, onProgress: () => {} }),
    };
  });
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map(({ service }) => service.kill()));
  };
  try {
    await Promise.all(nodes.map(({ service }) => service.start(signal)));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    nodes,
    brokers: places.map(({ shown }) => addressOf(shown.client)),
    secureBrokers: secure === undefined ? [] : places.map(({ secured }) => addressOf(secured)),
    stop,
  };
}

function listeners(ports: {
  real: NodePorts;
  shown: NodePorts;
  secured: number | null;
}): Readonly<Record<string, string>> {
  const { real, shown, secured } = ports;
  const secureListener = secured === null ? [] : [`SECURE://${addressOf(secured)}`];
  const own = ({ client, replication }: NodePorts): readonly string[] => [
    `CLIENT://${addressOf(client)}`,
    `REPLICATION://${addressOf(replication)}`,
    ...secureListener,
  ];
  return {
    listeners: [...own(real), `CONTROLLER://${addressOf(real.controller)}`].join(),
    'advertised.listeners': own(shown).join(),
    'inter.broker.listener.name': 'REPLICATION',
    'listener.security.protocol.map':
      'CLIENT:PLAINTEXT,REPLICATION:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL',
  };
}

const secureSettings = ({ keystore, user }: SecureListener): Readonly<Record<string, string>> => {
  const modules = 'org.apache.kafka.common.security';
  return {
    'ssl.keystore.type': 'PKCS12',
    'ssl.keystore.location': keystore.path,
    'ssl.keystore.password': keystore.password,
    'ssl.key.password': keystore.password,
    'listener.name.secure.sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-512',
    'listener.name.secure.plain.sasl.jaas.config': `${modules}.plain.PlainLoginModule required user_${user.name}="${user.password}";`,
    'listener.name.secure.scram-sha-512.sasl.jaas.config': `${modules}.scram.ScramLoginModule required;`,
  };
};

/** SCRAM keeps its users in the cluster itself: the first one comes with the format. */
const firstUser = ({ user }: SecureListener): readonly string[] => [
  '--add-scram',
  `SCRAM-SHA-512=[name=${user.name},password=${user.password}]`,
];
