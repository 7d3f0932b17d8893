/** Does what the schedule says. Each fault returns how it is mended; mending is tried whatever else happened. */
import type { Admin } from 'kafkajs';
import type { ClusterNode } from '#ops/local/kafka-cluster.ts';
import { damage, empty, fill } from './disk.ts';
import { electPreferredLeaders } from './plain-kafka.ts';
import type { ClientFilter, Spoiling, SpoilingProxy } from './proxy.ts';
import type { Fault } from './schedule.ts';
import { PREFIX, type World } from './world.ts';

/** What was done, beyond what the schedule says, and how it ends. */
export interface Applied {
  readonly detail: string;
  mend(): Promise<void>;
}

const DONE: Applied = { detail: '', mend: async () => {} };

export async function applyFault(world: World, fault: Fault): Promise<Applied> {
  const { fleet } = world;
  switch (fault.kind) {
    case 'kill':
      await Promise.all(fault.workers.map(fleet.kill));
      return { detail: '', mend: () => startAll(world, fault.workers) };
    case 'pause':
      for (const worker of fault.workers) fleet.signal(worker, 'SIGSTOP');
      return {
        detail: '',
        mend: async () => {
          for (const worker of fault.workers) fleet.signal(worker, 'SIGCONT');
        },
      };
    case 'disk-full':
      for (const worker of fault.workers) fill(fleet.stateDir(worker));
      return {
        detail: '',
        mend: async () => {
          for (const worker of fault.workers) await empty(fleet.stateDir(worker));
        },
      };
    case 'damage': {
      await fleet.kill(fault.worker);
      const detail = await damage(fleet.stateDir(fault.worker), fault.how, fault.chance);
      return { detail, mend: () => startAll(world, [fault.worker]) };
    }
    case 'broker-stop':
    case 'broker-kill':
      return takeBrokersAway(world, fault.node, fault.kind === 'broker-kill');
    case 'leaders':
      return withAdmin(world, (admin) => moveLeaders(world, admin, fault.rotation));
    case 'reassign':
      return withAdmin(world, (admin) => moveReplicas(world, admin, fault.rotation));
    case 'isolate-follower':
      return isolate(world, fault.node, ['replication']);
    case 'isolate-node':
      return isolate(world, fault.node, ['replication', 'controller']);
    case 'reset':
      return {
        ...DONE,
        detail: `${sum(clientDoors(world, fault.node), (door) => door.reset(named(fault.who)))} connections`,
      };
    case 'half-open':
      return {
        ...DONE,
        detail: `${sum(clientDoors(world, fault.node), (door) => door.lose(named(fault.who)))} connections`,
      };
    case 'hold':
      return spoilAll(clientDoors(world, fault.node), named(fault.who), { mode: 'hold' });
    case 'slow':
      return spoilAll(clientDoors(world, fault.node), named(fault.who), {
        mode: 'slow',
        delayMs: fault.delayMs,
      });
  }
}

const startAll = async ({ fleet }: World, workers: readonly string[]): Promise<void> => {
  for (const worker of workers) await fleet.start(worker);
};

const sum = (doors: readonly SpoilingProxy[], count: (door: SpoilingProxy) => number): number =>
  doors.reduce((total, door) => total + count(door), 0);

const nodesOf = ({ cluster }: World, node: number): readonly ClusterNode[] =>
  cluster.nodes.filter(({ id }) => node === 0 || id === node);

const clientDoors = ({ doors }: World, node: number): readonly SpoilingProxy[] =>
  [...doors].filter(([id]) => node === 0 || id === node).map(([, { client }]) => client);

/** Never the campaign's own connections. */
const named =
  (who: string): ClientFilter =>
  (clientId) =>
    clientId.startsWith(who) && !clientId.startsWith('campaign');

function spoilAll(doors: readonly SpoilingProxy[], filter: ClientFilter, spoiling: Spoiling): Applied {
  const releases = doors.map((door) => door.spoil(filter, spoiling));
  return {
    detail: '',
    mend: async () => {
      for (const release of releases) release();
    },
  };
}

