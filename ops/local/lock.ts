/** One owner for a data directory: two brokers on one log directory would destroy it. */
import { linkSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { PipelineError } from '#pipeline/errors.ts';
import { identityOf, isRunning, readIdentity, writeIdentity } from './process.ts';

/**
 * Takes the directory, or throws SERVICE_FAILED naming the owner. A lock whose owner is dead is taken over.
 * Returns the release.
 */
export function lockDirectory(dataDir: string): () => void {
  mkdirSync(dataDir, { recursive: true });
  const path = join(dataDir, 'lock');
  const self = identityOf(process.pid);
  if (self === null) {
    throw new PipelineError(
      'SERVICE_FAILED',
      `cannot read the start time of process ${process.pid}; is /proc or ps available?`,
    );
  }
  for (let attempt = 0; attempt < 10; attempt++) {
    try {
      writeIdentity(path, self, 'wx');
      return () => {
        if (readIdentity(path)?.startTime === self.startTime) rmSync(path, { force: true });
      };
    } catch (error) {
      if (!isExistsError(error)) throw error;
    }
    const owner = readIdentity(path);
    if (owner !== null && isRunning(owner)) throw refused(dataDir, owner.pid);
    setAside(path);
  }
  throw refused(dataDir, null);
}

/** Removes a stale lock by renaming it first, so that of two processes only one removes a given lock. */
function setAside(path: string): void {
  const aside = `${path}.${process.pid}`;
  try {
    renameSync(path, aside);
    const owner = readIdentity(aside);
    // Somebody else took over between our look and our rename: give it back.
    if (owner !== null && isRunning(owner)) linkSync(aside, path);
  } catch {
    // Gone or given to a third one: the next attempt sees how it stands.
  }
  rmSync(aside, { force: true });
}

const refused = (dataDir: string, pid: number | null): PipelineError =>
  new PipelineError(
    'SERVICE_FAILED',
    `the data directory ${dataDir} is in use${pid === null ? '' : ` by process ${pid}`}: ` +
      'stop that one first, or choose another directory with --data-dir',
    { facts: { dataDir, pid } },
  );

const isExistsError = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'EEXIST';
