/** Composition root: services and configuration in, a running pipeline out. */
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { connectors } from '#connectors/registry.ts';
import { type Clock, systemClock } from '#pipeline/clock.ts';
import { PipelineError } from '#pipeline/errors.ts';
import { openKafka } from '#pipeline/kafka/client.ts';
import type { Kafka } from '#pipeline/kafka/types.ts';
import { type Description, describeVersion, fingerprintOf } from '#pipeline/plan/description.ts';
import type { Connector, Sink, SinkRecord } from '#pipeline/rooms.ts';
import { type Connecting, startConnecting } from '#pipeline/runtime/connecting.ts';
import { type Delivery, startDelivery } from '#pipeline/runtime/delivery.ts';
import type { TaskId } from '#pipeline/runtime/graph.ts';
import type { OpenState, TaskRestore } from '#pipeline/runtime/open-task.ts';
import { openPlan, shortVersion } from '#pipeline/runtime/plan.ts';
import { type Processing, startProcessing, stateFolder } from '#pipeline/runtime/processing.ts';
import { readDerived } from '#pipeline/runtime/read-topic.ts';
import { ensureTopics } from '#pipeline/runtime/topic-settings.ts';
import { openSerde, type Serde } from '#pipeline/serde/serde.ts';
import { openLevelBackend, putAside } from '#pipeline/state/level.ts';
import type { Log } from '#pipeline/telemetry/log.ts';
import { createMetrics, type Metrics } from '#pipeline/telemetry/metrics.ts';
import { planTopic, type Topic } from '#schemas/topics.ts';
import { sinks } from '#sinks/registry.ts';
import { allTopics, graph } from './graph.ts';

export interface PipelineOptions {
  readonly kafkaBrokers: readonly string[];
  readonly registryUrl: string;
  /** State of tasks goes to `<dataDir>/state`. */
  readonly dataDir: string;
  /** Validated configuration by room name; a room that is left out does not run. */
  readonly connectors: Readonly<Record<string, unknown>>;
  readonly sinks: Readonly<Record<string, unknown>>;
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
  readonly connectors: ReadonlyMap<string, Connector>;
  readonly sinks: ReadonlyMap<string, Sink>;
  readonly processing: Processing;
  readonly physicalName: (topic: string) => string;
  /** Facts first, then the other connectors; resolves when all are started. */
  connect(): Promise<void>;
  /** Settles when a part cannot go on. */
  readonly failed: Promise<Error>;
  /** Settles when every task here has ended at the cut to the version of this epoch, and its state there is safe. */
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
    clientId: 'baleen',
    log: log.for('kafka'),
    clock,
    metrics,
  });
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
    // A new plan means new topics: state of older ones would not fit.
    if (created.includes(physicalName(planTopic.name)))
      await rm(stateDirectory(dataDir), { recursive: true, force: true });
    const processing = await startProcessing({
      ...common,
      graph,
      genesis,
      instance: randomUUID(),
      lagGroup: `${topicPrefix}baleen`,
      openState: openStateIn(stateDirectory(dataDir)),
      ...(options.onRestore === undefined ? {} : { onRestore: options.onRestore }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    const which = `version ${shortVersion(genesis)}`;
    progress(`${which}: ${processing.tasks.length} tasks of ${graph.nodes.length} sub-topologies`);
    const delivering = await startSinks(options, common);
    progress(`${delivering.sinks.size} sinks`);
    const connecting = createConnecting(options, common);
    return assemble({ kafka, serde, metrics, processing, delivering, connecting, physicalName });
  } catch (error) {
    await kafka.close();
    throw error;
  }
}

/** Folders of the tasks, one each. */
export const stateDirectory = (dataDir: string): string => join(dataDir, 'state');

const openStateIn =
  (directory: string): OpenState =>
  async (task, found) => {
    const folder = stateFolder(directory, task);
    if (found === 'damaged') await putAside(folder);
    return openLevelBackend(folder);
  };

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

async function startSinks(options: PipelineOptions, common: Common): Promise<Delivering> {
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
    deliveries.push(await startDelivery({ ...common, log, name, sink, inputs, onDelivered }));
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
  processing: Processing;
  delivering: Delivering;
  connecting: () => Connecting;
  physicalName: (topic: string) => string;
}): Pipeline {
  const { kafka, serde, metrics, processing, delivering, physicalName } = parts;
  const { promise: failed, resolve: fail } = Promise.withResolvers<Error>();
  void processing.failed.then(fail);
  for (const delivery of delivering.deliveries) void delivery.failed.then(fail);
  let connecting: Connecting | null = null;
  const opened = new Map<string, Connector>();
  return {
    kafka,
    serde,
    metrics,
    processing,
    physicalName,
    failed,
    ended: processing.ended,
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
    stop: async () => {
      await connecting?.stop();
      await processing.stop();
      for (const delivery of delivering.deliveries) await delivery.stop();
      await kafka.close();
    },
  };
}
