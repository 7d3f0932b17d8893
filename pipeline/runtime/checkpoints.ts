/** When checkpoints are taken, one task after the other, and what hangs on them: snapshots, tails, lag. */
import { backoffMs, type Clock } from '#pipeline/clock.ts';
import type { Kafka, Producer } from '#pipeline/kafka/types.ts';
import { tailLost } from '#pipeline/merge/tails.ts';
import type { StateBackend } from '#pipeline/state/backend.ts';
import type { Log } from '#pipeline/telemetry/log.ts';
import type { Metrics } from '#pipeline/telemetry/metrics.ts';
import { type ChangelogWriter, checkpoint } from './checkpoint.ts';
import { commitLag } from './lag.ts';
import type { Limits } from './limits.ts';
import { writeSnapshot } from './snapshot.ts';
import type { Task } from './task.ts';

/** A task with where its state rests. */
export interface KeptTask {
  readonly task: Task;
  readonly backend: StateBackend;
  readonly log: ChangelogWriter;
}

/** It came to the cut where the next version begins, and its state there is safe. */
export const isAtCut = ({ task, log }: KeptTask): boolean =>
  task.ended !== null && log.lastStep === task.step;

export interface CheckpointsOptions {
  /** Those that run at present. */
  readonly kept: readonly KeptTask[];
  readonly kafka: Kafka;
  readonly producer: Producer;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly physicalName: (topic: string) => string;
  readonly lagGroup: string | null;
  readonly everyMs: number;
  readonly limits: Limits;
  /** After each round of checkpoints. */
  readonly afterRound: () => void;
  /** Ends processing. */
  readonly fail: (error: unknown) => void;
}

/** What is safe of a task. */
export interface CommittedStep {
  readonly step: number;
  /** Wall clock of the checkpoint; null: taken before this start. */
  readonly atMs: number | null;
}

export interface Checkpoints {
  last(task: KeptTask): CommittedStep;
  /** One more of a task that is leaving, and none of it afterwards. It must not fold meanwhile. */
  leave(one: KeptTask): Promise<void>;
  /** Ends the cadence; with `last` takes one more of each task. */
  stop(last: boolean): Promise<void>;
}

export function startCheckpoints(options: CheckpointsOptions): Checkpoints {
  const { kept, kafka, clock, log, metrics, physicalName } = options;
  const stopping = new AbortController();
  const snapshotSizes = new WeakMap<Task, number>();
  const committedAtMs = new WeakMap<KeptTask, number>();
  const left = new WeakSet<KeptTask>();
  let busy: Promise<unknown> = Promise.resolve();

  /** One task after the other, whoever asks. */
  const alone = (work: () => Promise<void>): Promise<void> => {
    const done = busy.then(work);
    busy = done.catch(() => {});
    return done;
  };

  const take = async (one: KeptTask): Promise<void> => {
    const { subTopology: subtopology } = one.task.id;
    const stages = checkpoint(one.task, one.log);
    let sinceMs = metrics.timeMs();
    for (let next = stages.next(); next.done !== true; next = stages.next()) {
      const stage = next.value;
      if (stage.wait === 'acknowledged') await options.producer.acknowledged();
      else {
        await persist(() => one.backend.write(stage.operations));
        for (const [first, end] of stage.dropped) await persist(() => one.backend.clear(first, end));
        metrics.add('commits_total', { subtopology });
        committedAtMs.set(one, clock.nowMs());
      }
      const nowMs = metrics.timeMs();
      metrics.observe(
        'commit_latency_seconds',
        { subtopology, stage: stage.name },
        (nowMs - sinceMs) / 1_000,
      );
      sinceMs = nowMs;
    }
  };

  /** What was captured stays captured: a write that failed is tried again as it was. */
  const persist = async (write: () => Promise<void>): Promise<void> => {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await write();
      } catch (error) {
        if (stopping.signal.aborted) throw error;
        if (attempt % 10 === 0)
          log.warn('state cannot be written, trying again; is the disk full?', { error });
        await clock.sleep(backoffMs(attempt), stopping.signal);
      }
    }
  };

  const snapshot = async (one: KeptTask): Promise<void> => {
    const threshold = Math.max(options.limits.snapshotBytes, 2 * (snapshotSizes.get(one.task) ?? 0));
    if (one.log.topic === null || one.log.bytesSinceSnapshot < threshold) return;
    const topic = one.log.topic;
    const size = await writeSnapshot({ ...options, ...one, topic });
    snapshotSizes.set(one.task, size);
  };

  const round = async (): Promise<void> => {
    for (const one of [...kept]) {
      await alone(async () => {
        if (left.has(one)) return;
        await take(one);
        await snapshot(one);
      });
    }
    const tasks = kept.map(({ task }) => task);
    await checkTails(options, tasks);
    options.afterRound();
    if (options.lagGroup === null) return;
    await commitLag(kafka, options.lagGroup, tasks, physicalName).catch((error) =>
      log.debug('lag not shown', { error }),
    );
  };

  const running = (async () => {
    while (!stopping.signal.aborted) {
      await clock.sleep(options.everyMs, stopping.signal);
      if (!stopping.signal.aborted) await round();
    }
  })().catch(options.fail);

  return {
    last: (one) => ({ step: one.log.lastStep, atMs: committedAtMs.get(one) ?? null }),
    leave: (one) =>
      alone(async () => {
        if (left.has(one)) return;
        await take(one);
        left.add(one);
      }),
    stop: async (last) => {
      stopping.abort();
      await running;
      if (last) for (const one of [...kept]) await alone(() => take(one));
    },
  };
}

/** Throws SEQUENCE_GAP when a late tail is not late but lost: the partition was read to its end without it. */
async function checkTails(
  { kafka, producer, physicalName }: Pick<CheckpointsOptions, 'kafka' | 'producer' | 'physicalName'>,
  tasks: readonly Task[],
): Promise<void> {
  for (const task of tasks) {
    for (const channel of task.lateTails()) {
      const { topic, partition, unseen } = channel;
      const missing = unseen.first;
      // What came by memory may still be on its way there.
      if (missing !== undefined) await producer.acknowledged();
      const admin = kafka.admin();
      const ends = await admin.offsets(physicalName(topic)).finally(() => admin.close());
      const end = ends.find((range) => range.partition === partition)?.end ?? 0;
      const inbound = task.inbounds.find((one) => one.topic === topic && one.partition === partition);
      // Asked for after the tick was seen, or the record acknowledged: what it covers lies before this end.
      const isMissing = channel.pendingTick !== null || (missing !== undefined && unseen.first === missing);
      if (isMissing && inbound !== undefined && inbound.nextOffset >= end) throw tailLost(channel);
    }
  }
}
