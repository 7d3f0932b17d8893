/** `baleen diff`: what differs between the version that runs and this one, and what becomes of state. */
import { readFile } from 'node:fs/promises';
import { PipelineError } from '#pipeline/errors.ts';
import { type Change, compareVersions } from '#pipeline/plan/compare.ts';
import { type Description, fingerprintOf, readDescription } from '#pipeline/plan/description.ts';
import type { Version } from '#pipeline/plan/versions.ts';
import { describeThis } from '#topology/main.ts';
import { type Io, processIo } from './io.ts';
import { withPlan } from './plan-access.ts';
import { stripped } from './printable.ts';
import { timestamp } from './quantities.ts';
import type { SettingSources } from './settings.ts';

export interface DiffOptions {
  /** File with a description; null: the version that runs. */
  readonly from: string | null;
  readonly describe: boolean;
  readonly empty: readonly string[];
  readonly dataDir: string;
  readonly json: boolean;
  readonly sources: SettingSources;
}

/** Returns the exit code: 1 when something has no way to go over. Throws UPGRADE_REFUSED when nothing is there to compare. */
export async function diff(options: DiffOptions, io: Io = processIo): Promise<number> {
  const after = await describeThis();
  if (options.describe) {
    io.out(JSON.stringify(after, null, 2));
    return 0;
  }
  const { before, past, versions } = await beforeOf(options, io);
  const changes = compareVersions({ before, after, past, emptied: options.empty });
  const isRefused = changes.some(({ path }) => path === 'refused');
  if (options.json) {
    const fingerprints = { before: fingerprintOf(before), after: fingerprintOf(after) };
    io.out(
      JSON.stringify({ ...fingerprints, versions: versions.map(versionJson), changes, isRefused }, null, 2),
    );
    return isRefused ? 1 : 0;
  }
  for (const version of versions) io.out(versionLine(version));
  io.out(`this is ${fingerprintOf(after).slice(0, 12)}`);
  for (const line of changeLines(changes)) io.out(line);
  io.out(conclusion(changes));
  return isRefused ? 1 : 0;
}

async function beforeOf(
  options: DiffOptions,
  io: Io,
): Promise<{ before: Description; past: readonly Description[]; versions: readonly Version[] }> {
  if (options.from !== null) {
    const before = readDescription(await readFile(options.from, 'utf8'));
    if (before !== null) return { before, past: [], versions: [] };
    throw new PipelineError(
      'CONFIG_INVALID',
      `${options.from}: expected a description as "baleen diff --describe" prints it`,
    );
  }
  const say = (text: string) => options.json || io.error(text);
  const { versions } = await withPlan({ ...options, say }, async (plan) => plan);
  const before = versions.at(-1)?.description ?? null;
  if (before === null)
    throw new PipelineError(
      'UPGRADE_REFUSED',
      versions.length === 0
        ? 'nothing ran yet in this Kafka: there is nothing to compare with; "baleen up" begins'
        : 'the version that runs is not described in the plan: what changed cannot be known; go on with --fresh',
    );
  const past = versions.slice(0, -1).flatMap(({ description }) => description ?? []);
  return { before, past, versions };
}

const versionJson = ({ epoch, fingerprint, cut, forced, excluded, atMs, note }: Version) => ({
  epoch,
  fingerprint,
  cut,
  forced,
  excluded,
  atMs,
  note,
});

/** One line. */
export const versionLine = ({ epoch, fingerprint, atMs, note, forced, excluded }: Version): string => {
  const without = excluded.length === 0 ? '' : `, without ${excluded.join(', ')}`;
  const how = forced.length === 0 ? '' : `, its cut forced for ${forced.join(', ')} (not exactly once)`;
  return `version ${epoch} is ${fingerprint.slice(0, 12)}, decided ${timestamp(atMs)}${without}${how}${note === null ? '' : `: ${stripped(note)}`}`;
};

/** One line for each, in columns. */
export function changeLines(changes: readonly Change[]): readonly string[] {
  const names = changes.map(({ kind, name }) => `${kind} ${name}`);
  const width = Math.min(60, Math.max(0, ...names.map(({ length }) => length)));
  return changes.map(
    ({ change, path, hint }, at) =>
      `  ${change.padEnd(7)}  ${(names[at] ?? '').padEnd(width)}  ${path.padEnd(7)}  ${hint}`,
  );
}

function conclusion(changes: readonly Change[]): string {
  if (changes.length === 0) return 'nothing differs';
  const refused = changes.filter(({ path }) => path === 'refused').length;
  if (refused > 0)
    return `${refused} of ${changes.length} changes cannot be gone over with: do what is said there, or begin with new topics (--fresh)`;
  return `${changes.length} changes, all with a path: "baleen upgrade --yes" decides it, then the running version ends by itself`;
}
