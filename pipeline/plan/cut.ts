/** Decides that another version begins: a record of the plan, up to which every old task folds (engine rules, 11.2). */

import type { Clock } from '#pipeline/clock.ts';
import { isPipelineError, PipelineError } from '#pipeline/errors.ts';
import type { Kafka } from '#pipeline/kafka/types.ts';
import type { CheckpointContents } from '#pipeline/runtime/checkpoint.ts';
import { changelogTopicName, type Graph, type TaskId, taskName } from '#pipeline/runtime/graph.ts';
import { appendDecision, shortVersion } from '#pipeline/runtime/plan.ts';
import { readPartition } from '#pipeline/runtime/read-topic.ts';
import type { Serde } from '#pipeline/serde/serde.ts';
import { GroupAssembler } from '#pipeline/state/changelog.ts';
import { UNSAID } from '#schemas/plan.ts';
import type { Topic } from '#schemas/topics.ts';
import { compareVersions, droppedStores } from './compare.ts';
import { readDecisions } from './decisions.ts';
import { type Description, fingerprintOf } from './description.ts';
import { type Version, versionsOf } from './versions.ts';

export interface UpgradeOptions {
  readonly kafka: Kafka;
  readonly serde: Serde;
  /** The plan. */
  readonly topic: Topic;
  readonly physicalName: (topic: string) => string;
  /** Of the new version. */
  readonly graph: Graph;
  readonly description: Description;
  /** `processor.store` that may begin anew. */
  readonly emptied: readonly string[];
  readonly note: string | null;
  readonly clock: Clock;
}

/**
 * Appends "the next version begins here" and returns it. Nothing is changed when it throws UPGRADE_REFUSED: a change without
 * a path, the version before not described, a cut that is not reached yet, or somebody else who decided first.
 */
export async function upgrade(options: UpgradeOptions): Promise<Version> {
  const { topic, graph, description, clock, note } = options;
  const fingerprint = fingerprintOf(description);
  const versions = versionsOf(await readDecisions(options));
  const present = versions.at(-1);
  const [first] = versions;
  if (present === undefined || first === undefined)
    throw refused(`${topic.name}: nothing runs yet: there is nothing to go over from; start this version`);
  if (present.fingerprint === fingerprint)
    throw refused(`${topic.name}: version ${shortVersion(present)} is this one already`);
  const before = present.description;
  if (before === null)
    throw refused(
      `version ${shortVersion(present)} is not described in the plan, so what changed cannot be known; start with --fresh`,
    );
  const past = versions.slice(0, -1).flatMap((version) => version.description ?? []);
  const problems = compareVersions({ ...options, before, after: description, past }).filter(
    ({ path }) => path === 'refused',
  );
  if (problems.length > 0)
    throw refused(problems.map(({ kind, name, hint }) => `${kind} ${name}: ${hint}`).join('; '));
  const late = (await tasksShort(options, versions)).map(taskName);
  if (late.length > 0)
    throw refused(
      `${late.join(', ')}: not yet at the cut to version ${shortVersion(present)}; keep the version before running until it says that it has ended there, or, where it cannot run any more, force that cut with the code of version ${present.epoch}: "baleen upgrade --force"`,
    );
  await appendDecision(options, {
    ...UNSAID,
    kind: 'cut',
    epoch: present.epoch + 1,
    fingerprint,
    startOffsets: await startOffsets(options, graph, first),
    atMs: clock.nowMs(),
    note,
    description: JSON.stringify(description),
    dropped: [...droppedStores(before, description)],
  });
  const decided = versionsOf(await readDecisions(options)).find(({ epoch }) => epoch === present.epoch + 1);
  if (decided?.fingerprint !== fingerprint)
    throw refused(`another upgrade came first; "baleen diff" shows what runs now`);
  return decided;
}

/** Tasks of the version before that have not come to the cut where the last of `versions` begins. */
export async function tasksShort(
  options: Pick<UpgradeOptions, 'kafka' | 'physicalName'>,
  versions: readonly Version[],
): Promise<readonly TaskId[]> {
  const before = versions.at(-2)?.description?.subTopologies ?? [];
  const tasks = before.flatMap(({ name, partitions }) =>
    Array.from({ length: partitions }, (_, partition) => ({ subTopology: name, partition })),
  );
  return tasksShortOf(options, tasks, versions.at(-1)?.epoch ?? 0);
}

/** Those whose changelog does not say that they are at the cut to the version of `epoch`. */
async function tasksShortOf(
  { kafka, physicalName }: Pick<UpgradeOptions, 'kafka' | 'physicalName'>,
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
  options: Pick<UpgradeOptions, 'kafka' | 'physicalName' | 'clock'> & { readonly signal: AbortSignal },
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

/** Facts from their first on, the others from their present end. A topic that is not there yet begins at 0. */
async function startOffsets(
  { kafka, physicalName }: Pick<UpgradeOptions, 'kafka' | 'physicalName'>,
  graph: Graph,
  first: Version,
): Promise<Record<string, bigint>> {
  const offsets: Record<string, bigint> = {};
  const admin = kafka.admin();
  try {
    const existing = await admin.topics();
    for (const { name, layer, partitions } of graph.topics) {
      if (layer !== 'raw' && layer !== 'fact' && layer !== 'history') continue;
      const ranges = existing.has(physicalName(name))
        ? await admin.offsets(physicalName(name))
        : Array.from({ length: partitions }, (_, partition) => ({ partition, start: 0, end: 0 }));
      for (const { partition, start, end } of ranges) {
        const key = `${name}/${partition}`;
        offsets[key] = BigInt(layer === 'fact' ? (first.startOffsets.get(key) ?? start) : end);
      }
    }
  } finally {
    await admin.close();
  }
  return offsets;
}

const refused = (message: string): PipelineError => new PipelineError('UPGRADE_REFUSED', message);
