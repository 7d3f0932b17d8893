/** Runs tasks in this process: fetch -> accept -> fold -> produce, ticks on demand, checkpoints in the background. */
import { join } from 'node:path';
import type { Clock } from '#pipeline/clock.ts';
import { messageOf, PipelineError } from '#pipeline/errors.ts';
import type { Kafka, KafkaRecord } from '#pipeline/kafka/types.ts';
import type { Serde } from '#pipeline/serde/serde.ts';
import type { StateBackend } from '#pipeline/state/backend.ts';
import type { Log } from '#pipeline/telemetry/log.ts';
import type { Metrics } from '#pipeline/telemetry/metrics.ts';
import type { Layer } from '#schemas/topics.ts';
import { type CommittedStep, type KeptTask, startCheckpoints } from './checkpoints.ts';
import type { Graph, TaskId } from './graph.ts';
import { createInputs, type Input } from './inputs.ts';
import { DEFAULT_LIMITS, type Limits } from './limits.ts';
import { measureLatency, measureTasks } from './measuring.ts';
import { type OpenState, openTask, type TaskRestore } from './open-task.ts';
import { readControlTick } from './outputs.ts';
import type { Genesis } from './plan.ts';
import type { Task } from './task.ts';
import { createTicker } from './ticker.ts';
import { startTurns } from './turns.ts';
import { type TaskWait, watchWaits } from './waits.ts';

export interface ProcessingOptions {
  readonly kafka: Kafka;
  readonly graph: Graph;
  readonly genesis: Genesis;
  readonly serde: Serde;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly physicalName: (topic: string) => string;
  readonly openState: OpenState;
  /** Which tasks run here; default all. */
  readonly owns?: (task: TaskId) => boolean;
  /** Name of this start of this process, unique for ever: it tells changelog groups of copies apart. */
  readonly instance: string;
  /** Write state to changelog topics, and take it from there when the disk has less; default true. */
  readonly hasChangelog?: boolean;
  /** Group name under which offsets are shown to lag tools; null: none. */
  readonly lagGroup: string | null;
  readonly checkpointMs?: number;
  readonly tickIntervalMs?: number;
  /** How work is cut into pieces; default `DEFAULT_LIMITS`. */
  readonly limits?: Partial<Limits>;
  readonly onRestore?: (task: TaskId, progress: TaskRestore) => void;
  /** Gives up waiting for the version before, at the start. */
  readonly signal?: AbortSignal;
}

export interface Processing {
  readonly tasks: readonly Task[];
  /** Settles when processing cannot go on; never when it is stopped. */
  readonly failed: Promise<Error>;
  /** Settles when every task here is at the cut where the next version begins, and its state there is safe: its epoch. */
  readonly ended: Promise<number>;
  /** Everything in the topics is folded and what came of it is acknowledged. */
  isDrained(): Promise<boolean>;
  /** Records in the input topics that are not folded yet, as far as was seen. */
  lag(): number;
  /** The same for one task. */
  lagOf(task: Task): number;
  /** Who waits for whom, for every task. */
  waits(): readonly TaskWait[];
  /** What is safe of a task. */
  committed(task: Task): CommittedStep;
  /** What the last checkpoint of a task holds, for a look. */
  stateOf(task: Task): Pick<StateBackend, 'get' | 'scan'>;
  /** Drains what is folded, takes a last checkpoint, closes. */
  stop(): Promise<void>;
}

/** Of each control topic, read by those who start. */
const RECENT_TICKS = 100;

