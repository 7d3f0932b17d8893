/** A snapshot of a task's state in its changelog, and the deletion of what it makes needless (engine rules, 9.3). */
import { isPipelineError } from '#pipeline/errors.ts';
import type { Entry, Kafka, Producer } from '#pipeline/kafka/types.ts';
import { LAST_KEY, type StateBackend } from '#pipeline/state/backend.ts';
import { applicable, createGroupEncoder, GroupAssembler } from '#pipeline/state/changelog.ts';
import { META_KEY } from '#pipeline/state/task-state.ts';
import type { ChangelogWriter } from './checkpoint.ts';
import { readPartition } from './read-topic.ts';
import { LOCAL_PREFIX } from './restore.ts';
import type { Task } from './task.ts';

/** That may wait in memory. */
const MAX_UNSENT_BYTES = 1024 * 1024;

export interface SnapshotOptions {
  readonly task: Pick<Task, 'id' | 'logTimeMs'>;
  readonly backend: StateBackend;
  readonly log: ChangelogWriter;
  readonly topic: string;
  readonly producer: Producer;
}

/**
 * Writes what the backend holds, right after a checkpoint and before the next. Then deletes the changelog before it, but
 * only if what remains alone reaches the highest step that the whole does: a slow copy's own snapshot does not suffice.
 * Returns the size in bytes.
 */
export async function writeSnapshot(options: SnapshotOptions & { readonly kafka: Kafka }): Promise<number> {
  const { log } = options;
  const bytes = await appendSnapshot(options);
  if (bytes === 0) return 0;
  try {
    await deleteBefore(options, log.instance, log.groups);
  } catch (error) {
    // A copy of the task has deleted what was being read: then its snapshot stands, and this one is needless.
    if (!isPipelineError(error, 'OFFSET_OUT_OF_RANGE')) throw error;
  }
  return bytes;
}

/** Writes what the backend holds, and deletes nothing. Resolves with its bytes when it is acknowledged; 0: there is no state. */
export async function appendSnapshot(options: SnapshotOptions): Promise<number> {
  const { task, backend, log, topic, producer } = options;
  const { partition } = task.id;
  const meta = backend.get(META_KEY);
  if (meta === undefined) return 0;
  log.groups += 1;
  const group = {
    instance: log.instance,
    number: log.groups,
    from: log.lastStep,
    to: log.lastStep,
    kind: 'snapshot' as const,
  };
  const encoder = createGroupEncoder(group, { ...log, logTimeMs: task.logTimeMs });
  let bytes = 0;
  let acknowledged = 0;
  const append = (entry: Entry): void => {
    bytes += entry.value?.length ?? 0;
    producer.append(topic, partition, entry);
  };
  for await (const page of backend.pages('', LAST_KEY)) {
    for (const [key, value] of page) {
      if (key === META_KEY || key.startsWith(LOCAL_PREFIX)) continue;
      const full = encoder.add({ key, value });
      if (full !== null) append(full);
    }
    // In no hurry: little of it waits in memory, and the outputs of all tasks go between.
    if (bytes - acknowledged < MAX_UNSENT_BYTES) continue;
    await producer.acknowledged();
    acknowledged = bytes;
  }
  for (const entry of encoder.end(meta)) append(entry);
  await producer.acknowledged();
  log.bytesSinceSnapshot = 0;
  return bytes;
}

async function deleteBefore(
  { task, topic, kafka }: { task: Pick<Task, 'id'>; topic: string; kafka: Kafka },
  instance: string,
  number: number,
): Promise<void> {
  const { partition } = task.id;
  const whole = new GroupAssembler({ keeps: false });
  let first: number | null = null;
  const rest = new GroupAssembler({ keeps: false });
  let step = 0;
  let isCounted = false;
  for await (const record of readPartition(kafka, topic, partition)) {
    const place = `${topic}/${partition}/${record.offset}`;
    const complete = whole.add(record, place);
    if (complete?.instance === instance && complete.number === number) isCounted = true;
    if (first === null && isOf(record.headers, instance, number)) first = record.offset;
    const group = first === null ? null : rest.add(record, place);
    if (group !== null && applicable(group, step) !== null) step = group.to;
  }
  // Of a version that is over, it is nothing that others could begin with.
  if (first === null || !isCounted || step < whole.highest) return;
  // A copy may be in the midst of a group: cut in two, its next one would begin where nothing leads to.
  if (step < whole.highestCut(first)) return;
  const admin = kafka.admin();
  try {
    await admin.deleteRecords(topic, partition, first);
  } finally {
    await admin.close();
  }
}

const isOf = (headers: readonly (readonly [string, Buffer])[], instance: string, number: number): boolean =>
  headers.some(
    ([name, value]) => name === 'group' && value.toString('latin1').startsWith(`${instance};${number};`),
  );
