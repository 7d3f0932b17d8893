/** Runs tasks in this process: fetch -> accept -> fold -> produce, ticks on demand, checkpoints in the background. */
import { join } from 'node:path';
import { backoffMs, type Clock } from '#pipeline/clock.ts';
import { messageOf, PipelineError } from '#pipeline/errors.ts';
import type { Kafka, KafkaRecord } from '#pipeline/kafka/types.ts';
import { tailLost } from '#pipeline/merge/inbound.ts';
import type { Serde } from '#pipeline/serde/serde.ts';
import type { StateBackend } from '#pipeline/state/backend.ts';
import type { Log } from '#pipeline/telemetry/log.ts';
import type { Metrics } from '#pipeline/telemetry/metrics.ts';
import { checkpoint } from './checkpoint.ts';
import type { Graph, TaskId } from './graph.ts';
import { commitLag } from './lag.ts';
import { readControlTick } from './outputs.ts';
import type { Genesis } from './plan.ts';
import { createTask, type Task } from './task.ts';
import { createTicker } from './ticker.ts';
import { MAX_RECORD_BYTES } from './topic-settings.ts';

export interface ProcessingOptions {
  readonly kafka: Kafka;
  readonly graph: Graph;
  readonly genesis: Genesis;
  readonly serde: Serde;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly physicalName: (topic: string) => string;
  readonly openState: (task: TaskId) => Promise<StateBackend>;
  /** Group name under which offsets are shown to lag tools; null: none. */
  readonly lagGroup: string | null;
  readonly checkpointMs?: number;
  readonly tickIntervalMs?: number;
}

export interface Processing {
  readonly tasks: readonly Task[];
  /** Settles when processing cannot go on; never when it is stopped. */
  readonly failed: Promise<Error>;
  /** Everything in the topics is folded and what came of it is acknowledged. */
  isDrained(): Promise<boolean>;
  /** Records in the input topics that are not folded yet, as far as was seen. */
  lag(): number;
  /** Drains what is folded, takes a last checkpoint, closes. */
  stop(): Promise<void>;
}

/** Records folded in one go before the other tasks have their turn. */
const TURN = 256;
/** Bytes that may wait in one partition before its fetching is paused. */
const MAX_WAITING_BYTES = 8 * 1024 * 1024;
/** How soon a task that waits looks again. */
const LOOK_AGAIN_MS = 2;
/** A reader that starts later needs the last tick once more (engine rules, 5.5). */
const REPEAT_TICK_MS = 1_000;

