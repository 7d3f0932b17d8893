/** `baleen skip`: passes over what ends the process each time, before the process has made sure of it by itself. */
import { resolve } from 'node:path';
import { systemClock } from '#pipeline/clock.ts';
import { PipelineError } from '#pipeline/errors.ts';
import type { Mark } from '#pipeline/poison/gate.ts';
import { type Notes, readMark, readStarts } from '#pipeline/poison/notes.ts';
import { skipName } from '#pipeline/poison/skips.ts';
import { decideSkip } from '#pipeline/poison/verdict.ts';
import { graph } from '#topology/graph.ts';
import { allNotesIn, stateDirectory } from '#topology/state-directory.ts';
import { type Io, processIo } from './io.ts';
import { type PlanAccess, presentVersion, withPlan } from './plan-access.ts';
import { stripped } from './printable.ts';
import { timestamp } from './quantities.ts';
import type { SettingSources } from './settings.ts';

export interface SkipOptions {
  /** Null: only show what could be passed over. */
  readonly place: string | null;
  readonly yes: boolean;
  readonly note: string | null;
  readonly dataDir: string;
  readonly json: boolean;
  readonly sources: SettingSources;
}

/** Returns the exit code: 1 when nothing was decided. Throws SKIP_REFUSED when the log shows that it was folded. */
export async function skip(options: SkipOptions, io: Io = processIo): Promise<number> {
  const dataDir = resolve(options.dataDir);
  const marks = allNotesIn(stateDirectory(dataDir), silent).flatMap(suspectsIn);
  const chosen = marks.filter(({ place }) => options.place === null || place === options.place);
  if (options.place === null || !options.yes) {
    for (const mark of chosen) io.out(options.json ? JSON.stringify(mark) : markLine(mark));
    if (chosen.length === 0) io.error(nothingIn(dataDir, options.place));
    else io.error('nothing was decided: name a place and add --yes');
    return 1;
  }
  const [mark] = chosen;
  if (mark === undefined) throw new PipelineError('SKIP_REFUSED', nothingIn(dataDir, options.place));
  const say = (text: string) => options.json || io.error(text);
  const decided = await withPlan({ ...options, say }, async (plan) =>
    decideSkip(
      { ...plan, graph, genesis: await presentOf(plan), clock: systemClock },
      mark,
      options.note ?? 'decided by hand',
    ),
  );
  io.out(
    options.json
      ? JSON.stringify(decided)
      : `${decided.writer} passes over ${stripped(decided.place)}, in every process and replay; start what died again`,
  );
  return 0;
}

const silent = { warn: () => {} };

/** What starts died at while they were searched, and what is being folded now. */
export function suspectsIn(notes: Pick<Notes, 'read'>): readonly Mark[] {
  const found = [...readStarts(notes).values()].map(({ suspect }) => suspect);
  const marks = [...found, readMark(notes)].filter((mark) => mark !== null);
  return [...new Map(marks.map((mark) => [`${mark.writer} ${skipName(mark)}`, mark])).values()];
}

/** What the log shows can be judged by the version that wrote it alone. */
async function presentOf(plan: PlanAccess) {
  const present = await presentVersion(plan);
  if (present !== null) return present;
  throw new PipelineError('SKIP_REFUSED', `${plan.topic.name}: nothing ran yet in this Kafka`);
}

const markLine = ({ writer, processor, place, step, logTimeMs }: Mark): string =>
  `${stripped(place)}  ${writer}${processor === '' ? '' : `, in ${processor}`}, step ${step}, log time ${timestamp(logTimeMs)}`;

const nothingIn = (dataDir: string, place: string | null): string =>
  `${dataDir}: no process of this directory died at ${place ?? 'a record'} while it was searched; a task is searched once its process died a few times without progress`;
