/** Where commands that bring tasks to a cut by decree write their state meanwhile. */
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { ForceOptions } from '#pipeline/plan/force.ts';
import { stateFolder } from '#pipeline/runtime/processing.ts';
import { openLevelBackend } from '#pipeline/state/level.ts';

/** A folder in the data directory, of this attempt alone; it is gone afterwards, whatever happened. */
export async function withScratch<T>(
  dataDir: string,
  work: (scratch: Pick<ForceOptions, 'instance' | 'openScratch'>) => Promise<T>,
): Promise<T> {
  const instance = randomUUID();
  const folder = join(resolve(dataDir), `force-${instance}`);
  try {
    return await work({ instance, openScratch: (task) => openLevelBackend(stateFolder(folder, task)) });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
