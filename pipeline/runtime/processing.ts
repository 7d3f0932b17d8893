/** Runs tasks in this process: fetch -> accept -> fold -> produce, ticks on demand, checkpoints in the background. */
import { join } from 'node:path';
import type { Clock } from '#pipeline/clock.ts';
import { messageOf, PipelineError } from '#pipeline/errors.ts';
import type { Kafka } from '#pipeline/kafka/types.ts';
import { writerName } from '#pipeline/merge/position.ts';
import { tasksHere } from '#pipeline/plan/beginning.ts';
import type { Notes } from '#pipeline/poison/notes.ts';
import { watchPoison } from '#pipeline/poison/watch.ts';
import type { Serde } from '#pipeline/serde/serde.ts';
import type { StateBackend } from '#pipeline/state/backend.ts';
import type { Log } from '#pipeline/telemetry/log.ts';
import type { Metrics } from '#pipeline/telemetry/metrics.ts';
import type { Layer } from '#schemas/topics.ts';
import { createAssignment } from './assigning.ts';
import { type CommittedStep, isAtCut, type KeptTask, startCheckpoints } from './checkpoints.ts';
import { createControl } from './control.ts';
import { type Graph, type TaskId, taskName } from './graph.ts';
import { createHop, type HopMode } from './hop.ts';
import { createInputs, isFolded } from './inputs.ts';
import { DEFAULT_LIMITS, type Limits } from './limits.ts';
import { measureLatency, measureTasks } from './measuring.ts';
import { type OpenState, openTask, type TaskRestore } from './open-task.ts';
import type { Genesis } from './plan.ts';
import type { Task } from './task.ts';
import { createTicker } from './ticker.ts';
import { startTurns } from './turns.ts';
import { type TaskWait, watchWaits } from './waits.ts';
import { createWishes, waitOnOthers } from './wishes.ts';

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
  /** Which tasks run here at first; default all. */
  readonly owns?: (task: TaskId) => boolean;
  /** Name of this start of this process, unique for ever: it tells changelog groups of copies apart. */
  readonly instance: string;
  /** Write state to changelog topics, and take it from there when the disk has less; default true. */
  readonly hasChangelog?: boolean;
  /** Group name under which offsets are shown to lag tools; null: none. */
  readonly lagGroup: string | null;
  readonly checkpointMs?: number;
  readonly tickIntervalMs?: number;
  /** Whether records go from task to task in memory too, ahead of Kafka; default `on`. Never changes what comes out. */
  readonly hop?: HopMode;
  /** How work is cut into pieces; default `DEFAULT_LIMITS`. */
  readonly limits?: Partial<Limits>;
  /** Through them a record that kills the process is found at the next start; default none: nothing is searched for. */
  readonly notes?: Notes | null;
  readonly onRestore?: (task: TaskId, progress: TaskRestore) => void;
  /** Gives up waiting for the version before, at the start. */
  readonly signal?: AbortSignal;
}