export async function startProcessing(options: ProcessingOptions): Promise<Processing> {
  const { kafka, graph, genesis, clock, log, metrics, physicalName } = options;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const producer = kafka.producer();
  const tickProducer = kafka.producer();
  const kept: KeptTask[] = [];
  /** Those that a later version has gone on with. */
  let tasksOver = 0;
  try {
    for (const id of graph.tasks().filter(options.owns ?? (() => true))) {
      const opened = await openTask({ ...options, limits }, id, producer);
      if (opened === null) tasksOver += 1;
      else kept.push(opened);
    }
  } catch (error) {
    // Another start may follow in this process: a folder that stays open would be locked.
    await Promise.all(kept.map(({ backend }) => backend.close()));
    throw error;
  }
  const tasks = kept.map(({ task }) => task);
  const keptOf = (task: Task): KeptTask => {
    const found = kept.find((one) => one.task === task);
    if (found === undefined) throw new PipelineError('INVARIANT_BROKEN', `no task ${task.writer} here`);
    return found;
  };
  const inputs = createInputs({
    tasks,
    physicalName,
    maxWaitingBytes: limits.maxWaitingBytes,
  });
  const layers = new Map(graph.topics.map(({ name, layer }) => [name, layer]));
  const controlTopics = new Set(graph.nodes.map(({ controlTopic }) => physicalName(controlTopic)));

  const { promise: failed, resolve: settleFailed } = Promise.withResolvers<Error>();
  const { promise: ended, resolve: settleEnded } = Promise.withResolvers<number>();
  if (tasksOver > 0 && kept.length === 0) settleEnded(genesis.epoch + 1);
  let isRunning = true;
  const fail = (error: unknown): void => {
    if (!isRunning) return;
    isRunning = false;
    settleFailed(error instanceof Error ? error : new Error(String(error)));
  };
  const guard = (work: () => void): void => {
    if (!isRunning) return;
    try {
      work();
    } catch (error) {
      fail(error);
    }
  };

  const ticker = createTicker({
    partitions: inputs.all
      .filter(({ topic }) => hasTicks(layers.get(topic)))
      .map(({ physical, partition }) => ({ topic: physical, partition })),
    producer: tickProducer,
    clock,
    metrics,
    intervalMs: options.tickIntervalMs ?? 20,
  });
  const takeControl = (records: readonly KafkaRecord[]): void => {
    for (const { value } of records) {
      const tick = readControlTick(value);
      if (tick !== null) for (const task of tasks) task.acceptControl(tick);
    }
  };
  const fetcher = kafka.fetcher({
    onRecords: (topic, partition, records, endOffset) =>
      guard(() => {
        if (controlTopics.has(topic)) takeControl(records);
        else if (inputs.take(topic, partition, records, endOffset)) {
          const last = records.at(-1);
          if (last !== undefined) ticker.seen(topic, partition, last.timestampMs);
          inputs.balance(fetcher);
        }
        turns.wake();
      }),
    onError: (_topic, _partition, error) => fail(error),
  });
  const afterTurn = measureLatency({ tasks, producer, metrics, clock });
  const turns = startTurns({
    tasks,
    producer,
    ticker,
    clock,
    guard,
    turnRecords: limits.turnRecords,
    isReady: () => kept.every(({ backend }) => backend.isReady !== false),
    onTurn: () => {
      inputs.balance(fetcher);
      afterTurn();
    },
  });
  const checkpoints = startCheckpoints({
    ...options,
    kept,
    producer,
    everyMs: options.checkpointMs ?? 1_000,
    limits,
    fail,
    onEnded: ({ epoch }) => settleEnded(epoch),
  });

  const waits = watchWaits({ tasks, clock });
  const stopMeasuring = measureTasks({ kept, inputs, waits, metrics, clock });

  for (const { physical, partition, readers } of inputs.all)
    fetcher.add(physical, partition, Math.min(...readers.map(({ inbound }) => inbound.nextOffset)));
  const admin = kafka.admin();
  try {
    for (const topic of controlTopics) {
      // The last promises of those who have ended, and will not repeat them, stand a little before the end.
      for (const { partition, start, end } of await admin.offsets(topic))
        fetcher.add(topic, partition, Math.max(start, end - RECENT_TICKS));
    }
  } finally {
    await admin.close();
  }

  return {
    tasks,
    failed,
    ended,
    lag: () => tasks.reduce((sum, task) => sum + inputs.lag(task), 0),
    lagOf: inputs.lag,
    waits: waits.list,
    committed: (task) => checkpoints.last(keptOf(task)),
    stateOf: (task) => keptOf(task).backend,
    isDrained: async () => {
      const steps = () => tasks.map(({ step }) => step).join();
      const before = steps();
      if (!(await isFolded(kafka, inputs.all)) || producer.pendingBytes > 0) return false;
      return steps() === before && tasks.every(({ waiting }) => waiting === 0);
    },
    stop: async () => {
      const wasRunning = isRunning;
      isRunning = false;
      turns.stop();
      waits.stop();
      stopMeasuring();
      await fetcher.close();
      await checkpoints
        .stop(wasRunning)
        .catch((error) => log.warn('no last checkpoint', { error: messageOf(error) }));
      await Promise.all([producer.close(), tickProducer.close()]);
      await Promise.all(kept.map(({ backend }) => backend.close()));
    },
  };
}

/** Whether readers append ticks to the partitions of a layer: where the broker stamps them, so that they prove something. */
const hasTicks = (layer: Layer | undefined): boolean => layer !== 'derived' && layer !== 'history';

/** Every input was read to its present end by all its readers. */
async function isFolded(kafka: Kafka, inputs: readonly Input[]): Promise<boolean> {
  const admin = kafka.admin();
  try {
    for (const [physical, group] of Map.groupBy(inputs, (input) => input.physical)) {
      const ends = new Map((await admin.offsets(physical)).map(({ partition, end }) => [partition, end]));
      const isBehind = group.some(({ partition, readers }) =>
        readers.some(({ inbound }) => inbound.nextOffset < (ends.get(partition) ?? 0)),
      );
      if (isBehind) return false;
    }
    return true;
  } finally {
    await admin.close();
  }
}

/** `<folder>/<sub-topology>-<partition>`. */
export const stateFolder = (folder: string, { subTopology, partition }: TaskId): string =>
  join(folder, `${subTopology}-${partition}`);
