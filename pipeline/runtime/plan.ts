/** The plan at a start: what the pipeline began with, and which of its versions this process is (engine rules, section 2). */
import type { Clock } from '#pipeline/clock.ts';
import { PipelineError } from '#pipeline/errors.ts';
import type { Kafka } from '#pipeline/kafka/types.ts';
import { encodeDecision, readDecisions } from '#pipeline/plan/decisions.ts';
import type { Description } from '#pipeline/plan/description.ts';
import { tasksShort } from '#pipeline/plan/short.ts';
import { type Version, versionsOf } from '#pipeline/plan/versions.ts';
import { type Skip, skipsOf } from '#pipeline/poison/skips.ts';
import type { Serde } from '#pipeline/serde/serde.ts';
import { type Plan, UNSAID } from '#schemas/plan.ts';
import type { Topic } from '#schemas/topics.ts';
import { type Graph, taskName } from './graph.ts';

/** What the pipeline began with, and which version of it runs here. */
export interface Genesis {
  readonly fingerprint: string;
  readonly epoch: number;
  /** `topic/partition` -> first offset of each raw, fact and history partition. */
  readonly startOffsets: ReadonlyMap<string, number>;
  /** All versions of the plan; absent: this one alone, from the first record on. */
  readonly versions?: readonly Version[];
  /** What the plan passes over; absent: nothing that was known at the start. */
  readonly skips?: readonly Skip[];
}

export interface PlanOptions {
  readonly kafka: Kafka;
  readonly serde: Serde;
  readonly graph: Graph;
  readonly topic: Topic;
  readonly physicalName: (topic: string) => string;
  readonly fingerprint: string;
  readonly clock: Clock;
  /** Kept beside the fingerprint, for `baleen diff`. */
  readonly description?: Description;
  /**
   * As if this version had been there from the first record on: for a replay, which writes topics of its own and passes
   * over the cuts.
   */
  readonly fromGenesis?: boolean;
}

/** A genesis as it stands in the plan. */
export interface FoundGenesis extends Genesis {
  /** Tells one beginning from another, as after topics were made anew; the same for all versions. */
  readonly name: string;
}

/**
 * Reads the plan, or writes the genesis when it is empty. When two processes write it at once, the first one in the
 * log holds for both. Throws FINGERPRINT_CHANGED when this version is none of the plan's.
 */
export async function openPlan(options: PlanOptions): Promise<FoundGenesis> {
  const { topic, fingerprint } = options;
  let decisions = await readDecisions(options);
  if (versionsOf(decisions).length === 0) {
    await writeGenesis(options);
    decisions = await readDecisions(options);
  }
  const versions = versionsOf(decisions);
  const [first] = versions;
  const present = versions.at(-1);
  if (first === undefined || present === undefined)
    throw new PipelineError(
      'INVARIANT_BROKEN',
      `${topic.name}: the genesis was acknowledged but is not there`,
    );
  const own = await ownOf(options, versions);
  if (own === undefined) {
    throw new PipelineError(
      'FINGERPRINT_CHANGED',
      `${topic.name}: version ${shortVersion(present)} runs there, this is ${fingerprint.slice(0, 12)} (code, schemas, partitions or Node differ); "baleen diff" says what differs, "baleen upgrade" goes over to this one, --fresh starts with new topics`,
    );
  }
  const { epoch } = own;
  const name = `${first.fingerprint} ${first.atMs}`;
  const skips = skipsOf(decisions);
  const base = { name, fingerprint, epoch, startOffsets: first.startOffsets, skips };
  return options.fromGenesis === true ? base : { ...base, versions };
}

/**
 * Of this fingerprint the last. Where the version before it is the same code, and tasks are short of the cut that only that one
 * can bring there, it is that one: its end is near, and the next start is the last.
 */
async function ownOf(options: PlanOptions, versions: readonly Version[]): Promise<Version | undefined> {
  const { fingerprint } = options;
  const own = versions.findLast((version) => version.fingerprint === fingerprint);
  const before = versions.at(-2);
  if (own !== versions.at(-1) || before?.fingerprint !== fingerprint) return own;
  const short = await tasksShort(options, versions);
  return short.some((task) => !before.excluded.includes(taskName(task))) ? before : own;
}

/** As people read it: epoch and the beginning of the fingerprint. */
export const shortVersion = ({ epoch, fingerprint }: Pick<Version, 'epoch' | 'fingerprint'>): string =>
  `${epoch} (${fingerprint.slice(0, 12)})`;

async function writeGenesis(options: PlanOptions): Promise<void> {
  const { kafka, graph, physicalName, clock, fingerprint, description } = options;
  const startOffsets: Record<string, bigint> = {};
  const admin = kafka.admin();
  try {
    for (const input of graph.topics.filter(
      ({ layer }) => layer === 'raw' || layer === 'fact' || layer === 'history',
    )) {
      for (const { partition, start } of await admin.offsets(physicalName(input.name))) {
        startOffsets[`${input.name}/${partition}`] = BigInt(start);
      }
    }
  } finally {
    await admin.close();
  }
  await appendDecision(options, {
    ...UNSAID,
    kind: 'genesis',
    epoch: 1,
    fingerprint,
    startOffsets,
    atMs: clock.nowMs(),
    description: description === undefined ? null : JSON.stringify(description),
  });
}

/** Resolves when it is acknowledged; whether it holds shows in the plan: another may have come first. */
export async function appendDecision(
  { kafka, serde, topic, physicalName }: Pick<PlanOptions, 'kafka' | 'serde' | 'topic' | 'physicalName'>,
  decision: Plan,
): Promise<void> {
  const producer = kafka.producer();
  try {
    await producer.send(physicalName(topic.name), 0, {
      timestampMs: decision.atMs,
      key: Buffer.from(decision.kind),
      value: encodeDecision(serde, topic, decision),
      headers: [],
    });
  } finally {
    await producer.close();
  }
}
