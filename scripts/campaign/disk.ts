/** State folders that can be full or damaged. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { mkdir, open, readdir, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '#ops/local/run.ts';

/** Room for the state of one worker. */
const SIZE_MB = 64;
const BALLAST = 'ballast';

/** Makes the folder a file system of its own, in memory. False where that is not allowed: it cannot be full then. */
export async function mountSmall(folder: string): Promise<boolean> {
  await mkdir(folder, { recursive: true });
  const { code } = await run('mount', ['-t', 'tmpfs', '-o', `size=${SIZE_MB}m`, 'tmpfs', folder]);
  return code === 0;
}

/** Nothing when it is not mounted. */
export async function unmount(folder: string): Promise<void> {
  await run('umount', ['-l', folder]);
}

/** Takes all the room that is left. */
export function fill(folder: string): void {
  const file = openSync(join(folder, BALLAST), 'w');
  try {
    for (let size = 1024 * 1024; size >= 512; size /= 2) {
      const piece = Buffer.alloc(size);
      try {
        while (writeSync(file, piece) === size);
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
      }
    }
  } finally {
    closeSync(file);
  }
}

export const empty = (folder: string): Promise<void> => rm(join(folder, BALLAST), { force: true });

export const DAMAGES = ['flip', 'cut', 'delete', 'garbage', 'folder'] as const;
export type Damage = (typeof DAMAGES)[number];

/**
 * Damages one file of one task, which nobody has open; `chance` in [0, 1) chooses. `folder` deletes all of the task. Returns
 * what was done to what.
 */
export async function damage(stateDir: string, how: Damage, chance: number): Promise<string> {
  const pick = <T>(items: readonly T[], part: number): T | undefined =>
    items[Math.floor(items.length * part)];
  const tasks = (await readdir(stateDir, { withFileTypes: true }))
    .filter((entry) => entry.isDirectory() && !entry.name.endsWith('.damaged'))
    .map(({ name }) => name)
    .sort();
  const task = pick(tasks, chance);
  if (task === undefined) return 'nothing there yet';
  const folder = join(stateDir, task);
  if (how === 'folder') {
    await rm(folder, { recursive: true });
    return `${task} deleted`;
  }
  // The same number chooses again, by its further digits.
  const rest = (chance * 1_000) % 1;
  const files = (await readdir(folder)).filter((name) => name !== 'LOCK' && name !== 'LOG').sort();
  const name = pick(files, rest);
  if (name === undefined) return `${task} is empty`;
  const path = join(folder, name);
  const { size } = await stat(path);
  const at = Math.floor(size * ((chance * 1_000_000) % 1));
  if (how === 'delete') await rm(path);
  else if (how === 'cut') await truncate(path, at);
  else {
    const file = await open(path, 'r+');
    try {
      const byte = Buffer.alloc(1);
      if (how === 'flip') await file.read(byte, 0, 1, at);
      const bytes = how === 'flip' ? Buffer.from([(byte[0] ?? 0) ^ 0x55]) : Buffer.alloc(100, 0xa5);
      await file.write(bytes, 0, bytes.length, how === 'flip' ? at : size);
    } finally {
      await file.close();
    }
  }
  return `${task}/${name}: ${how} at ${at} of ${size}`;
}
