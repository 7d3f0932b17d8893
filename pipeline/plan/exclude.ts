/**
 * The way out when one task, or one partition of a raw topic, stands still and all that is downstream of it waits (engine
 * rules, 11.6): the same version goes on without it, from a cut on, and takes it in again at a later cut.
 *
 * Whoever reads an excluded task had folded all of it when it came to the cut; who could not come there, because it waited, is
 * brought there by force (`force.ts`) and folds the rest up to the fence first. A partition of a raw topic is not read at all. When
 * it returns, what it has that was not folded counts as of that cut.
 */
import { untilAborted } from '#pipeline/clock.ts';
import { PipelineError } from '#pipeline/errors.ts';
import { type Graph, taskName } from '#pipeline/runtime/graph.ts';
import { shortVersion } from '#pipeline/runtime/plan.ts';
import { type CutOptions, decideCut } from './cut.ts';
import { readDecisions } from './decisions.ts';
import { type ForcedTask, type ForceOptions, forceCut } from './force.ts';
import { tasksShort } from './short.ts';
import { type Version, versionsOf } from './versions.ts';

export interface ExcludeOptions extends CutOptions {
  readonly graph: Graph;
  /** Tasks (`detect-2`) and partitions of raw topics (`raw.trades.v1/3`) that are left out, or taken in again. */
  readonly names: readonly string[];
}

/** From a cut that begins now, the version goes on without these. Throws UPGRADE_REFUSED, and nothing is decided then. */
export async function exclude(options: ExcludeOptions): Promise<Version> {
  const { names } = options;
  refuseUnknown(options);
  const present = await readPresent(options);
  const { excluded } = present.last;
  const twice = names.filter((name) => excluded.includes(name));
  if (twice.length > 0) throw refused(`${twice.join(', ')}: excluded already; "baleen plan" says since when`);
  return decideExcluded(options, present, [...excluded, ...names]);
}

/** Throws UPGRADE_REFUSED when one of these can never be excluded. */
export function refuseUnknown({ graph, names }: Pick<ExcludeOptions, 'graph' | 'names'>): void {
  const known = excludable(graph);
  const unknown = names.filter((name) => !known.has(name));
  if (unknown.length > 0)
    throw refused(
      `${unknown.join(', ')}: expected a task such as ${[...known][0]}, or a partition of a raw topic; "baleen status" lists who waits for whom`,
    );
}

/**
 * From a cut that begins now, the version goes on with these again. Their state is brought there by `bringBack`.
 * Throws UPGRADE_REFUSED when one is not excluded, or as above.
 */
export async function takeIn(options: ExcludeOptions): Promise<Version> {
  const present = await readPresent(options);
  const { excluded } = present.last;
  const others = options.names.filter((name) => !excluded.includes(name));
  if (others.length > 0)
    throw refused(
      `${others.join(', ')}: expected what is excluded (${excluded.join(', ') || 'nothing is'}); "baleen plan" lists the decisions`,
    );
  return decideExcluded(
    options,
    present,
    excluded.filter((name) => !options.names.includes(name)),
  );
}

const POLL_MS = 1_000;

/**
 * Waits until all that run have come to the last cut, and brings those there that the version before did without: from where
 * they stood when they were excluded. `onWait` hears who is short of it. Done again after it was cut short, it goes on.
 */
export async function bringBack(
  options: ForceOptions & {
    readonly signal: AbortSignal;
    readonly onWait?: (names: readonly string[]) => void;
  },
): Promise<readonly ForcedTask[]> {
  const versions = versionsOf(await readDecisions(options));
  const excluded = new Set(versions.at(-2)?.excluded);
  for (;;) {
    // Kafka may be gone, and is waited for without end.
    const found = await Promise.race([tasksShort(options, versions), untilAborted(options.signal)]);
    options.signal.throwIfAborted();
    const short = (found ?? []).map(taskName);
    const coming = short.filter((name) => !excluded.has(name));
    if (coming.length === 0) return forceCut(options);
    options.onWait?.(coming);
    await options.clock.sleep(POLL_MS, options.signal);
  }
}

/** What can be excluded: tasks, and what is stamped by the broker. */
function excludable(graph: Graph): ReadonlySet<string> {
  const raw = graph.topics.filter(({ layer }) => layer === 'raw' || layer === 'fact');
  const partitions = raw.flatMap((topic) =>
    Array.from({ length: topic.partitions }, (_, partition) => `${topic.name}/${partition}`),
  );
  return new Set([...graph.tasks().map(taskName), ...partitions]);
}

interface Present {
  readonly versions: readonly Version[];
  readonly last: Version;
}

async function readPresent(options: ExcludeOptions): Promise<Present> {
  const versions = versionsOf(await readDecisions(options));
  const last = versions.at(-1);
  if (last === undefined) throw refused(`${options.topic.name}: nothing runs yet`);
  return { versions, last };
}

/** The same version begins anew: who reads an input for the first time begins where it would have begun before. */
function decideExcluded(
  options: ExcludeOptions,
  { versions, last }: Present,
  excluded: readonly string[],
): Promise<Version> {
  const { fingerprint, description, startOffsets } = last;
  if (description === null)
    throw refused(
      `version ${shortVersion(last)} is not described in the plan, so its tasks are not known; start with --fresh`,
    );
  return decideCut(options, versions, {
    fingerprint,
    description: JSON.stringify(description),
    startOffsets: Object.fromEntries([...startOffsets].map(([name, offset]) => [name, BigInt(offset)])),
    excluded: [...excluded],
  });
}

const refused = (message: string): PipelineError => new PipelineError('UPGRADE_REFUSED', message);
