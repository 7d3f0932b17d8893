/** Opens a task with its state as of the highest step that is known anywhere: on this disk, or in its changelog. */
import { isPipelineError, messageOf, PipelineError } from '#pipeline/errors.ts';
import type { Kafka, Producer } from '#pipeline/kafka/types.ts';
import { writerName } from '#pipeline/merge/position.ts';
import type { Serde } from '#pipeline/serde/serde.ts';
import type { StateBackend } from '#pipeline/state/backend.ts';
import { loadState } from '#pipeline/state/task-state.ts';
import type { Log } from '#pipeline/telemetry/log.ts';
import type { Metrics } from '#pipeline/telemetry/metrics.ts';
import type { KeptTask } from './checkpoints.ts';
import type { Graph, TaskId } from './graph.ts';
import type { Genesis } from './plan.ts';
import { type RestoreProgress, restore } from './restore.ts';
import { createTask, type TaskOptions } from './task.ts';
import { MAX_RECORD_BYTES } from './topic-settings.ts';

/** `damaged`: what was there cannot be read and must be put aside; the state is made again from the changelog. */
export type OpenState = (task: TaskId, found?: 'damaged') => Promise<StateBackend>;

export interface TaskRestore extends RestoreProgress {
  /** The task is open; called once more with this. */
  readonly isDone: boolean;
}

export interface OpenTaskOptions extends Pick<TaskOptions, 'clock' | 'physicalName' | 'limits' | 'hop'> {
  readonly kafka: Kafka;
  readonly graph: Graph;
  readonly genesis: Genesis;
  readonly serde: Serde;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly openState: OpenState;
  readonly instance: string;
  readonly hasChangelog?: boolean;
  readonly onRestore?: (task: TaskId, progress: TaskRestore) => void;
}

/** `instance` is that of this opening: a task that left and came back begins its changelog groups anew. */
export async function openTask(options: OpenTaskOptions, id: TaskId, producer: Producer): Promise<KeptTask> {
  let backend: StateBackend | null = null;
  try {
    backend = await options.openState(id);
    return await openOver(backend, options, id, producer);
  } catch (error) {
    await backend?.close().catch(() => {});
    if (!isPipelineError(error, 'STATE_UNREADABLE') || error.facts['isDamaged'] !== true) throw error;
    const { subTopology: subtopology, partition } = id;
    options.metrics.add('state_rebuilds_total', { subtopology });
    options.log.warn('the state of a task is damaged; put aside, and made again from its changelog', {
      task: writerName(subtopology, partition),
      error: messageOf(error),
    });
  }
  const empty = await options.openState(id, 'damaged');
  return openOver(empty, options, id, producer).catch(async (error: unknown) => {
    await empty.close().catch(() => {});
    throw error;
  });
}

async function openOver(
  backend: StateBackend,
  options: OpenTaskOptions,
  id: TaskId,
  producer: Producer,
): Promise<KeptTask> {
  const { graph, physicalName, instance } = options;
  const node = graph.nodes.find(({ name }) => name === id.subTopology);
  if (node === undefined) throw new PipelineError('INVARIANT_BROKEN', `no sub-topology ${id.subTopology}`);
  const topic = options.hasChangelog === false ? null : physicalName(node.changelogTopic);
  if (topic !== null) await restoreMeasured(backend, options, id, topic);
  const task = createTask({ ...options, id, node, producer, backend, maxRecordBytes: MAX_RECORD_BYTES });
  await loadState(task.state, backend);
  return {
    task,
    backend,
    log: {
      topic,
      producer,
      instance,
      lastStep: task.step,
      groups: 0,
      bytesSinceSnapshot: 0,
      maxRecordBytes: options.limits.changelogRecordBytes,
    },
  };
}

async function restoreMeasured(
  backend: StateBackend,
  { kafka, genesis, metrics, onRestore = () => {} }: OpenTaskOptions,
  id: TaskId,
  topic: string,
): Promise<void> {
  const { subTopology: subtopology, partition } = id;
  let last: RestoreProgress = { remaining: 0, entries: 0, bytes: 0 };
  const onProgress = (progress: RestoreProgress): void => {
    metrics.add('restored_entries_total', { subtopology }, progress.entries - last.entries);
    metrics.add('restored_bytes_total', { subtopology }, progress.bytes - last.bytes);
    last = progress;
    onRestore(id, { ...progress, isDone: false });
  };
  const stopSampling = metrics.sample((set) =>
    set('restore_remaining_records', { task: writerName(subtopology, partition) }, last.remaining),
  );
  try {
    const { fingerprint } = genesis;
    const done = await restore({ kafka, topic, partition, backend, fingerprint, onProgress });
    onRestore(id, { ...done, isDone: true });
  } finally {
    stopSampling();
  }
}
