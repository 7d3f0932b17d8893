/** Where the state of the tasks of a process rests: `<dataDir>/state`, one folder each. */
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Notes, openNotes } from '#pipeline/poison/notes.ts';
import type { OpenState } from '#pipeline/runtime/open-task.ts';
import type { FoundGenesis } from '#pipeline/runtime/plan.ts';
import { stateFolder } from '#pipeline/runtime/processing.ts';
import { openLevelBackend, putAside } from '#pipeline/state/level.ts';
import type { Log } from '#pipeline/telemetry/log.ts';

export const stateDirectory = (dataDir: string): string => join(dataDir, 'state');

/** Names the beginning that the state is of. */
const GENESIS_FILE = 'genesis';
/** No task has such a name: theirs end in a number. */
const NOTES_FOLDER = 'notes';

/**
 * Forgets what rests there of another beginning: of topics that were deleted, or of another Kafka. Local state counts only
 * with the same genesis (engine rules, 9.4), and what is forgotten is made again from the changelog.
 */
export async function keepStateOf(
  directory: string,
  { name: genesis }: Pick<FoundGenesis, 'name'>,
): Promise<void> {
  const path = join(directory, GENESIS_FILE);
  const name = `${genesis}\n`;
  const found = await readFile(path, 'utf8').catch(() => null);
  if (found === name) return;
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  await writeFile(path, name);
}

export const openStateIn =
  (directory: string): OpenState =>
  async (task, found) => {
    const folder = stateFolder(directory, task);
    if (found === 'damaged') await putAside(folder);
    return openLevelBackend(folder);
  };

/**
 * Notes of the process that runs on this directory, or of one of its threads, from 1: they go with the state when that is
 * forgotten.
 */
export const notesIn = (directory: string, log: Pick<Log, 'warn'>, thread: number | null = null): Notes =>
  openNotes(join(directory, NOTES_FOLDER, thread === null ? '' : String(thread)), (error) =>
    log.warn('a note for the next start cannot be written; is the disk full?', { error }),
  );

/** Of the process and of all threads that it ever had. */
export function allNotesIn(directory: string, log: Pick<Log, 'warn'>): readonly Notes[] {
  const own = notesIn(directory, log);
  const threads = readdirSync(join(directory, NOTES_FOLDER), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => notesIn(directory, log, Number(name)));
  return [own, ...threads];
}

/** Names of the tasks that have a folder, from now or from earlier. */
export const storedIn = (directory: string): readonly string[] =>
  existsSync(directory)
    ? readdirSync(directory).filter((name) => name !== GENESIS_FILE && name !== NOTES_FOLDER)
    : [];
