/** `baleen upgrade`: decides that this version begins here; the one that runs folds up to there and ends. */
import { systemClock } from '#pipeline/clock.ts';
import { upgrade as decide } from '#pipeline/plan/cut.ts';
import { shortVersion } from '#pipeline/runtime/plan.ts';
import { graph } from '#topology/graph.ts';
import { describeThis } from '#topology/main.ts';
import { diff } from './diff.ts';
import { type Io, processIo } from './io.ts';
import { withPlan } from './plan-access.ts';
import { timestamp } from './quantities.ts';
import type { SettingSources } from './settings.ts';

export interface UpgradeCommand {
  /** False: only show what would be decided. */
  readonly yes: boolean;
  /** `processor.store` that begins anew. */
  readonly empty: readonly string[];
  readonly note: string | null;
  readonly dataDir: string;
  readonly json: boolean;
  readonly sources: SettingSources;
}

/** Returns the exit code: 1 when it was not decided. Throws UPGRADE_REFUSED with every reason. */
export async function upgrade(options: UpgradeCommand, io: Io = processIo): Promise<number> {
  if (!options.yes) {
    await diff({ ...options, from: null, describe: false }, io);
    io.error('nothing was decided: add --yes');
    return 1;
  }
  const description = await describeThis();
  const say = (text: string) => options.json || io.error(text);
  const version = await withPlan({ ...options, say }, (plan) =>
    decide({ ...plan, graph, description, emptied: options.empty, note: options.note, clock: systemClock }),
  );
  const { epoch, fingerprint, cut, dropped } = version;
  if (options.json) {
    io.out(JSON.stringify({ epoch, fingerprint, cut, dropped }, null, 2));
    return 0;
  }
  io.out(
    `version ${shortVersion(version)} begins at ${timestamp(cut?.logTimeMs ?? 0)}, in the order of the log`,
  );
  if (dropped.length > 0) io.out(`stores that end there: ${dropped.join(', ')}`);
  io.out(
    'processes of the version before end by themselves once their tasks are there; start this version now or then: it waits for them',
  );
  return 0;
}
