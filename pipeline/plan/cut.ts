/** Decides that another version begins: a record of the plan, up to which every old task folds (engine rules, 11.2). */

import type { Clock } from '#pipeline/clock.ts';
import { PipelineError } from '#pipeline/errors.ts';
import type { Kafka } from '#pipeline/kafka/types.ts';
import { type Graph, taskName } from '#pipeline/runtime/graph.ts';
import { appendDecision, shortVersion } from '#pipeline/runtime/plan.ts';
import type { Serde } from '#pipeline/serde/serde.ts';
import { type Plan, UNSAID } from '#schemas/plan.ts';
import type { Topic } from '#schemas/topics.ts';
import { compareVersions, droppedStores } from './compare.ts';
import { readDecisions } from './decisions.ts';
import { type Description, fingerprintOf } from './description.ts';
import { type PlanReach, tasksShort } from './short.ts';
import { type Version, versionsOf } from './versions.ts';

export interface CutOptions {
  readonly kafka: Kafka;
  readonly serde: Serde;
  /** The plan. */
  readonly topic: Topic;
  readonly physicalName: (topic: string) => string;
  readonly note: string | null;
  readonly clock: Clock;
}

export interface UpgradeOptions extends CutOptions {
  /** Of the new version. */
  readonly graph: Graph;
  readonly description: Description;
  /** `processor.store` that may begin anew. */
  readonly emptied: readonly string[];
}

/**
 * Appends "the next version begins here" and returns it. Nothing is changed when it throws UPGRADE_REFUSED: a change without
 * a path, the version before not described, a cut that is not reached yet, or somebody else who decided first.
 */
export async function upgrade(options: UpgradeOptions): Promise<Version> {
  const { topic, graph, description } = options;
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
  return decideCut(options, versions, {
    fingerprint,
    startOffsets: await startOffsets(options, graph, first),
    description: JSON.stringify(description),
    dropped: [...droppedStores(before, description)],
  });
}

/** Ends the last of `versions`. Throws UPGRADE_REFUSED when it has not begun everywhere, or somebody else decided first. */
export async function decideCut(
  options: CutOptions,
  versions: readonly Version[],
  next: Partial<Plan> & Pick<Plan, 'fingerprint'>,
): Promise<Version> {
  const { clock, note } = options;
  const present = versions.at(-1);
  if (present === undefined) throw new PipelineError('INVARIANT_BROKEN', 'a cut after no version');
  const late = (await tasksShort(options, versions)).map(taskName);
  if (late.length > 0)
    throw refused(
      `${late.join(', ')}: not yet at the cut to version ${shortVersion(present)}; keep the version before running until it says that it has ended there, or, where it cannot run any more, force that cut with the code of version ${present.epoch}: "baleen upgrade --force"`,
    );
  const atMs = clock.nowMs();
  const epoch = present.epoch + 1;
  await appendDecision(options, { ...UNSAID, ...next, kind: 'cut', epoch, atMs, note });
  const decided = versionsOf(await readDecisions(options)).find((version) => version.epoch === epoch);
  if (decided?.fingerprint !== next.fingerprint || decided.atMs !== atMs)
    throw refused(`another decision came first; "baleen plan" shows what was decided`);
  return decided;
}

/** Facts from their first on, the others from their present end. A topic that is not there yet begins at 0. */
async function startOffsets(
  { kafka, physicalName }: PlanReach,
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
