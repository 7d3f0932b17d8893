/** Composition root: services and configuration in, a running pipeline out. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { connectors } from '#connectors/registry.ts';
import { type Clock, systemClock } from '#pipeline/clock.ts';
import { PipelineError } from '#pipeline/errors.ts';
import { type KafkaSecurity, openKafka } from '#pipeline/kafka/client.ts';
import type { Kafka, Membership } from '#pipeline/kafka/types.ts';
import { type Description, describeVersion, fingerprintOf } from '#pipeline/plan/description.ts';
import { untilAtCut } from '#pipeline/plan/short.ts';
import { fencesOf } from '#pipeline/plan/versions.ts';
import type { Connector, Sink, SinkRecord } from '#pipeline/rooms.ts';
import { type Shard, tasksOfShard } from '#pipeline/runtime/assignment.ts';
import { type Connecting, startConnecting } from '#pipeline/runtime/connecting.ts';
import { type Delivery, type DeliveryOptions, startDelivery } from '#pipeline/runtime/delivery.ts';
import type { TaskId } from '#pipeline/runtime/graph.ts';
import type { TaskRestore } from '#pipeline/runtime/open-task.ts';
import { type Genesis, openPlan, shortVersion } from '#pipeline/runtime/plan.ts';
import { readDerived } from '#pipeline/runtime/read-topic.ts';
import type { RunningTasks } from '#pipeline/runtime/running-tasks.ts';
import { joinTaskGroup } from '#pipeline/runtime/task-group.ts';
import { ensureTopics } from '#pipeline/runtime/topic-settings.ts';
import { openSerde, type Serde } from '#pipeline/serde/serde.ts';
import type { Log } from '#pipeline/telemetry/log.ts';
import { createMetrics, type Metrics } from '#pipeline/telemetry/metrics.ts';
import { planTopic, type Topic } from '#schemas/topics.ts';
import { sinks } from '#sinks/registry.ts';
import { allTopics, graph } from './graph.ts';
import { startTasks } from './start-tasks.ts';
import { keepStateOf, stateDirectory, storedIn } from './state-directory.ts';
import { stopInTime } from './stop-in-time.ts';

/** `group`: what the other processes of the group leave to this one, for as long as they do. */
export type Sharing = 'all' | 'none' | 'group' | Shard;

export interface PipelineOptions {
  readonly kafkaBrokers: readonly string[];
  /** Default: plain connections without a user. */
  readonly kafkaSecurity?: KafkaSecurity;
  readonly registryUrl: string;
  /** State of tasks goes to `<dataDir>/state`. */
  readonly dataDir: string;
  /** Validated configuration by room name; a room that is left out does not run. */
  readonly connectors: Readonly<Record<string, unknown>>;
  readonly sinks: Readonly<Record<string, unknown>>;
  /** Which tasks run here; default all. */
  readonly sharing?: Sharing;
  /** Threads that they run in; default 1: the main one. Never changes what comes out. */
  readonly threads?: number;
  /** Before every topic name, such as `test-1.`; default none. */
  readonly topicPrefix?: string;
  readonly log: Log;
  readonly clock?: Clock;
  readonly metrics?: Metrics;
  readonly onProgress?: (sentence: string) => void;
  /** Gives up the wait for the version before. */
  readonly signal?: AbortSignal;
  /** While a task takes its state from its changelog, and once it has. */
  readonly onRestore?: (task: TaskId, progress: TaskRestore) => void;
  /** After a sink made records durable. */
  readonly onDelivered?: (sink: string, records: readonly SinkRecord[]) => void;
}

export interface Pipeline {
  readonly kafka: Kafka;
  readonly serde: Serde;
  readonly metrics: Metrics;
  /** Which version runs here. */
  readonly genesis: Genesis;
  readonly connectors: ReadonlyMap<string, Connector>;
  readonly sinks: ReadonlyMap<string, Sink>;
  readonly processing: RunningTasks;
  readonly physicalName: (topic: string) => string;
  /** Facts first, then the other connectors; resolves when all are started. */
  connect(): Promise<void>;
  /** Settles when a part cannot go on. */
  readonly failed: Promise<Error>;
  /**
   * Settles when every task here has ended at the cut to the version of this epoch, and its state there is safe. In a group,
   * every task of the group.
   */
  readonly ended: Promise<number>;
  /** Everything received is folded and delivered. */
  isDrained(): Promise<boolean>;
  /** Connectors first, then tasks, then sinks; what is under way is finished. */
  stop(): Promise<void>;
}

