/**
 * The way out when the version before cannot come to its cut any more: the tasks that are short of it are brought there by
 * decree (engine rules, 11.3). It is not exactly once: what such a task wrote after its last checkpoint comes out twice.
 *
 * In this order, and whoever does it again ends with the same: the changelogs are closed for the version before,
 * so that its last checkpoints stay the last; a fence in each partition that the tasks write to, so that what it may still
 * write is passed over by all; the plan record; and in each changelog the state that the next version begins with.
 */

import type { Clock } from '#pipeline/clock.ts';
import { PipelineError } from '#pipeline/errors.ts';
import type { Kafka, Producer } from '#pipeline/kafka/types.ts';
import { type CheckpointContents, readCheckpoint } from '#pipeline/runtime/checkpoint.ts';
import {
  changelogTopicName,
  controlTopicName,
  type Graph,
  type TaskId,
  taskName,
} from '#pipeline/runtime/graph.ts';
import { readControlTick } from '#pipeline/runtime/outputs.ts';
import { appendDecision, type Genesis, shortVersion } from '#pipeline/runtime/plan.ts';
import { readPartition } from '#pipeline/runtime/read-topic.ts';
import { restore } from '#pipeline/runtime/restore.ts';
import { appendSnapshot } from '#pipeline/runtime/snapshot.ts';
import type { Serde } from '#pipeline/serde/serde.ts';
import type { StateBackend } from '#pipeline/state/backend.ts';
import { closingEntry, metaOperation } from '#pipeline/state/changelog.ts';
import { META_KEY } from '#pipeline/state/task-state.ts';
import { UNSAID } from '#schemas/plan.ts';
import type { Topic } from '#schemas/topics.ts';
import { crossCuts, knownFingerprints } from './beginning.ts';
import { readDecisions } from './decisions.ts';
import { begunByDecree } from './decree.ts';
import { type FencedWriter, putFences } from './fencing.ts';
import { tasksOf, tasksShort } from './short.ts';
import { type Version, versionsOf } from './versions.ts';

export interface ForceOptions {
  readonly kafka: Kafka;
  readonly serde: Serde;
  /** The plan. */
  readonly topic: Topic;
  readonly physicalName: (topic: string) => string;
  /** Of the version that goes on. */
  readonly graph: Graph;
  readonly clock: Clock;
  readonly note: string | null;
  /** Tells this attempt from all others, for ever; letters, digits and `-`. */
  readonly instance: string;
  /** An empty place for the state of a task while it is written. */
  readonly openScratch: (task: TaskId) => Promise<StateBackend>;
  /** How long the tasks must have been silent; they speak once a second while they run. Default 3 s; 0: not asked. */
  readonly silenceMs?: number;
}

/** What became of one task. */
export interface ForcedTask {
  readonly task: string;
  /** Records that it wrote after its last checkpoint, and that the next version may write again. */
  readonly repeated: number;
  /** It had no checkpoint, and begins empty. */
  readonly isEmpty: boolean;
}

const SILENCE_MS = 3_000;
/** Steps of a state by decree begin so much higher for each version: whatever the one before still writes is of lower ones. */
const STEPS_BY_DECREE = 1e12;
const SNAPSHOT_RECORD_BYTES = 512 * 1024;

/**
 * Forces the last cut of the plan for all tasks that are short of it, and returns these. Done again after it was cut short, it
 * goes on. Throws UPGRADE_REFUSED when there is no cut, or a task still runs as the version before.
 */
export async function forceCut(options: ForceOptions): Promise<readonly ForcedTask[]> {
  const { topic, clock } = options;
  const versions = versionsOf(await readDecisions(options));
  const [before, version] = [versions.at(-2), versions.at(-1)];
  if (before === undefined || version === undefined)
    throw refused(`${topic.name}: expected a cut to force, found none: decide one with "baleen upgrade"`);
  if (before.description === null)
    throw refused(
      `version ${shortVersion(before)} is not described in the plan, so its tasks are not known; start with --fresh`,
    );
  const short = await tasksShort(options, versions);
  if (short.length === 0) return [];
  await refuseRunning(options, before, short);
  const producer = options.kafka.producer();
  const states: FoundState[] = [];
  try {
    // Checkpoints before the fences: what they cover lies before these then, and none of it is lost.
    await closeChangelogs(options, producer, version, short);
    const late = await tasksShort(options, versions);
    if (late.length === 0) return [];
    for (const id of late) states.push(await findState(options, versions, id));
    const fenced = await putFences(
      { ...options, producer },
      { before, version, late: withExcluded(late, before, version) },
    );
    const fences = new Map(
      [...fenced].flatMap(([task, partitions]) =>
        partitions.map(({ name, offset }) => [`${name}/${task}`, offset] as const),
      ),
    );
    await appendDecision(options, {
      ...UNSAID,
      kind: 'force',
      epoch: version.epoch,
      fingerprint: version.fingerprint,
      atMs: clock.nowMs(),
      note: options.note,
      tasks: late.map(taskName),
      fences: Object.fromEntries([...fences].map(([name, offset]) => [name, BigInt(offset)])),
    });
    const done: ForcedTask[] = [];
    for (const state of states) {
      const tails = fenced.get(taskName(state.id)) ?? [];
      const genesis = genesisOf(versions);
      const step = STEPS_BY_DECREE * version.epoch;
      const contents = begunByDecree({ ...options, ...state, genesis, version, step, tails, fences });
      await crossCuts(state.backend, genesis, state.saved?.epoch ?? before.epoch, version.epoch);
      await writeState(options, producer, state, contents);
      done.push(forcedTask(state, tails));
    }
    return done;
  } finally {
    await producer.close();
    for (const { backend } of states) await backend.close();
  }
}