async function takeBrokersAway(world: World, node: number, isHard: boolean): Promise<Applied> {
  const nodes = nodesOf(world, node);
  await Promise.all(nodes.map(({ service }) => (isHard ? service.kill() : service.stop())));
  return {
    detail: '',
    // One of three may be waiting for the others before it answers: side by side.
    mend: async () => {
      await Promise.all(nodes.map(({ service }) => service.start(world.signal)));
    },
  };
}

/** As brokers name themselves to each other: `broker-2-fetcher-0`, `raft-client-2`, `2`. */
export const isBroker = (clientId: string, node: number): boolean =>
  new RegExp(`^(broker-|raft-client-)?${node}(-|$)`).test(clientId);

/** Between this broker and the others nothing goes through; clients still reach it. */
function isolate({ doors }: World, node: number, kinds: readonly ('replication' | 'controller')[]): Applied {
  const releases = [...doors].flatMap(([id, all]) =>
    kinds.map((kind) =>
      all[kind].spoil((clientId) => (id === node) !== isBroker(clientId, node), { mode: 'refuse' }),
    ),
  );
  return {
    detail: '',
    mend: async () => {
      for (const release of releases) release();
    },
  };
}

async function withAdmin(world: World, work: (admin: Admin) => Promise<Applied>): Promise<Applied> {
  const admin = world.plain.admin();
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}

interface Replicas {
  readonly topic: string;
  readonly partition: number;
  readonly replicas: readonly number[];
}

async function allReplicas(admin: Admin): Promise<readonly Replicas[]> {
  const { topics } = await admin.fetchTopicMetadata();
  return topics
    .filter(({ name }) => name.startsWith(PREFIX))
    .flatMap(({ name, partitions }) =>
      partitions.map(({ partitionId, replicas }) => ({ topic: name, partition: partitionId, replicas })),
    );
}

async function reassign(admin: Admin, wanted: readonly Replicas[]): Promise<void> {
  const byTopic = Map.groupBy(wanted, ({ topic }) => topic);
  await admin.alterPartitionReassignments({
    topics: [...byTopic].map(([topic, partitions]) => ({
      topic,
      partitionAssignment: partitions.map(({ partition, replicas }) => ({
        partition,
        replicas: [...replicas],
      })),
    })),
  });
}

const electing = async (world: World): Promise<void> => {
  const alive = world.cluster.nodes.find(({ service }) => service.pid() !== null);
  if (alive !== undefined) await electPreferredLeaders(alive.ports.client);
};

/** Every partition gets another first replica, which then leads. */
async function moveLeaders(world: World, admin: Admin, rotation: number): Promise<Applied> {
  const present = await allReplicas(admin);
  const wanted = present.map((one) => ({
    ...one,
    replicas: one.replicas.map((_, index, all) => all[(index + rotation) % all.length] ?? 0),
  }));
  await reassign(admin, wanted);
  await electing(world);
  return { ...DONE, detail: `${wanted.length} partitions` };
}

/** Every second partition loses its first replica, which may be its leader; when mended it is made anew. */
async function moveReplicas(world: World, admin: Admin, rotation: number): Promise<Applied> {
  const chosen = (await allReplicas(admin)).filter(
    ({ replicas }, index) => replicas.length === world.cluster.nodes.length && index % 2 === rotation % 2,
  );
  await reassign(
    admin,
    chosen.map((one) => ({ ...one, replicas: one.replicas.slice(1) })),
  );
  return {
    detail: `${chosen.length} partitions`,
    mend: async () => {
      await withAdmin(world, async (again) => {
        const [first = 1, ...rest] = world.cluster.nodes.map(({ id }) => id);
        await reassign(
          again,
          chosen.map((one) => ({
            ...one,
            replicas: [...one.replicas.slice(1), first, ...rest].filter(isFirst),
          })),
        );
        return DONE;
      });
    },
  };
}

const isFirst = (node: number, index: number, all: readonly number[]): boolean => all.indexOf(node) === index;