/** The folders whose sources decide what comes out. */
const root = new URL('..', import.meta.url).pathname;
export const LOGIC_FOLDERS = ['schemas', 'pipeline', 'topology/processors'].map((folder) =>
  join(root, folder),
);

/** What this version consists of. */
export const describeThis = (): Promise<Description> => describeVersion({ graph, folders: LOGIC_FOLDERS });

/** Physical topics of a run, those of the engine included, with what each must be. */
export function physicalTopics(physicalName: (topic: string) => string) {
  return new Map<string, Pick<Topic, 'layer' | 'partitions'>>([
    ...allTopics.map((topic) => [physicalName(topic.name), topic] as const),
    ...[...graph.engineTopics].map(([name, topic]) => [physicalName(name), topic] as const),
  ]);
}

export async function openPipeline(options: PipelineOptions): Promise<Pipeline> {
  const { log, dataDir, topicPrefix = '', clock = systemClock, metrics = createMetrics() } = options;
  const progress = options.onProgress ?? (() => {});
  const physicalName = (topic: string) => `${topicPrefix}${topic}`;
  const kafka = await openKafka({
    brokers: options.kafkaBrokers,
    ...(options.kafkaSecurity === undefined ? {} : { security: options.kafkaSecurity }),
    clientId: 'baleen',
    log: log.for('kafka'),
    clock,
    metrics,
  });
  let processing: RunningTasks | null = null;
  try {
    const admin = kafka.admin();
    const needed = physicalTopics(physicalName);
    const created = await ensureTopics(admin, needed).finally(() => admin.close());
    progress(`${needed.size} topics (${created.length} new)`);
    const serde = await openSerde({ registryUrl: options.registryUrl, topics: allTopics });
    progress(`${allTopics.length} schemas registered`);
    const description = await describeThis();
    const genesis = await openPlan({
      kafka,
      serde,
      graph,
      topic: planTopic,
      physicalName,
      fingerprint: fingerprintOf(description),
      description,
      clock,
    });
    const common = { kafka, serde, clock, metrics, log, physicalName };
    const directory = stateDirectory(dataDir);
    await keepStateOf(directory, genesis);
    const { sharing = 'all', threads = 1 } = options;
    processing = await startTasks({
      ...common,
      threads,
      brokers: options.kafkaBrokers,
      kafkaSecurity: options.kafkaSecurity ?? null,
      registryUrl: options.registryUrl,
      genesis,
      instance: randomUUID(),
      tasks: tasksAtFirst(sharing),
      lagGroup: `${topicPrefix}baleen`,
      stateDirectory: directory,
      limits: {},
      hop: 'on',
      ...(options.onRestore === undefined ? {} : { onRestore: options.onRestore }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    const membership =
      sharing === 'group'
        ? joinTaskGroup({
            kafka,
            group: `${topicPrefix}baleen-tasks-${genesis.epoch}-${genesis.fingerprint.slice(0, 12)}`,
            tasks: graph.tasks(),
            processing,
            stored: () => storedIn(directory),
          })
        : null;
    progress(`version ${shortVersion(genesis)}: ${said(sharing, processing, threads)}`);
    const fences = fencesOf(genesis.versions ?? []);
    const delivering = await startSinks(options, common, fences);
    progress(`${delivering.sinks.size} sinks`);
    const connecting = createConnecting(options, common);
    return assemble({ ...common, genesis, processing, membership, delivering, connecting });
  } catch (error) {
    await processing?.stop();
    await kafka.close();
    throw error;
  }
}

const tasksAtFirst = (sharing: Sharing): readonly TaskId[] => {
  if (sharing === 'all') return graph.tasks();
  return sharing === 'none' || sharing === 'group' ? [] : tasksOfShard(graph.tasks(), sharing);
};

function said(sharing: Sharing, { tasks }: RunningTasks, threads: number): string {
  if (sharing === 'none') return 'no tasks here';
  const all = graph.tasks().length;
  const inThreads = threads === 1 ? '' : `, in ${threads} threads`;
  if (sharing === 'group') return `in the group that shares ${all} tasks${inThreads}`;
  return `${tasks.length} of ${all} tasks, ${graph.nodes.length} sub-topologies${inThreads}`;
}

interface Common {
  readonly kafka: Kafka;
  readonly serde: Serde;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly physicalName: (topic: string) => string;
}

interface Delivering {
  readonly sinks: ReadonlyMap<string, Sink>;
  readonly deliveries: readonly Delivery[];
}

async function startSinks(
  options: PipelineOptions,
  common: Common,
  fences: DeliveryOptions['fences'] & {},
): Promise<Delivering> {
  const { kafka, serde, physicalName } = common;
  const opened = new Map<string, Sink>();
  const deliveries: Delivery[] = [];
  for (const definition of sinks) {
    const config = options.sinks[definition.name];
    if (config === undefined) continue;
    const log = common.log.for(definition.name);
    const sink = definition.create(config as never, {
      ...common,
      log,
      read: (topic) => readDerived(kafka, serde, topic, physicalName(topic.name)),
    });
    await sink.check(AbortSignal.timeout(30_000));
    const { name, inputs } = definition;
    const onDelivered = (records: readonly SinkRecord[]) => options.onDelivered?.(name, records);
    deliveries.push(await startDelivery({ ...common, log, name, sink, inputs, fences, onDelivered }));
    opened.set(name, sink);
  }
  return { sinks: opened, deliveries };
}

function createConnecting(options: PipelineOptions, common: Common): () => Connecting {
  const rooms = connectors
    .filter(({ name }) => options.connectors[name] !== undefined)
    .map((definition) => ({ definition, config: options.connectors[definition.name] }));
  return () => startConnecting({ ...common, rooms });
}

function assemble(parts: {
  kafka: Kafka;
  serde: Serde;
  metrics: Metrics;
  genesis: Genesis;
  processing: RunningTasks;
  /** In the group that shares the tasks; null: what runs here is fixed. */
  membership: Membership | null;
  delivering: Delivering;
  connecting: () => Connecting;
  clock: Clock;
  log: Log;
  physicalName: (topic: string) => string;
}): Pipeline {
  const { kafka, serde, metrics, genesis, processing, membership, delivering, physicalName, clock, log } =
    parts;
  const { promise: failed, resolve: fail } = Promise.withResolvers<Error>();
  void processing.failed.then(fail);
  const stopping = new AbortController();
  const { promise: ended, resolve: end } = Promise.withResolvers<number>();
  const shared = membership === null ? [] : graph.tasks();
  const { signal } = stopping;
  const endAt = async (epoch: number): Promise<void> => {
    if (await untilAtCut({ kafka, clock, physicalName, signal }, shared, epoch)) end(epoch);
  };
  processing.ended.then(endAt).catch(fail);
  for (const delivery of delivering.deliveries) void delivery.failed.then(fail);
  let connecting: Connecting | null = null;
  const opened = new Map<string, Connector>();
  return {
    kafka,
    serde,
    metrics,
    genesis,
    processing,
    physicalName,
    failed,
    ended,
    connectors: opened,
    sinks: delivering.sinks,
    connect: async () => {
      if (connecting !== null) throw new PipelineError('INVARIANT_BROKEN', 'connect is called once');
      connecting = parts.connecting();
      for (const [name, connector] of connecting.connectors) opened.set(name, connector);
      void connecting.failed.then(fail);
      await connecting.started;
    },
    isDrained: async () => {
      if (![...opened.values()].every((connector) => connector.status().isIdle)) return false;
      if (!(await processing.isDrained())) return false;
      for (const delivery of delivering.deliveries) if (!(await delivery.isDrained())) return false;
      return true;
    },
    stop: () => {
      stopping.abort();
      const stop = async () => {
        await connecting?.stop();
        // The last checkpoints first: whoever takes over goes on from them.
        await processing.stop();
        await membership?.leave();
        for (const delivery of delivering.deliveries) await delivery.stop();
      };
      return stopInTime({ kafka, clock, log, stop });
    },
  };
}
