/** `baleen state`: what the stores of the tasks hold, as of their last checkpoints. */
import { resolve } from 'node:path';
import type { ViewedCheckpoint, ViewedKey } from '#pipeline/runtime/state-view.ts';
import { type Io, processIo } from './io.ts';
import { cutTo, escaped, escapedJson } from './printable.ts';
import { grouped, timestamp } from './quantities.ts';
import { stateSource } from './state-source.ts';

export interface StateGetOptions {
  /** `processor.store`. */
  readonly store: string;
  readonly key: string;
  readonly dataDir: string;
  readonly json: boolean;
}

/** Returns the exit code: 1 when no task has the key. */
export async function stateGet(options: StateGetOptions, io: Io = processIo): Promise<number> {
  const { store, key, dataDir, json } = options;
  const source = await stateSource(resolve(dataDir));
  const answer = await source.get(store, key);
  if (json) io.out(pretty(answer));
  else if (answer.found.length === 0) {
    io.error(
      `${store} has nothing under ${escaped(JSON.stringify(key))}; "baleen state list ${store} --limit 5" shows what its keys look like`,
    );
  } else for (const line of keyLines(answer.found)) io.out(line);
  return answer.found.length === 0 ? 1 : 0;
}

/** Tasks that have the same are one block: tables are held by each. */
function keyLines(found: readonly ViewedKey[]): readonly string[] {
  const blocks = Map.groupBy(found, ({ value, entries }) => pretty(entries ?? value));
  return [...blocks].flatMap(([text, members]) => [
    text,
    ...members.map(({ task, checkpoint }) => `  in ${task}, ${checkpointText(checkpoint)}`),
  ]);
}

/** Only the ends of lines are left to the terminal. */
const pretty = (value: unknown): string =>
  JSON.stringify(value, null, 2).split('\n').map(escapedJson).join('\n');

const checkpointText = (checkpoint: ViewedCheckpoint): string =>
  checkpoint === null
    ? 'before its first checkpoint'
    : `as of step ${grouped(checkpoint.step)}, log time ${timestamp(checkpoint.logTimeMs)}`;

export interface StateListOptions {
  readonly store: string;
  /** First key, as the list shows it; null: from the start. */
  readonly from: string | null;
  readonly limit: number;
  readonly dataDir: string;
  readonly json: boolean;
}

/** Returns the exit code. */
export async function stateList(options: StateListOptions, io: Io = processIo): Promise<number> {
  const { store, from, limit, dataDir, json } = options;
  const source = await stateSource(resolve(dataDir));
  const answer = await source.list(store, { from: from ?? '', limit });
  if (json) {
    io.out(pretty(answer));
    return 0;
  }
  for (const { key, value, tasks } of answer.entries) {
    const line = `${escaped(key)}  ${escapedJson(JSON.stringify(value))}  (${placesText(tasks)})`;
    if (!io.out(io.columns === null ? line : cutTo(line, io.columns))) await io.drained();
  }
  if (answer.entries.length === 0) io.error(`${store} holds nothing${from === null ? '' : ' from there on'}`);
  if (answer.next !== null) io.error(`more: --from ${escaped(quoted(answer.next))}`);
  return 0;
}

const placesText = (tasks: readonly string[]): string =>
  tasks.length > 2 ? `${tasks[0]} and ${tasks.length - 1} more` : tasks.join(', ');

/** As a shell takes it. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
