/** The yardstick: built once for each state of its sources, and run. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { cp, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** Folder of a built copy of `source` below `cache`; the sources are never written to. */
export async function buildYardstick(source: string, cache: string): Promise<string> {
  const sources = (await readdir(source, { recursive: true }).catch(() => [])).sort();
  if (!sources.includes('run')) {
    throw new Error(
      `${source}: expected the yardstick (run, pom.xml, src), found none; name it with --yardstick`,
    );
  }
  const hash = createHash('sha256');
  for (const name of sources) {
    const path = join(source, name);
    if ((await stat(path)).isFile()) hash.update(`${name}\n`).update(await readFile(path));
  }
  const folder = join(cache, hash.digest('hex').slice(0, 12));
  if (await stat(folder).catch(() => null)) return folder;
  process.stderr.write(`building the yardstick in ${folder}\n`);
  const unfinished = `${folder}.${process.pid}`;
  await mkdir(cache, { recursive: true });
  await cp(source, unfinished, { recursive: true });
  try {
    const code = await run('mvn', ['-q', '-B', 'package'], unfinished, () => {});
    if (code !== 0) throw new Error(`mvn package ended with ${code} in ${unfinished}`);
    await rename(unfinished, folder);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
  return folder;
}

/** Runs a program to its end; returns its exit code, 1 when a signal ended it. Its standard error is ours. */
export async function run(
  program: string,
  given: readonly string[],
  cwd: string,
  onLine: (line: string) => void,
): Promise<number> {
  const child = spawn(program, given, { cwd, stdio: ['ignore', 'pipe', 'inherit'] });
  createInterface({ input: child.stdout }).on('line', onLine);
  // The child hears the interrupt too, and cleans up before it ends.
  const waitOn = (): void => {};
  process.on('SIGINT', waitOn);
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    return code ?? 1;
  } finally {
    process.off('SIGINT', waitOn);
  }
}

/** The template that the yardstick fills in and splits as a shell would. */
export const commandOf = (words: readonly string[]): string =>
  `${words.map((word) => `'${word}'`).join(' ')} {workload} {brokers} {guarantee}`;
