/** `baleen return`: what was excluded is taken in again, from where it stood. */
import { resolve } from 'node:path';
import { identityOf } from '#ops/local/process.ts';
import { systemClock } from '#pipeline/clock.ts';
import { PipelineError } from '#pipeline/errors.ts';
import { bringBack, takeIn as decide } from '#pipeline/plan/exclude.ts';
import type { ForcedTask } from '#pipeline/plan/force.ts';
import type { Version } from '#pipeline/plan/versions.ts';
import { shortVersion } from '#pipeline/runtime/plan.ts';
import { graph } from '#topology/graph.ts';
import { readEndpoints } from './endpoints.ts';
import { type ExcludeCommand, type Exclusion, exclusionLines, exclusionOf } from './exclude.ts';
import { withScratch } from './force-scratch.ts';
import { type Io, processIo } from './io.ts';
import { type PlanAccess, presentVersion, withPlan } from './plan-access.ts';
import { grouped, timestamp } from './quantities.ts';
import { writableOf } from './writable.ts';

/**
 * Returns the exit code: 1 when nothing was decided, or it was stopped before all was there; done again it goes on. Throws
 * UPGRADE_REFUSED when one of the names is not excluded, or still cannot be written to.
 */
export async function takeIn(options: ExcludeCommand, io: Io = processIo): Promise<number> {
  const say = (text: string) => options.json || io.error(text);
  if (!options.yes) {
    const found = await withPlan({ ...options, say }, exclusionOf);
    if (options.json) io.out(JSON.stringify(found, null, 2));
    else for (const line of exclusionLines(found)) io.out(line);
    for (const line of wouldLines(options.names, found)) io.error(line);
    return 1;
  }
  const { version, forced } = await whileStoppable((signal) => decideAndBring(options, say, signal));
  if (options.json) {
    const { epoch, fingerprint, cut, excluded } = version;
    io.out(JSON.stringify({ epoch, fingerprint, cut, excluded, forced }, null, 2));
  } else if (forced !== null) for (const line of returnedLines(options.names, forced)) io.out(line);
  if (forced !== null) return 0;
  io.error(`stopped before all was there: "baleen return ${options.names.join(' ')} --yes" goes on`);
  return 1;
}

/** One that is decided already is only to be brought there. */
async function decideOrGoOn({ names, note }: ExcludeCommand, plan: PlanAccess): Promise<Version> {
  const present = await presentVersion(plan);
  if (present === null) throw refused(`${plan.topic.name}: nothing ran yet in this Kafka`);
  const { returning } = await exclusionOf(plan);
  if (names.every((name) => returning.includes(name))) return present;
  const dead = names.filter((name) => name.includes('/') && present.excluded.includes(name));
  const writable = await writableOf(plan, dead);
  const still = dead.filter((name) => !writable.includes(name));
  if (still.length > 0)
    throw refused(
      `${still.join(', ')}: still cannot be written to, and all that read it would wait again; "baleen doctor" looks at Kafka`,
    );
  return decide({ ...plan, graph, names, note, clock: systemClock });
}

interface Brought {
  readonly version: Version;
  /** Null: stopped before all was there. */
  readonly forced: readonly ForcedTask[] | null;
}

/** Goes on with a Kafka of its own where an `up` ran it: that one ends once its tasks are all there, and takes it along. */
async function decideAndBring(
  options: ExcludeCommand,
  say: (text: string) => void,
  signal: AbortSignal,
): Promise<Brought> {
  const running = await readEndpoints(resolve(options.dataDir));
  const done = new AbortController();
  const { isCutOff, ...brought } = await withPlan({ ...options, say }, async (plan) => {
    const version = await decideOrGoOn(options, plan);
    say(beginsLine(version, options.names));
    const ways = [bring(options, plan, say, signal).then((forced) => ({ version, forced, isCutOff: false }))];
    if (running !== null)
      ways.push(untilEnded(running.pid, done.signal).then(() => ({ version, forced: null, isCutOff: true })));
    return Promise.race(ways);
  }).finally(() => done.abort());
  if (!isCutOff || signal.aborted) return brought;
  say('the process that ran here has ended: going on with what is there');
  return decideAndBring(options, say, signal);
}

/** Resolves when the process is gone, or when it need not be known any more. */
async function untilEnded(pid: number, signal: AbortSignal): Promise<void> {
  const startTime = identityOf(pid)?.startTime;
  while (startTime !== undefined && identityOf(pid)?.startTime === startTime && !signal.aborted)
    await systemClock.sleep(ENDED_POLL_MS, signal);
}

const ENDED_POLL_MS = 500;

/** Null: stopped. */
async function bring(
  { dataDir, note }: ExcludeCommand,
  plan: PlanAccess,
  say: (text: string) => void,
  signal: AbortSignal,
): Promise<readonly ForcedTask[] | null> {
  let said = '';
  const onWait = (names: readonly string[]): void => {
    const text = names.join(', ');
    if (text !== said) say(waitingLine(text));
    said = text;
  };
  const clock = systemClock;
  try {
    return await withScratch(dataDir, (scratch) =>
      bringBack({ ...plan, ...scratch, graph, clock, note, signal, onWait }),
    );
  } catch (error) {
    if (error === signal.reason) return null;
    throw error;
  }
}

/** Ctrl-C aborts the signal: what is being written is finished then. A second one ends it at once. */
async function whileStoppable<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stopping = new AbortController();
  const stop = () => stopping.abort();
  process.once('SIGINT', stop).once('SIGTERM', stop);
  try {
    return await work(stopping.signal);
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
}

const beginsLine = (version: Version, names: readonly string[]): string =>
  `from ${timestamp(version.cut?.logTimeMs ?? 0)} on, in the order of the log, version ${shortVersion(version)} goes on with ${names.join(', ')}`;

const waitingLine = (names: string): string =>
  `waiting for ${names} to come to that cut, which they do by themselves while they run; Ctrl-C, and "return" again, changes nothing`;

/** What would become of the names. */
export function wouldLines(names: readonly string[], { excluded, returning }: Exclusion): readonly string[] {
  return [
    ...names.map((name) => {
      if (excluded.some((one) => one.name === name))
        return `${name} would be taken in again: what it had not folded would count as of now`;
      return returning.includes(name) ? `${name} was taken in again already` : `${name} is not excluded`;
    }),
    'nothing was decided: add --yes',
  ];
}

/** What became of the names, and of others that are still excluded but had to come to the cut as well. */
export const returnedLines = (names: readonly string[], forced: readonly ForcedTask[]): readonly string[] => [
  ...forced
    .filter(({ task }) => names.includes(task))
    .map(({ task, repeated, isEmpty }) => {
      const from = isEmpty ? 'begins empty, for it had no checkpoint' : 'goes on from where it stood';
      const twice = repeated === 0 ? '' : `; it may write ${grouped(repeated)} records twice`;
      return `${task} ${from}, and what it had not folded counts as of that cut${twice}`;
    }),
  `all are at the cut: start the processes again, with ${names.join(', ')}`,
];

const refused = (message: string): PipelineError => new PipelineError('UPGRADE_REFUSED', message);