/** Whoever reads an excluded task must see where it ends, also where it came to the cut itself. */
function withExcluded(late: readonly TaskId[], before: Version, { excluded }: Version): readonly TaskId[] {
  const names = new Set([...late.map(taskName), ...excluded]);
  return tasksOf(before).filter((task) => names.has(taskName(task)));
}

/** One that runs may come to the cut by itself, and what it writes meanwhile would be lost. */
async function refuseRunning(options: ForceOptions, before: Version, late: readonly TaskId[]): Promise<void> {
  const { kafka, clock, physicalName, silenceMs = SILENCE_MS } = options;
  if (silenceMs === 0) return;
  const topics = [...new Set(late.map(({ subTopology }) => physicalName(controlTopicName(subTopology))))];
  const ends = new Map<string, number>();
  const admin = kafka.admin();
  try {
    for (const topic of topics) ends.set(topic, (await admin.offsets(topic))[0]?.end ?? 0);
  } finally {
    await admin.close();
  }
  await clock.sleep(silenceMs);
  const names = new Set(late.map(taskName));
  const running = new Set<string>();
  for (const [topic, end] of ends) {
    for await (const { value } of readPartition(kafka, topic, 0, end)) {
      const tick = readControlTick(value);
      if (tick !== null && tick.epoch <= before.epoch && names.has(tick.writer)) running.add(tick.writer);
    }
  }
  if (running.size > 0)
    throw refused(
      `${[...running].join(', ')}: still running as version ${shortVersion(before)}, and may come to the cut; wait until it has ended there, or stop it first`,
    );
}

/** What the version before still says of these tasks does not count from here on: also not that one is at the cut. */
async function closeChangelogs(
  { physicalName, instance }: ForceOptions,
  producer: Producer,
  { epoch, cut }: Version,
  tasks: readonly TaskId[],
): Promise<void> {
  const entry = closingEntry(epoch, `${instance}-c`, cut?.logTimeMs ?? 0);
  for (const { subTopology, partition } of tasks)
    producer.append(physicalName(changelogTopicName(subTopology)), partition, entry);
  await producer.acknowledged();
}

/** The last checkpoint of a task, and its state there. */
interface FoundState {
  readonly id: TaskId;
  /** Null: there is none. */
  readonly saved: CheckpointContents | null;
  readonly backend: StateBackend;
}

/** Of the version before the last. */
function genesisOf(versions: readonly Version[]): Genesis {
  const [first, before] = [versions[0], versions.at(-2)];
  if (first === undefined || before === undefined)
    throw new PipelineError('INVARIANT_BROKEN', 'a cut without a version before it');
  const { fingerprint, epoch } = before;
  return { fingerprint, epoch, startOffsets: first.startOffsets, versions };
}

async function findState(
  options: ForceOptions,
  versions: readonly Version[],
  id: TaskId,
): Promise<FoundState> {
  const { kafka, physicalName } = options;
  const genesis = genesisOf(versions);
  const backend = await options.openScratch(id);
  const topic = physicalName(changelogTopicName(id.subTopology));
  await restore({ ...genesis, kafka, topic, partition: id.partition, backend });
  return { id, backend, saved: readCheckpoint(backend.get(META_KEY), ...knownFingerprints(genesis)) };
}

/** Writes what a task begins with as a snapshot in its changelog. Another attempt writes the same, and the first holds. */
async function writeState(
  { physicalName, instance }: ForceOptions,
  producer: Producer,
  { id, backend }: FoundState,
  contents: CheckpointContents,
): Promise<void> {
  const topic = physicalName(changelogTopicName(id.subTopology));
  const log = {
    topic,
    producer,
    instance,
    lastStep: contents.step,
    groups: 0,
    bytesSinceSnapshot: 0,
    maxRecordBytes: SNAPSHOT_RECORD_BYTES,
  };
  await backend.write([metaOperation(JSON.stringify(contents))]);
  const task = { id, logTimeMs: contents.logTimeMs };
  await appendSnapshot({ task, backend, log, topic, producer });
}

const forcedTask = ({ id, saved }: FoundState, tails: readonly FencedWriter[]): ForcedTask => ({
  task: taskName(id),
  repeated: tails.reduce(
    (sum, { name, sequence }) => sum + sequence - (saved?.destinations[name]?.sequence ?? 0),
    0,
  ),
  isEmpty: saved === null,
});

const refused = (message: string): PipelineError => new PipelineError('UPGRADE_REFUSED', message);