export interface Processing {
  /** Those that run here now. */
  readonly tasks: readonly Task[];
  /** Settles when processing cannot go on; never when it is stopped. */
  readonly failed: Promise<Error>;
  /**
   * Settles when every task here is at the cut where the next version begins, and its state there is safe: its epoch. Of
   * no tasks nothing is known: a process of a group that has none is given those of the others as they end.
   */
  readonly ended: Promise<number>;
  /**
   * Which tasks run here from now on. Those that go take a last checkpoint and are closed, those that come take their state
   * (what their folder lacks) and join, some as soon as the version before has brought them to the cut; the others fold
   * meanwhile. Resolves when it is so, or when a later call has taken its place. What fails ends processing.
   */
  assign(wanted: readonly TaskId[]): Promise<void>;
  /** Everything in the topics is folded and what came of it is acknowledged. */
  isDrained(): Promise<boolean>;
  /** Records in the inputs of a task that it has not folded yet, as far as was seen. */
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

export async function startProcessing(options: ProcessingOptions): Promise<Processing> {
  const { kafka, graph, genesis, clock, log, metrics, physicalName, signal } = options;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const tickIntervalMs = options.tickIntervalMs ?? 20;
  const { notes = null } = options;
  const poison = watchPoison({ ...options, notes, searchMs: limits.searchMs });
  const producer = kafka.producer();
  // The proof that one partition gives does not depend on another's.
  const tickProducer = kafka.producer({ isIndependent: true });
  const hopMode = options.hop ?? 'on';
  const hop = createHop(hopMode);
  // Both change while processing goes on; everything below looks at them as they are.
  const kept: KeptTask[] = [];
  const tasks: Task[] = [];
  const keptOf = (task: Task): KeptTask => {
    const found = kept.find((one) => one.task === task);
    if (found === undefined) throw new PipelineError('INVARIANT_BROKEN', `no task ${task.writer} here`);
    return found;
  };
  const order = new Map(graph.tasks().map((id, index) => [writerName(id.subTopology, id.partition), index]));
  const placeOf = ({ writer }: Task): number => order.get(writer) ?? 0;
  const inputs = createInputs({ physicalName, maxWaitingBytes: limits.maxWaitingBytes });
  const layers = new Map(graph.topics.map(({ name, layer }) => [name, layer]));
  const controlTopics = new Set(graph.nodes.map(({ controlTopic }) => physicalName(controlTopic)));

  const { promise: failed, resolve: settleFailed } = Promise.withResolvers<Error>();
  const { promise: ended, resolve: settleEnded } = Promise.withResolvers<number>();
  let isRunning = true;
  const fail = (error: unknown): void => {
    if (!isRunning) return;
    isRunning = false;
    // It would wait for the version before, and nobody would come to know of the failure.
    void assignment.stop();
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

  const ticker = createTicker({ producer: tickProducer, clock, metrics, intervalMs: tickIntervalMs });
  const wishes = createWishes({
    producer: tickProducer,
    topic: physicalName(graph.nodes[0]?.controlTopic ?? ''),
    clock,
    metrics,
    intervalMs: tickIntervalMs,
  });
  let dependsOnOthers = false;
  /** All tasks run here, and hear of each other in memory. Copies elsewhere hear of them a little later. */
  let isAlone = false;
  const want = (logTimeMs: number): void => {
    ticker.want(logTimeMs);
    if (dependsOnOthers) wishes.want(logTimeMs);
  };
  const control = createControl({ tasks, onWish: ticker.want });
  const fetcher = kafka.fetcher({
    onRecords: (topic, partition, records, endOffset) =>
      guard(() => {
        if (controlTopics.has(topic)) control.take(records);
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
    ticker: { want },
    clock,
    guard,
    turnRecords: limits.turnRecords,
    isHeardElsewhere: () => !isAlone,
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
    afterRound: () => {
      for (const { task } of poison.checked(kept)) {
        hop.connect(task.doors);
        changed();
      }
      // What is on its way here would be cut off.
      if (!assignment.isSettled || !kept.every(isAtCut)) return;
      if (kept.length + assignment.over > 0) settleEnded(genesis.epoch + 1);
    },
  });
  const waits = watchWaits({ tasks, clock });
  const stopMeasuring = measureTasks({ kept, inputs, waits, metrics, clock });

  let openings = 0;
  let isStarted = false;
  let isReadingControl = false;
  const readControl = async (): Promise<void> => {
    if (isReadingControl) return;
    const admin = kafka.admin();
    try {
      const ends = await Promise.all(
        [...controlTopics].map(async (topic) => ({ topic, ranges: await admin.offsets(topic) })),
      );
      for (const { topic, ranges } of ends)
        for (const { partition, start, end } of ranges)
          fetcher.add(topic, partition, Math.max(start, end - limits.recentTicks));
      isReadingControl = true;
    } finally {
      await admin.close();
    }
  };
  const changed = (): void => {
    dependsOnOthers = waitOnOthers(graph, tasks);
    // A task that is searched hears of nothing in memory.
    isAlone = hopMode === 'on' && tasks.length === tasksHere(graph, genesis).length && !poison.isSearching;
  };
  const assignment = createAssignment({
    kept,
    clock,
    log,
    fail,
    prepare: readControl,
    open: async (id) => {
      openings += 1;
      // Its changelog groups are numbered anew, so they need a name of their own.
      const instance = `${options.instance}-${openings}`;
      const opened = await openTask({ ...options, limits, instance, hop }, id, producer);
      return poison.admit(opened, isStarted);
    },
    enter: (one) => {
      kept.push(one);
      tasks.push(one.task);
      // What is searched for is found in Kafka, where its place lasts.
      if (!poison.isSearched(one)) hop.connect(one.task.doors);
      tasks.sort((a, b) => placeOf(a) - placeOf(b));
      for (const { physical, partition, offset } of inputs.add(one.task))
        fetcher.add(physical, partition, offset);
      for (const { topic, partition } of one.task.inbounds)
        if (hasTicks(layers.get(topic))) ticker.add(physicalName(topic), partition);
      control.tell(one.task);
      turns.wake();
    },
    leave: async (one) => {
      tasks.splice(tasks.indexOf(one.task), 1);
      hop.disconnect(one.task.doors);
      for (const { physical, partition } of inputs.remove(one.task)) {
        fetcher.remove(physical, partition);
        ticker.remove(physical, partition);
      }
      await checkpoints.leave(one);
      poison.ended([one]);
      kept.splice(kept.indexOf(one), 1);
      await one.backend.close();
    },
    changed,
  });

  /** What this version does without runs nowhere. */
  const assign = (wanted: readonly TaskId[]): Promise<void> => {
    const running = new Set(tasksHere(graph, genesis).map(taskName));
    return assignment.assign(wanted.filter((task) => running.has(taskName(task))));
  };

  const stop = async (): Promise<void> => {
    const wasRunning = isRunning;
    isRunning = false;
    turns.stop();
    waits.stop();
    stopMeasuring();
    await assignment.stop();
    await fetcher.close();
    await checkpoints
      .stop(wasRunning)
      .catch((error) => log.warn('no last checkpoint', { error: messageOf(error) }));
    poison.ended(kept);
    // A tick that is not there yet proves nothing to anybody.
    await Promise.all([producer.close(), tickProducer.close(AbortSignal.abort())]);
    await Promise.all(kept.map(({ backend }) => backend.close()));
  };

  try {
    signal?.addEventListener('abort', assignment.stop, { once: true });
    await assign(graph.tasks().filter(options.owns ?? (() => true)));
    signal?.removeEventListener('abort', assignment.stop);
    signal?.throwIfAborted();
    isStarted = true;
  } catch (error) {
    // Another start may follow in this process: a folder that stays open would be locked.
    isRunning = false;
    await stop();
    throw error;
  }

  return {
    tasks,
    failed,
    ended,
    assign,
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
    stop,
  };
}

/** Whether readers append ticks to the partitions of a layer: where the broker stamps them, so that they prove something. */
const hasTicks = (layer: Layer | undefined): boolean => layer !== 'derived' && layer !== 'history';

/** `<folder>/<sub-topology>-<partition>`. */
export const stateFolder = (folder: string, { subTopology, partition }: TaskId): string =>
  join(folder, `${subTopology}-${partition}`);
