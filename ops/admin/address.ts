/** Where the admin server of a running `baleen up` is: `<dataDir>/run/admin.json`. */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { identityOf } from '#ops/local/process.ts';

/** Pids are given out again; with the start time they name one process. */
const fileSchema = z.object({ url: z.url(), pid: z.int().min(1), startTime: z.string().nullable() });

export interface AdminAddress {
  readonly url: string;
  readonly pid: number;
}

const fileIn = (dataDir: string): string => join(dataDir, 'run', 'admin.json');

/** Replaces what was there, in one step. */
export async function writeAdminAddress(dataDir: string, { url, pid }: AdminAddress): Promise<void> {
  const path = fileIn(dataDir);
  await mkdir(join(dataDir, 'run'), { recursive: true });
  const startTime = identityOf(pid)?.startTime ?? null;
  await writeFile(`${path}.new`, `${JSON.stringify({ url, pid, startTime })}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
}

/** Null when no `up` of this data directory is running: one that crashed leaves its file behind. */
export async function readAdminAddress(dataDir: string): Promise<AdminAddress | null> {
  try {
    const { url, pid, startTime } = fileSchema.parse(JSON.parse(await readFile(fileIn(dataDir), 'utf8')));
    const running = identityOf(pid);
    return running !== null && (startTime === null || running.startTime === startTime) ? { url, pid } : null;
  } catch {
    return null;
  }
}

/** When `up` ends in order. */
export async function removeAdminAddress(dataDir: string): Promise<void> {
  await rm(fileIn(dataDir), { force: true });
}
