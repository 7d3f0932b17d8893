/** `baleen exclude`: the same version goes on without a task, or a partition of a raw topic, that stands still. */
import { type Excluded, excludedSince } from '#ops/admin/version-status.ts';
import { systemClock } from '#pipeline/clock.ts';
import { PipelineError } from '#pipeline/errors.ts';
import { exclude as decide, refuseUnknown } from '#pipeline/plan/exclude.ts';
import { tasksShort } from '#pipeline/plan/short.ts';
import type { Version } from '#pipeline/plan/versions.ts';
import { taskName } from '#pipeline/runtime/graph.ts';
import { shortVersion } from '#pipeline/runtime/plan.ts';
import { graph } from '#topology/graph.ts';
import { type Io, processIo } from './io.ts';
import { type PlanAccess, presentVersion, withPlan } from './plan-access.ts';
import { timestamp } from './quantities.ts';
import type { SettingSources } from './settings.ts';
import { writableOf } from './writable.ts';

export interface ExcludeCommand {
  /** Tasks (`detect-2`) and partitions of raw topics (`raw.trades.v1/3`). */
  readonly names: readonly string[];
  /** False: only show what would be decided. */
  readonly yes: boolean;
  readonly note: string | null;
  readonly dataDir: string;
  readonly json: boolean;
  readonly sources: SettingSources;
}

/** How far the plan and the tasks are with what is excluded. */
export interface Exclusion {
  readonly excluded: readonly Excluded[];
  /** What the last cut takes in again. */
  readonly returning: readonly string[];
  /** Tasks that have not come to the last cut. */
  readonly short: readonly string[];
}

/**
 * Without names: what is excluded. Returns the exit code: 1 when nothing was decided. Throws UPGRADE_REFUSED when one of the names
 * cannot be excluded, or nobody waits for it.
 */
export async function exclude(options: ExcludeCommand, io: Io = processIo): Promise<number> {
  const say = (text: string) => options.json || io.error(text);
  if (options.names.length === 0) {
    const found = await withPlan({ ...options, say }, exclusionOf);
    if (options.json) io.out(JSON.stringify(found, null, 2));
    else for (const line of exclusionLines(found)) io.out(line);
    return 0;
  }
  refuseUnknown({ ...options, graph });
  const { found, version } = await withPlan({ ...options, say }, (plan) => decideIfNew(options, plan));
  if (version !== null) {
    const { epoch, fingerprint, cut, excluded } = version;
    if (options.json) io.out(JSON.stringify({ epoch, fingerprint, cut, excluded }, null, 2));
    else for (const line of excludedLines(version, newIn(options, found))) io.out(line);
    return 0;
  }
  if (options.json) io.out(JSON.stringify(found, null, 2));
  else for (const line of exclusionLines(found)) io.out(line);
  const names = newIn(options, found);
  if (names.length === 0) return 0;
  io.error(`from now on, ${names.join(', ')} would be left out: who reads from there would not wait for it`);
  io.error('nothing was decided: add --yes');
  return 1;
}

async function decideIfNew(
  options: ExcludeCommand,
  plan: PlanAccess,
): Promise<{ readonly found: Exclusion; readonly version: Version | null }> {
  if ((await presentVersion(plan)) === null)
    throw refused(`${plan.topic.name}: nothing ran yet in this Kafka`);
  const found = await exclusionOf(plan);
  const names = newIn(options, found);
  const writable = await writableOf(plan, names);
  if (writable.length > 0)
    throw refused(
      `${writable.join(', ')}: it can be written to, so nothing waits for it for long: "baleen status" shows who waits for whom`,
    );
  if (!options.yes || names.length === 0) return { found, version: null };
  return { found, version: await decide({ ...plan, graph, names, note: options.note, clock: systemClock }) };
}

const newIn = ({ names }: ExcludeCommand, { excluded }: Exclusion): readonly string[] =>
  [...new Set(names)].filter((name) => excluded.every((one) => one.name !== name));

/** What holds at present. */
export async function exclusionOf(plan: PlanAccess): Promise<Exclusion> {
  const { versions } = plan;
  const [before, last] = [versions.at(-2), versions.at(-1)];
  return {
    excluded: excludedSince(versions),
    returning: (before?.excluded ?? []).filter((name) => last?.excluded.includes(name) === false),
    short: (await tasksShort(plan, versions)).map(taskName),
  };
}

/** As people read it, with the next step. */
export function exclusionLines({ excluded, returning, short }: Exclusion): readonly string[] {
  const back = returning.filter((name) => short.includes(name));
  const lines = [
    ...excluded.map(
      ({ name, epoch, sinceMs }) => `${name}  since ${timestamp(sinceMs)}, from version ${epoch} on`,
    ),
    ...back.map((name) => `${name}  returns, and is not there yet`),
  ];
  if (lines.length === 0) return ['nothing is excluded'];
  if (back.length > 0) return [...lines, `"baleen return ${back.join(' ')} --yes" goes on until it is there`];
  if (short.length > 0)
    return [
      ...lines,
      `not at that cut yet: ${short.join(', ')}. Those that can come there do, and their processes end; ${BY_FORCE}`,
    ];
  const names = excluded.map(({ name }) => name).join(' ');
  return [...lines, `"baleen return ${names} --yes" takes it in again, once its cause is mended`];
}

/** `names`: what was decided just now. */
export const excludedLines = (version: Version, names: readonly string[]): readonly string[] => [
  `from ${timestamp(version.cut?.logTimeMs ?? 0)} on, in the order of the log, version ${shortVersion(version)} goes on without ${names.join(', ')}`,
  `tasks that can come to that cut do so, and a process ends once all of its tasks are there; ${BY_FORCE}`,
];

const BY_FORCE =
  'stop those that do not end, bring the other tasks there with "baleen upgrade --force --yes", and start all processes again';

const refused = (message: string): PipelineError => new PipelineError('UPGRADE_REFUSED', message);
