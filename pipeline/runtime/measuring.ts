/** What is measured beside the work: gauges when somebody asks for them, and the way of a record by samples. */
import type { Clock } from '#pipeline/clock.ts';
import type { Producer } from '#pipeline/kafka/types.ts';
import type { Metrics } from '#pipeline/telemetry/metrics.ts';
import type { KeptTask } from './checkpoints.ts';
import type { Inputs } from './inputs.ts';
import type { Task } from './task.ts';
import type { Waits } from './waits.ts';

/** Gives the gauges of tasks until the returned function is called. */
export function measureTasks(options: {
  readonly kept: readonly KeptTask[];
  readonly inputs: Inputs;
  readonly waits: Waits;
  readonly metrics: Metrics;
  readonly clock: Pick<Clock, 'nowMs'>;
}): () => void {
  const { kept, inputs, waits, metrics, clock } = options;
  return metrics.sample(async (set) => {
    for (const [subtopology, members] of Map.groupBy(kept, ({ task }) => task.id.subTopology)) {
      const sum = (of: (task: Task) => number) => members.reduce((total, { task }) => total + of(task), 0);
      set('lag_records', { subtopology }, sum(inputs.lag));
      set(
        'buffered_records',
        { subtopology },
        sum(({ waiting }) => waiting),
      );
      set('buffered_bytes', { subtopology }, sum(waitingBytes));
      set(
        'halted_tasks',
        { subtopology },
        sum(({ halted }) => (halted === null ? 0 : 1)),
      );
    }
    const nowMs = clock.nowMs();
    for (const { task, waitsFor, sinceMs } of waits.list()) {
      if (waitsFor === null || sinceMs === null) continue;
      set('merge_wait_seconds', { task, waits_for: waitsFor }, Math.max(0, nowMs - sinceMs) / 1_000);
    }
    for (const { task, backend } of kept) {
      const bytes = await backend.sizeBytes?.();
      if (bytes !== undefined) set('state_bytes', { task: task.writer }, bytes);
    }
  });
}

const waitingBytes = ({ inbounds }: Task): number =>
  inbounds.reduce((sum, inbound) => sum + inbound.waitingBytes, 0);

/**
 * Measures how long inputs take to become acknowledged outputs. To be called after each turn; one measurement at a time, so that
 * it costs the same whatever the load.
 */
export function measureLatency(options: {
  readonly tasks: readonly Task[];
  readonly producer: Pick<Producer, 'acknowledged'>;
  readonly metrics: Metrics;
  readonly clock: Pick<Clock, 'nowMs'>;
}): () => void {
  const { tasks, producer, metrics, clock } = options;
  const steps = new WeakMap<Task, number>();
  let isUnderWay = false;
  return () => {
    if (isUnderWay) return;
    const moved: { readonly subtopology: string; readonly logTimeMs: number }[] = [];
    for (const task of tasks) {
      const before = steps.get(task);
      if (before === task.step) continue;
      steps.set(task, task.step);
      // Opened just now: what it did before was measured elsewhere.
      if (before === undefined) continue;
      moved.push({ subtopology: task.id.subTopology, logTimeMs: task.logTimeMs });
    }
    if (moved.length === 0) return;
    isUnderWay = true;
    producer.acknowledged().then(
      () => {
        isUnderWay = false;
        const nowMs = clock.nowMs();
        for (const { subtopology, logTimeMs } of moved)
          metrics.observe(
            'record_e2e_latency_seconds',
            { subtopology },
            Math.max(0, nowMs - logTimeMs) / 1_000,
          );
      },
      // The producer failed: whoever hands it records hears of it.
      () => {},
    );
  };
}
