/** Where a running `baleen up` can be found: `<dataDir>/endpoints.json`, readable for its owner only. */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { identityOf } from '#ops/local/process.ts';

const endpointsSchema = z.object({
  kafkaBrokers: z.string(),
  registryUrl: z.string(),
  databaseUrl: z.string().nullable(),
  websocketUrl: z.string().nullable(),
  pid: z.int().min(1),
});
/** Pids are given out again; with the start time they name one process. */
const fileSchema = endpointsSchema.extend({ startTime: z.string().nullable() });

/** `databaseUrl` holds a password. Null: that part does not run. */
export type Endpoints = Readonly<z.infer<typeof endpointsSchema>>;

const fileIn = (dataDir: string): string => join(dataDir, 'endpoints.json');

/** Replaces what was there, in one step. */
export async function writeEndpoints(dataDir: string, endpoints: Endpoints): Promise<void> {
  await mkdir(dataDir, { recursive: true });
  const path = fileIn(dataDir);
  const startTime = identityOf(endpoints.pid)?.startTime ?? null;
  await rm(`${path}.new`, { force: true });
  await writeFile(`${path}.new`, `${JSON.stringify({ ...endpoints, startTime }, null, 2)}\n`, {
    mode: 0o600,
  });
  await rename(`${path}.new`, path);
}

/** Null when no `up` of this data directory is running: one that crashed leaves its file behind. */
export async function readEndpoints(dataDir: string): Promise<Endpoints | null> {
  try {
    const { startTime, ...endpoints } = fileSchema.parse(JSON.parse(await readFile(fileIn(dataDir), 'utf8')));
    const running = identityOf(endpoints.pid);
    return running !== null && (startTime === null || running.startTime === startTime) ? endpoints : null;
  } catch {
    return null;
  }
}

/** When `up` ends in order. */
export async function removeEndpoints(dataDir: string): Promise<void> {
  await rm(fileIn(dataDir), { force: true });
}
