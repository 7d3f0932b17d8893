/**
 * `baleen upgrade`: decides that this version begins here; the one that runs folds up to there and ends. With `--force` its tasks
 * that do not come there are brought there by decree.
 */
import { systemClock } from '#pipeline/clock.ts';
import { upgrade as decide } from '#pipeline/plan/cut.ts';
import { type Description, fingerprintOf } from '#pipeline/plan/description.ts';
import { type ForcedTask, forceCut } from '#pipeline/plan/force.ts';
import { tasksShort } from '#pipeline/plan/short.ts';
import type { Version } from '#pipeline/plan/versions.ts';
import { taskName } from '#pipeline/runtime/graph.ts';
import { shortVersion } from '#pipeline/runtime/plan.ts';
import { graph } from '#topology/graph.ts';
import { describeThis } from '#topology/main.ts';
import { diff } from './diff.ts';
import { withScratch } from './force-scratch.ts';
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
  const { version, before, forced } = await withPlan({ ...options, say }, async (plan) => {
    const done = options.force
      ? await goOverByForce(options, plan, description)
      : { version: await decideCut(options, plan, description), forced: [] };
    const before = plan.versions.findLast(({ epoch }) => epoch < done.version.epoch);
    return { ...done, before };
  });
  const { epoch, fingerprint, cut, dropped, excluded } = version;
  if (options.json) {
    io.out(JSON.stringify({ epoch, fingerprint, cut, dropped, excluded, forced }, null, 2));
    return 0;
  }
  const without = excluded.length === 0 ? '' : `, without ${excluded.join(', ')}`;
  io.out(
    `version ${shortVersion(version)} begins at ${timestamp(cut?.logTimeMs ?? 0)}, in the order of the log${without}`,
  );
  if (dropped.length > 0) io.out(`stores that end there: ${dropped.join(', ')}`);
  if (options.force) {
    for (const line of forcedLines(forced, before?.fingerprint === fingerprint)) io.out(line);
    return 0;
  }
  io.out(decidedLine(before?.excluded ?? []));
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
  const forced = await withScratch(options.dataDir, (scratch) =>
    forceCut({ ...plan, ...scratch, graph, clock: systemClock, note: options.note }),
  );
  return { version, forced };
}

async function sayWhatIsShort(plan: PlanAccess, io: Io): Promise<void> {
  const tasks = await tasksShort(plan, plan.versions);
  const names = tasks.map(taskName);
  if (names.length > 0) io.out(`not at the cut to version ${plan.versions.length}: ${names.join(', ')}`);
  io.out(
    'forced, a task goes on from its last checkpoint: what it wrote after that comes out twice, what it had not folded counts as if it had come at the cut, and what comes from it is not exactly once; stop the version before first',
  );
}

/** `excluded`: what the version before does without, and this one does not. */
export const decidedLine = (excluded: readonly string[]): string =>
  excluded.some((name) => !name.includes('/'))
    ? `processes of the version before end by themselves once their tasks are there; it does without ${excluded.join(', ')}, which is taken in again: then "baleen upgrade --force --yes" brings it there, and this version can start`
    : 'processes of the version before end by themselves once their tasks are there; start this version now or then: it waits for them';

/** What became of the tasks that were brought to the cut by decree. `isSameCode`: as after `baleen exclude`. */
export function forcedLines(forced: readonly ForcedTask[], isSameCode: boolean): readonly string[] {
  if (forced.length === 0) return ['all tasks are at the cut: nothing was forced'];
  const names = forced.map(({ task }) => task).join(', ');
  return [
    forced.some(({ repeated }) => repeated > 0)
      ? `forced, and not exactly once: ${names} and what reads from ${forced.length === 1 ? 'it' : 'them'}`
      : `forced: ${names}; they had written nothing after their last checkpoints, so nothing comes out twice`,
    ...forced.map(({ task, repeated, isEmpty }) => {
      const from = isEmpty ? 'begins empty, for it had no checkpoint' : 'goes on from its last checkpoint';
      return `  ${task} ${from}${repeated === 0 ? '' : `; it may write ${grouped(repeated)} records twice`}`;
    }),
    isSameCode
      ? 'start the processes again: they go on from that cut'
      : 'never start the version before again; start this one now',
  ];
}
