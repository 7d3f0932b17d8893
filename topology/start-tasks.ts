/** Starts the tasks of a process: in the main thread, or in several of their own. */
import type { Clock } from '#pipeline/clock.ts';
import type { Kafka } from '#pipeline/kafka/types.ts';
import { taskName } from '#pipeline/runtime/graph.ts';
import { startProcessing } from '#pipeline/runtime/processing.ts';
import { type RunningTasks, runningIn } from '#pipeline/runtime/running-tasks.ts';
import type { Serde } from '#pipeline/serde/serde.ts';
import type { Metrics } from '#pipeline/telemetry/metrics.ts';
import { allTopics, graph } from './graph.ts';
import { notesIn, openStateIn } from './state-directory.ts';
import { startThreads, type ThreadsOptions } from './threads.ts';

export interface TasksOptions extends Omit<ThreadsOptions, 'topicNames' | 'metrics'> {
  /** 1: in the main thread, with its connections. */
  readonly threads: number;
  readonly kafka: Kafka;
  readonly serde: Serde;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly physicalName: (topic: string) => string;
}

/** Resolves when the first tasks run. */
export async function startTasks(options: TasksOptions): Promise<RunningTasks> {
  const { threads, tasks, physicalName } = options;
  if (threads > 1) {
    const names = [...allTopics.map(({ name }) => name), ...graph.engineTopics.keys()];
    return startThreads({
      ...options,
      topicNames: new Map(names.map((name) => [name, physicalName(name)])),
    });
  }
  const own = new Set(tasks.map(taskName));
  const processing = await startProcessing({
    ...options,
    graph,
    owns: (task) => own.has(taskName(task)),
    openState: openStateIn(options.stateDirectory),
    notes: notesIn(options.stateDirectory, options.log),
  });
  return runningIn(processing);
}
