/** Where `baleen state` reads: from the running pipeline, else from the folders that it left. */
import { copyFile, link, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { readAdminAddress } from '#ops/admin/address.ts';
import type { KeyAnswer, RangeAnswer } from '#ops/admin/server.ts';
import { PipelineError } from '#pipeline/errors.ts';
import { stateFolder } from '#pipeline/runtime/processing.ts';
import { type FoundStore, findStore, list, lookUp, type ViewedTask } from '#pipeline/runtime/state-view.ts';
import type { StateBackend } from '#pipeline/state/backend.ts';
import { openLevelBackend } from '#pipeline/state/level.ts';
import { graph } from '#topology/graph.ts';
import { stateDirectory } from '#topology/state-directory.ts';
import { askAdmin } from './ask-admin.ts';

export interface StateSource {
  get(name: string, key: string): Promise<KeyAnswer>;
  list(name: string, range: { readonly from: string; readonly limit: number }): Promise<RangeAnswer>;
}

/** Throws CONFIG_INVALID for a store that is not declared, before anything is looked for. */
export async function stateSource(dataDir: string): Promise<StateSource> {
  const running = await readAdminAddress(dataDir);
  return running === null ? onDisk(dataDir) : overHttp(running.url);
}

const overHttp = (url: string): StateSource => {
  const pathOf = (name: string) => {
    const { processor, store } = findStore(graph, name);
    return `/state/${encodeURIComponent(processor)}/${encodeURIComponent(store)}`;
  };
  return {
    // Both are answers of the same code in another process.
    get: async (name, key) =>
      (await askAdmin(url, `${pathOf(name)}/${encodeURIComponent(key)}`)) as KeyAnswer,
    list: async (name, { from, limit }) =>
      (await askAdmin(
        url,
        `${pathOf(name)}?${new URLSearchParams({ from, limit: String(limit) })}`,
      )) as RangeAnswer,
  };
};

const onDisk = (dataDir: string): StateSource => ({
  get: (name, key) =>
    withFolders(dataDir, name, async (found, tasks) => {
      const { kind } = found.declaration;
      return { store: name, kind, key, found: await lookUp(tasks, found, key) };
    }),
  list: (name, range) =>
    withFolders(dataDir, name, async (found, tasks) => {
      const { kind } = found.declaration;
      return { store: name, kind, ...(await list(tasks, found, range)) };
    }),
});

/** Opens the state of the tasks that hold a store for the time of `read`. */
async function withFolders<T>(
  dataDir: string,
  name: string,
  read: (found: FoundStore, tasks: readonly ViewedTask[]) => Promise<T>,
): Promise<T> {
  const found = findStore(graph, name);
  const directory = stateDirectory(dataDir);
  const present = await readdir(directory).catch((): string[] => []);
  const folders = graph
    .tasks()
    .filter(({ subTopology }) => subTopology === found.subTopology)
    .map((task) => stateFolder(directory, task))
    .filter((folder) => present.includes(basename(folder)));
  if (folders.length === 0) {
    throw new PipelineError(
      'SERVICE_UNREACHABLE',
      `expected a running pipeline or state of ${found.subTopology} in ${directory}, found neither: start it with "baleen up", or name another --data-dir`,
    );
  }
  await mkdir(join(dataDir, 'run'), { recursive: true });
  const scratch = await mkdtemp(join(dataDir, 'run', 'state-'));
  const opened: StateBackend[] = [];
  try {
    const tasks: ViewedTask[] = [];
    for (const folder of folders) {
      const copy = join(scratch, basename(folder));
      await copyLevel(folder, copy);
      const backend = await openLevelBackend(copy);
      opened.push(backend);
      tasks.push({ task: basename(folder), state: backend });
    }
    return await read(found, tasks);
  } finally {
    await Promise.all(opened.map((backend) => backend.close()));
    await rm(scratch, { recursive: true, force: true });
  }
}

/**
 * LevelDB cannot open a folder without writing to it, and locks it against a start of the pipeline. Tables never change
 * once they are written, so they are linked; the small rest is copied.
 */
async function copyLevel(folder: string, copy: string): Promise<void> {
  await mkdir(copy);
  for (const name of await readdir(folder)) {
    const [from, to] = [join(folder, name), join(copy, name)];
    if (/\.(ldb|sst)$/.test(name)) await link(from, to).catch(() => copyFile(from, to));
    else if (/^(CURRENT|MANIFEST-\d+|\d+\.log)$/.test(name)) await copyFile(from, to);
  }
}