export async function startProcessing(options: ProcessingOptions): Promise<Processing> {
  const { kafka, graph, genesis, clock, log, metrics, physicalName } = options;
  const producer = kafka.producer();
  const tickProducer = kafka.producer();
  const tasks = await Promise.all(
    graph.tasks().map(async (id) => {
      const node = graph.nodes.find(({ name }) => name === id.subTopology);
      if (node === undefined)
        throw new PipelineError('INVARIANT_BROKEN', `no sub-topology ${id.subTopology}`);
      return createTask({
        ...options,
        id,
        node,
        genesis,
        producer,
        backend: await options.openState(id),
        maxRecordBytes: MAX_RECORD_BYTES,
      });
    }),
  );

  const { promise: failed, resolve: fail } = Promise.withResolvers<Error>();
  let isRunning = true;
  const guard = (work: () => void): void => {
    if (!isRunning) return;
    try {
      work();
    } catch (error) {
      isRunning = false;
      fail(error instanceof Error ? error : new Error(String(error)));
    }
  };

  // ---- who reads what
  const inputs = new Map<
    string,
    { topic: string; partition: number; readers: Task[]; isPaused: boolean; endOffset: number }
  >();
  for (const task of tasks) {
    for (const { topic, partition } of task.inbounds) {
      const name = `${physicalName(topic)}/${partition}`;
      const input = inputs.get(name) ?? { topic, partition, readers: [], isPaused: false, endOffset: 0 };
      input.readers.push(task);
      inputs.set(name, input);
    }
  }
  const layers = new Map(graph.topics.map(({ name, layer }) => [name, layer]));
  const control = new Set(graph.nodes.map(({ controlTopic }) => physicalName(controlTopic)));
  const ticker = createTicker({
    partitions: [...inputs.values()]
      .filter(({ topic }) => layers.get(topic) !== 'derived')
      .map(({ topic, partition }) => ({ topic: physicalName(topic), partition })),
    producer: tickProducer,
    clock,
    metrics,
    intervalMs: options.tickIntervalMs ?? 20,
  });

  // ---- input
  const fetcher = kafka.fetcher({
    onRecords: (topic, partition, records, endOffset) =>
      guard(() => {
        if (control.has(topic)) takeControl(records);
        else takeRecords(topic, partition, records, endOffset);
        schedule();
      }),
    onError: (_topic, _partition, error) =>
      guard(() => {
        throw error;
      }),
  });

  const takeControl = (records: readonly KafkaRecord[]): void => {
    for (const { value } of records) {
      const tick = readControlTick(value);
      if (tick !== null) for (const task of tasks) task.acceptControl(tick);
    }
  };

  const inboundOf = (task: Task, topic: string, partition: number) =>
    task.inbounds.find((inbound) => inbound.topic === topic && inbound.partition === partition);

  const takeRecords = (
    physical: string,
    partition: number,
    records: readonly KafkaRecord[],
    endOffset: number,
  ): void => {
    const input = inputs.get(`${physical}/${partition}`);
    const last = records.at(-1);
    if (input === undefined || last === undefined) return;
    input.endOffset = endOffset;
    for (const task of input.readers) task.accept(input.topic, partition, records);
    ticker.seen(physical, partition, last.timestampMs);
    const inbounds = input.readers.flatMap((task) => inboundOf(task, input.topic, partition) ?? []);
    // Pausing a partition whose needed writer lies behind others would be a deadlock (engine rules, section 6).
    if (
      inbounds.some(({ waitingBytes }) => waitingBytes > MAX_WAITING_BYTES) &&
      inbounds.every((inbound) => inbound.canPause())
    ) {
      input.isPaused = true;
      fetcher.pause(physical, partition);
    }
  };

  const resumeInputs = (): void => {
    for (const [name, input] of inputs) {
      if (!input.isPaused) continue;
      const inbounds = input.readers.flatMap((task) => inboundOf(task, input.topic, input.partition) ?? []);
      if (
        inbounds.some(({ waitingBytes }) => waitingBytes > MAX_WAITING_BYTES / 2) &&
        inbounds.every((inbound) => inbound.canPause())
      )
        continue;
      input.isPaused = false;
      fetcher.resume(name.slice(0, name.lastIndexOf('/')), input.partition);
    }
  };

  // ---- folding
  let isScheduled = false;
  let cancelLook: (() => void) | null = null;
  let lastTickMs = 0;
  const schedule = (): void => {
    if (isScheduled || !isRunning) return;
    isScheduled = true;
    setImmediate(() => {
      isScheduled = false;
      guard(turn);
    });
  };
  const lookAgain = (): void => {
    if (cancelLook !== null) return;
    const abort = new AbortController();
    cancelLook = () => abort.abort();
    void clock.sleep(LOOK_AGAIN_MS, abort.signal).then(() => {
      cancelLook = null;
      schedule();
    });
  };
  let isHeldBack = false;

  const turn = (): void => {
    if (isHeldBack) return;
    let folded = 0;
    for (const task of tasks) folded += task.work(TURN);
    resumeInputs();
    const nowMs = clock.nowMs();
    if (nowMs - lastTickMs >= LOOK_AGAIN_MS || folded === 0) {
      lastTickMs = nowMs;
      for (const task of tasks) task.emitTick(false);
    }
    if (folded > 0) {
      isHeldBack = true;
      void producer.writable().then(
        () => {
          isHeldBack = false;
          schedule();
        },
        (error: unknown) =>
          guard(() => {
            throw error;
          }),
      );
      return;
    }
    let waitsForMs = -1;
    for (const task of tasks) {
      const blocked = task.blocked();
      if (blocked !== null) waitsForMs = Math.max(waitsForMs, blocked.logTimeMs);
    }
    if (waitsForMs < 0) return;
    ticker.want(waitsForMs);
    lookAgain();
  };

  const stopRepeating = clock.every(REPEAT_TICK_MS, () =>
    guard(() => {
      for (const task of tasks) task.emitTick(true);
    }),
  );

  // ---- checkpoints
  const stopping = new AbortController();
  const safeSteps = new Map(tasks.map((task) => [task, task.step]));
  const waitOut = async (error: unknown, attempt: number): Promise<void> => {
    if (stopping.signal.aborted) throw error;
    if (attempt % 10 === 0) log.warn('state cannot be written, trying again; is the disk full?', { error });
    await clock.sleep(backoffMs(attempt), stopping.signal);
  };
  const takeCheckpoints = async (): Promise<void> => {
    for (const task of tasks)
      safeSteps.set(task, await checkpoint(task, safeSteps.get(task) ?? 0, { producer, metrics, waitOut }));
  };
  const checkpoints = (async () => {
    for (let attempt = 0; !stopping.signal.aborted; ) {
      await clock.sleep(
        attempt === 0 ? (options.checkpointMs ?? 1_000) : backoffMs(attempt),
        stopping.signal,
      );
      if (stopping.signal.aborted || !isRunning) return;
      try {
        await takeCheckpoints();
        await checkTails(kafka, tasks, physicalName);
        attempt = 0;
        if (options.lagGroup !== null)
          await commitLag(kafka, options.lagGroup, tasks, physicalName).catch((error) =>
            log.debug('lag not shown', { error }),
          );
      } catch (error) {
        guard(() => {
          throw error;
        });
      }
    }
  })();

  // ---- start
  const admin = kafka.admin();
  try {
    for (const [name, { topic, partition, readers }] of inputs) {
      const offset = Math.min(...readers.map((task) => inboundOf(task, topic, partition)?.nextOffset ?? 0));
      fetcher.add(name.slice(0, name.lastIndexOf('/')), partition, offset);
    }
    for (const topic of control) {
      for (const { partition, end } of await admin.offsets(topic)) fetcher.add(topic, partition, end);
    }
  } finally {
    await admin.close();
  }
  schedule();

  return {
    tasks,
    failed,
    lag: () => tasks.reduce((sum, task) => sum + task.waiting, 0),
    isDrained: async () => {
      const steps = tasks.map(({ step }) => step).join();
      if (!(await isFolded(kafka, inputs)) || producer.pendingBytes > 0) return false;
      return tasks.map(({ step }) => step).join() === steps && tasks.every(({ waiting }) => waiting === 0);
    },
    stop: async () => {
      const wasRunning = isRunning;
      isRunning = false;
      stopping.abort();
      stopRepeating();
      cancelLook?.();
      await fetcher.close();
      await checkpoints;
      if (wasRunning)
        await takeCheckpoints().catch((error) => log.warn('no last checkpoint', { error: messageOf(error) }));
      await Promise.all([producer.close(), tickProducer.close()]);
      await Promise.all(tasks.map((task) => task.state.close()));
    },
  };
}

