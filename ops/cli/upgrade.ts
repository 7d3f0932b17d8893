/**
 * `baleen upgrade`: decides that this version begins here; the one that runs folds up to there and ends. With `--force` its tasks
 * that do not come there are brought there by decree.
 */
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { systemClock } from '#pipeline/clock.ts';
import { upgrade as decide } from '#pipeline/plan/cut.ts';
import { type Description, fingerprintOf } from '#pipeline/plan/description.ts';
import { type ForcedTask, forceCut } from '#pipeline/plan/force.ts';
import { tasksShort } from '#pipeline/plan/short.ts';
import type { Version } from '#pipeline/plan/versions.ts';
import { shortVersion } from '#pipeline/runtime/plan.ts';
import { stateFolder } from '#pipeline/runtime/processing.ts';
import { openLevelBackend } from '#pipeline/state/level.ts';
import { graph } from '#topology/graph.ts';
import { describeThis } from '#topology/main.ts';
import { diff } from './diff.ts';
import { type Io, processIo } from './io.ts';
import { type PlanAccess, withPlan } from './plan-access.ts';
import { grouped, timestamp } from './quantities.ts';
import type { SettingSources } from './settings.ts';

export interface UpgradeCommand {
  /** False: only show what would be decided. */
  readonly yes: boolean;
  /** Brings the tasks to the cut that the version before cannot bring there: not exactly once. */
  readonly force: boolean;
  /** `processor.store` that begins anew. */
  readonly empty: readonly string[];
  readonly note: string | null;
  readonly dataDir: string;
  readonly json: boolean;
  readonly sources: SettingSources;
}

/** Returns the exit code: 1 when it was not decided. Throws UPGRADE_REFUSED with every reason. */
export async function upgrade(options: UpgradeCommand, io: Io = processIo): Promise<number> {
  const say = (text: string) => options.json || io.error(text);
  if (!options.yes) {
    await diff({ ...options, from: null, describe: false }, io);
    if (options.force) await withPlan({ ...options, say }, (plan) => sayWhatIsShort(plan, io));
    io.error('nothing was decided: add --yes');
    return 1;
  }
  const description = await describeThis();
  const work = (plan: PlanAccess) =>
    options.force
      ? goOverByForce(options, plan, description)
      : decideCut(options, plan, description).then((version) => ({ version, forced: [] }));
  const { version, forced } = await withPlan({ ...options, say }, work);
  const { epoch, fingerprint, cut, dropped } = version;
  if (options.json) {
    io.out(JSON.stringify({ epoch, fingerprint, cut, dropped, forced }, null, 2));
    return 0;
  }
  io.out(
    `version ${shortVersion(version)} begins at ${timestamp(cut?.logTimeMs ?? 0)}, in the order of the log`,
  );
  if (dropped.length > 0) io.out(`stores that end there: ${dropped.join(', ')}`);
  if (options.force) {
    for (const line of forcedLines(forced)) io.out(line);
    return 0;
  }
  io.out(
    'processes of the version before end by themselves once their tasks are there; start this version now or then: it waits for them',
  );
  return 0;
}

const decideCut = (
  { empty, note }: UpgradeCommand,
  plan: PlanAccess,
  description: Description,
): Promise<Version> => decide({ ...plan, graph, description, emptied: empty, note, clock: systemClock });

/** The cut to this version is decided first, unless it is already. */
async function goOverByForce(
  options: UpgradeCommand,
  plan: PlanAccess,
  description: Description,
): Promise<{ readonly version: Version; readonly forced: readonly ForcedTask[] }> {
  const present = plan.versions.at(-1);
  const isDecided = present?.fingerprint === fingerprintOf(description);
  const version = isDecided ? present : await decideCut(options, plan, description);
  const instance = randomUUID();
  const scratch = join(resolve(options.dataDir), `force-${instance}`);
  try {
    const forced = await forceCut({
      ...plan,
      graph,
      clock: systemClock,
      note: options.note,
      instance,
      openScratch: (task) => openLevelBackend(stateFolder(scratch, task)),
    });
    return { version, forced };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function sayWhatIsShort(plan: PlanAccess, io: Io): Promise<void> {
  const tasks = await tasksShort(plan, plan.versions);
  const names = tasks.map(({ subTopology, partition }) => `${subTopology}-${partition}`);
  if (names.length > 0) io.out(`not at the cut to version ${plan.versions.length}: ${names.join(', ')}`);
  io.out(
    'forced, a task goes on from its last checkpoint: what it wrote after that comes out twice, what it had not folded counts as if it had come at the cut, and what comes from it is not exactly once; stop the version before first',
  );
}

/** What became of the tasks that were brought to the cut by decree. */
export function forcedLines(forced: readonly ForcedTask[]): readonly string[] {
  if (forced.length === 0) return ['all tasks are at the cut: nothing was forced'];
  return [
    `forced, and not exactly once: ${forced.map(({ task }) => task).join(', ')} and what reads from ${forced.length === 1 ? 'it' : 'them'}`,
    ...forced.map(({ task, repeated, isEmpty }) => {
      const from = isEmpty ? 'begins empty, for it had no checkpoint' : 'goes on from its last checkpoint';
      return `  ${task} ${from}; it may write ${grouped(repeated)} records twice`;
    }),
    'never start the version before again; start this one now',
  ];
}
