/** Who has come to a cut, as the changelogs say, and who is short of it. */
import type { Clock } from '#pipeline/clock.ts';
import { isPipelineError } from '#pipeline/errors.ts';
import type { Kafka } from '#pipeline/kafka/types.ts';
import type { CheckpointContents } from '#pipeline/runtime/checkpoint.ts';
import { changelogTopicName, type TaskId } from '#pipeline/runtime/graph.ts';
import { readPartition } from '#pipeline/runtime/read-topic.ts';
import { GroupAssembler } from '#pipeline/state/changelog.ts';
import type { Version } from './versions.ts';

export interface PlanReach {
  readonly kafka: Kafka;
  readonly physicalName: (topic: string) => string;
}

/** Tasks of the version before that have not come to the cut where the last of `versions` begins. */
export async function tasksShort(
  options: PlanReach,
  versions: readonly Version[],
): Promise<readonly TaskId[]> {
  const before = versions.at(-2);
  return before === undefined ? [] : tasksShortOf(options, tasksOf(before), versions.at(-1)?.epoch ?? 0);
}

/** As a version was described; none where it was not. */
export const tasksOf = ({ description }: Pick<Version, 'description'>): readonly TaskId[] =>
  (description?.subTopologies ?? []).flatMap(({ name, partitions }) =>
    Array.from({ length: partitions }, (_, partition) => ({ subTopology: name, partition })),
  );

/** Those whose changelog does not say that they are at the cut to the version of `epoch`. */
async function tasksShortOf(
  { kafka, physicalName }: PlanReach,
  tasks: readonly TaskId[],
  epoch: number,
): Promise<readonly TaskId[]> {
  const late: TaskId[] = [];
  for (const task of tasks) {
    const topic = physicalName(changelogTopicName(task.subTopology));
    const last = await lastContents(kafka, topic, task.partition);
    if ((last?.nextEpoch ?? last?.epoch ?? 0) < epoch) late.push(task);
  }
  return late;
}

const CUT_POLL_MS = 1_000;

/**
 * True when all these tasks, wherever they run, are at the cut to the version of `epoch`; false when the signal aborts. Who
 * shares tasks with others must not go before: one that another left short of the cut may be given to it.
 */
export async function untilAtCut(
  options: PlanReach & { readonly clock: Clock; readonly signal: AbortSignal },
  tasks: readonly TaskId[],
  epoch: number,
): Promise<boolean> {
  const { clock, signal } = options;
  let late = tasks;
  while (!signal.aborted) {
    try {
      late = await tasksShortOf(options, late, epoch);
    } catch (error) {
      if (!isPipelineError(error) || error.action !== 'retry') throw error;
    }
    if (late.length === 0) return true;
    await clock.sleep(CUT_POLL_MS, signal);
  }
  return false;
}

/** Of the highest complete step of a changelog; null: there is none. */
async function lastContents(
  kafka: Kafka,
  topic: string,
  partition: number,
): Promise<Pick<CheckpointContents, 'epoch' | 'nextEpoch'> | null> {
  for (;;) {
    try {
      const meta = await lastMeta(kafka, topic, partition);
      // Written by a checkpoint of this program.
      return meta === null ? null : (JSON.parse(meta) as CheckpointContents);
    } catch (error) {
      // Deleted while it was read, because a snapshot behind it says the same.
      if (!isPipelineError(error, 'OFFSET_OUT_OF_RANGE')) throw error;
    }
  }
}

async function lastMeta(kafka: Kafka, topic: string, partition: number): Promise<string | null> {
  const groups = new GroupAssembler();
  let meta: string | null = null;
  let step = -1;
  for await (const record of readPartition(kafka, topic, partition)) {
    const group = groups.add(record, `${topic}/${partition}/${record.offset}`);
    if (group === null || group.to < step) continue;
    step = group.to;
    ({ meta } = group);
  }
  return meta;
}
