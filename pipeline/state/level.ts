import { mkdir } from 'node:fs/promises';
import { ClassicLevel } from 'classic-level';
import { messageOf, PipelineError } from '#pipeline/errors.ts';
import type { StateBackend } from './backend.ts';

/**
 * State in a LevelDB folder. A batch is one entry of its write-ahead log: after a crash of the process it is there
 * whole or not at all. Not synced to disk: after a crash of the machine an older checkpoint comes back, which is
 * as good, because inputs are kept longer than checkpoints. Throws STATE_UNREADABLE.
 */
export async function openLevelBackend(folder: string): Promise<StateBackend> {
  await mkdir(folder, { recursive: true });
  const level = new ClassicLevel<string, string>(folder, {
    cacheSize: 4 * 1024 * 1024,
    writeBufferSize: 4 * 1024 * 1024,
  });
  try {
    await level.open();
  } catch (error) {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    throw new PipelineError(
      'STATE_UNREADABLE',
      `${folder}: expected a state folder of this task, found: ${messageOf(cause)}; stop the other process that uses it, or delete the folder to rebuild the state from the log`,
      { cause: error },
    );
  }
  return {
    get: (key) => level.getSync(key),
    write: async (operations) => {
      const batch = operations.map(({ key, value }) =>
        value === null ? { type: 'del' as const, key } : { type: 'put' as const, key, value },
      );
      try {
        await level.batch(batch);
      } catch (error) {
        // After a failed append (a full disk) the tail of the log is torn. Opening again cuts it off; without that, a
        // later batch behind the tear could survive a crash that an earlier one does not.
        await level.close();
        await level.open();
        throw error;
      }
    },
    keys: (first, end) => level.keys({ gte: first, lt: end }),
    close: () => level.close(),
  };
}