async function isFolded(
  kafka: Kafka,
  inputs: ReadonlyMap<string, { topic: string; partition: number; readers: readonly Task[] }>,
): Promise<boolean> {
  const admin = kafka.admin();
  try {
    for (const physical of new Set([...inputs.keys()].map((name) => name.slice(0, name.lastIndexOf('/'))))) {
      for (const { partition, end } of await admin.offsets(physical)) {
        const input = inputs.get(`${physical}/${partition}`);
        for (const task of input?.readers ?? []) {
          const inbound = task.inbounds.find(
            (one) => one.topic === input?.topic && one.partition === partition,
          );
          if (inbound !== undefined && inbound.nextOffset < end) return false;
        }
      }
    }
    return true;
  } finally {
    await admin.close();
  }
}

/** Throws SEQUENCE_GAP when a late tail is not late but lost: the partition was read to its end without it. */
async function checkTails(
  kafka: Kafka,
  tasks: readonly Task[],
  physicalName: (topic: string) => string,
): Promise<void> {
  for (const task of tasks) {
    for (const channel of task.lateTails()) {
      const { topic, partition } = channel;
      const admin = kafka.admin();
      const ends = await admin.offsets(physicalName(topic)).finally(() => admin.close());
      const end = ends.find((range) => range.partition === partition)?.end ?? 0;
      const inbound = task.inbounds.find((one) => one.topic === topic && one.partition === partition);
      // Asked for after the tick was seen: what it covers lies before this end.
      if (channel.pendingTick !== null && inbound !== undefined && inbound.nextOffset >= end)
        throw tailLost(channel);
    }
  }
}

/** `<folder>/<sub-topology>-<partition>`. */
export const stateFolder = (folder: string, { subTopology, partition }: TaskId): string =>
  join(folder, `${subTopology}-${partition}`);
