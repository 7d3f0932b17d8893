import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { AbstractChainedBatch, AbstractIterator } from 'abstract-level';
import { ClassicLevel } from 'classic-level';
import { messageOf, PipelineError } from '#pipeline/errors.ts';
import type { StateBackend, WriteOperation } from './backend.ts';
import { damagedLists, damagedTables, droppedAtOpen } from './level-files.ts';
import { unpack } from './packed.ts';

type Level = ClassicLevel<string, string>;
type Batch = AbstractChainedBatch<Level, string, string>;

/**
 * State in a LevelDB folder. A batch is one entry of its write-ahead log: after a crash of the process it is there
 * whole or not at all. Not synced to disk: after a crash of the machine an older checkpoint comes back, which is
 * as good, because inputs are kept longer than checkpoints. Throws STATE_UNREADABLE (now, or at a
 * later call), with the fact `isDamaged` when the files themselves are and the state must be made again.
 */
export async function openLevelBackend(folder: string): Promise<StateBackend> {
  await mkdir(folder, { recursive: true });
  const level = await openWhole(folder);
  const readFailed = (error: unknown): PipelineError =>
    unreadable(
      folder,
      error,
      'start again: what is damaged is found then, and made again from the changelog',
    );
  // After a failed append (a full disk) the tail of the log is torn. Opening again cuts it off; without that, a later
  // batch behind the tear could survive a crash that an earlier one does not. Opening writes too: on a disk that is still
  // full it fails, and the next append tries it again.
  let isReady = true;
  const reopen = async (): Promise<void> => {
    isReady = false;
    await level.close();
    await level.open();
    isReady = true;
  };
  const appending = async (append: () => Promise<void>): Promise<void> => {
    try {
      if (!isReady) await reopen();
      await append();
    } catch (error) {
      await reopen().catch(() => {});
      throw unreadable(folder, error, 'make room on its disk, or correct its rights');
    }
  };
  return {
    get isReady() {
      return isReady;
    },
    get: (key) => {
      try {
        return level.getSync(key);
      } catch (error) {
        throw readFailed(error);
      }
    },
    write: (operations) => appending(() => addTo(level.batch(), operations).write()),
    writePacked: (packed, operations) =>
      appending(() => {
        const batch = level.batch();
        for (const part of packed) {
          for (const [key, value] of unpack(part)) {
            if (value === null) batch.del(key, AS_BYTES);
            else batch.put(key, value, AS_BYTES);
          }
        }
        return addTo(batch, operations).write();
      }),
    // The iterator is made here: it shows what is there at the call.
    scan: (first, end) => entriesOf(pagesOf(level.iterator({ gte: first, lt: end }), readFailed)),
    pages: (first, end) => pagesOf(level.iterator({ gte: first, lt: end }), readFailed),
    lastKey: async (first, end) => {
      try {
        const [last = null] = await level.keys({ gte: first, lt: end, reverse: true, limit: 1 }).all();
        return last;
      } catch (error) {
        throw readFailed(error);
      }
    },
    clear: (first, end) => appending(() => level.clear({ gte: first, lt: end })),
    sizeBytes: () => bytesIn(folder),
    close: () => level.close(),
  };
}

/** Put by put: a list of operations would be built here, kept, and read back property by property. */
function addTo(batch: Batch, operations: Iterable<WriteOperation>): Batch {
  for (const { key, value } of operations) {
    if (value === null) batch.del(key);
    else batch.put(key, value);
  }
  return batch;
}

/** Moves a damaged folder to `<folder>.damaged`, in the place of an earlier one. */
export async function putAside(folder: string): Promise<void> {
  const aside = `${folder}.damaged`;
  await rm(aside, { recursive: true, force: true });
  await rename(folder, aside);
}

/** Looks at the files before they are opened, which changes them, and believes what it saw once nobody else has them. */
async function openWhole(folder: string): Promise<Level> {
  const wrongBefore = await damagedLists(folder);
  const suspects = await damagedTables(folder);
  // It begins to open by itself: nothing may be thrown from here on that leaves it open.
  const level: Level = new ClassicLevel(folder, {
    // For each task one. The task keeps what it used lately, decoded; the kernel keeps the tables.
    cacheSize: 1024 * 1024,
    writeBufferSize: 2 * 1024 * 1024,
  });
  try {
    await level.open();
  } catch (error) {
    throw unreadable(folder, error, 'stop the other process that uses it, or correct its rights');
  }
  // Tables that nothing refers to are gone once it is open.
  const damaged = suspects.length === 0 ? [] : await damagedTables(folder);
  const wrong =
    wrongBefore ??
    (await droppedAtOpen(folder)) ??
    (damaged.length === 0 ? null : `wrong checksums in ${damaged.join(', ')}`);
  if (wrong === null) return level;
  await level.close();
  throw damage(folder, wrong, undefined);
}

type Page = readonly (readonly [key: string, value: string])[];
const AS_BYTES = { keyEncoding: 'buffer', valueEncoding: 'buffer' } as const;
const PAGE_ENTRIES = 1_000;

async function* pagesOf(
  iterator: AbstractIterator<Level, string, string>,
  readFailed: (error: unknown) => Error,
): AsyncGenerator<Page> {
  try {
    for (;;) {
      const page = await iterator.nextv(PAGE_ENTRIES);
      if (page.length === 0) return;
      yield page;
    }
  } catch (error) {
    throw readFailed(error);
  } finally {
    await iterator.close();
  }
}

async function* entriesOf(pages: AsyncIterable<Page>): AsyncGenerator<readonly [string, string]> {
  for await (const page of pages) yield* page;
}

function unreadable(folder: string, error: unknown, nextStep: string): PipelineError {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const code = cause instanceof Error && 'code' in cause ? cause.code : null;
  const isMissing = code === 'LEVEL_IO_ERROR' && /No such file/.test(messageOf(cause));
  if (code === 'LEVEL_CORRUPTION' || isMissing) return damage(folder, messageOf(cause), error);
  return new PipelineError(
    'STATE_UNREADABLE',
    `${folder}: expected a state folder that this process can read and write, found: ${messageOf(cause)}; ${nextStep}`,
    { facts: { isDamaged: false }, cause: error },
  );
}

const damage = (folder: string, found: string, cause: unknown): PipelineError =>
  new PipelineError(
    'STATE_UNREADABLE',
    `${folder}: expected whole files, found: ${found}; a start makes the state again from the changelog`,
    { facts: { isDamaged: true }, cause },
  );

/** Files come and go while they are looked at. */
async function bytesIn(folder: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(folder)) {
    const found = await stat(join(folder, name)).catch(() => null);
    bytes += found?.size ?? 0;
  }
  return bytes;
}
