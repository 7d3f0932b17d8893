/** Opens a task with its state as of the highest step that is known anywhere: on this disk, or in its changelog. */
import { isPipelineError, messageOf, PipelineError } from '#pipeline/errors.ts';
import type { Kafka, Producer } from '#pipeline/kafka/types.ts';
import { writerName } from '#pipeline/merge/position.ts';
import { crossCuts, knownFingerprints, standingOf } from '#pipeline/plan/beginning.ts';
import { readDecisions } from '#pipeline/plan/decisions.ts';
import { versionsOf } from '#pipeline/plan/versions.ts';
import type { Serde } from '#pipeline/serde/serde.ts';
import type { StateBackend } from '#pipeline/state/backend.ts';
import { loadState, META_KEY } from '#pipeline/state/task-state.ts';
import type { Log } from '#pipeline/telemetry/log.ts';
import type { Metrics } from '#pipeline/telemetry/metrics.ts';
import { readCheckpoint } from './checkpoint.ts';
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

/**
 * A task, or what its state says about it: `early`, the version before has not brought it to the cut where this one begins:
 * try again later; `over`, a later version has gone on from it, and nothing is left to do for this one.
 */
export type Opened = KeptTask | 'early' | 'over';

/**
 * `instance` is that of this opening: a task that left and came back begins its changelog groups anew. Throws
 * CUT_NOT_REACHED where there is no changelog through which an early state could come to the cut.
 */
export async function openTask(options: OpenTaskOptions, id: TaskId, producer: Producer): Promise<Opened> {
  const { genesis, graph } = options;
  try {
    return await openAnyhow(options, id, producer);
  } catch (error) {
    if (!isPipelineError(error, 'FINGERPRINT_CHANGED') || genesis.versions === undefined) throw error;
    // Decided since this process started, perhaps: the plan as it is now must know the version of this state.
    const versions = versionsOf(await readDecisions({ ...options, topic: graph.planTopic }));
    return openAnyhow({ ...options, genesis: { ...genesis, versions } }, id, producer);
  }
}

/** Even where the folder is damaged. */
async function openAnyhow(options: OpenTaskOptions, id: TaskId, producer: Producer): Promise<Opened> {
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
): Promise<Opened> {
  const { graph, genesis, physicalName, instance } = options;
  const node = graph.nodes.find(({ name }) => name === id.subTopology);
  if (node === undefined) throw new PipelineError('INVARIANT_BROKEN', `no sub-topology ${id.subTopology}`);
  const topic = options.hasChangelog === false ? null : physicalName(node.changelogTopic);
  if (topic !== null) await restoreMeasured(backend, options, id, topic);
  const saved = readCheckpoint(backend.get(META_KEY), ...knownFingerprints(genesis));
  const standing = standingOf(saved, genesis, id.subTopology);
  if (standing === 'early' && topic === null)
    throw notAtCut(writerName(id.subTopology, id.partition), genesis.epoch);
  if (standing !== 'ready') {
    await backend.close();
    return standing;
  }
  if (saved !== null) await crossCuts(backend, genesis, saved.epoch, genesis.epoch);
  const task = createTask({
    ...options,
    id,
    node,
    producer,
    backend,
    skips: genesis.skips ?? [],
    maxRecordBytes: MAX_RECORD_BYTES,
  });
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

const notAtCut = (task: string, epoch: number): PipelineError =>
  new PipelineError(
    'CUT_NOT_REACHED',
    `${task}: expected its state at the cut to version ${epoch}, found it before; start version ${epoch - 1} until it says that it has ended there`,
  );

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
    const done = await restore({ ...genesis, kafka, topic, partition, backend, onProgress });
    onRestore(id, { ...done, isDone: true });
  } finally {
    stopSampling();
  }
}
