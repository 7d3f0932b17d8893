import { mkdtemp, readdir, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { isPipelineError } from '#pipeline/errors.ts';
import { LAST_KEY } from './backend.ts';
import { openLevelBackend, putAside } from './level.ts';
import { isWhole } from './level-files.ts';

let folder = '';
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'baleen-level-')), 'detect-0');
});
afterEach(() => rm(join(folder, '..'), { recursive: true, force: true }));

/** Batches of more than a write buffer together: the first ones are in a table, the last ones in the log. */
const BATCHES = 45;
const keyOf = (batch: number, index: number) =>
  `k${String((index * 7919 + batch) % 90_000).padStart(6, '0')}`;

async function fill(): Promise<void> {
  const backend = await openLevelBackend(folder);
  for (let batch = 0; batch < BATCHES; batch++) {
    const operations = Array.from({ length: 1_000 }, (_, index) => ({
      key: keyOf(batch, index),
      value: `{"batch":${batch},"text":"${'abcdefgh'.repeat(12)}${index}"}`,
    }));
    await backend.write([...operations, { key: 'meta', value: String(batch) }]);
  }
  // What is being moved from an older log into a table is there: then one log is left.
  await vi.waitFor(async () => expect(await files(/\.log$/)).toHaveLength(1), { timeout: 10_000 });
  await backend.close();
}

const files = async (pattern: RegExp): Promise<string[]> =>
  (await readdir(folder)).filter((name) => pattern.test(name)).map((name) => join(folder, name));
const fileOf = async (pattern: RegExp): Promise<string> => {
  const [first] = await files(pattern);
  if (first === undefined) throw new Error(`no file like ${pattern} in ${(await readdir(folder)).join(' ')}`);
  return first;
};

/** Overwrites bytes in the middle. */
async function overwrite(path: string, bytes = 64): Promise<void> {
  const contents = await readFile(path);
  const at = Math.floor(contents.length / 2);
  contents.fill(0x5a, at, Math.min(contents.length, at + bytes));
  await writeFile(path, contents);
}

const failure = async (): Promise<unknown> => {
  try {
    await (await openLevelBackend(folder)).close();
    return null;
  } catch (error) {
    return error;
  }
};
const isDamage = (error: unknown): boolean =>
  isPipelineError(error, 'STATE_UNREADABLE') && error.facts['isDamaged'] === true;

describe('a damaged state folder', () => {
  test.each<readonly [string, () => Promise<void>]>([
    ['bytes of a table are overwritten', async () => overwrite(await fileOf(/\.ldb$/))],
    ['a table is cut', async () => truncate(await fileOf(/\.ldb$/), 1_000)],
    ['a table is gone', async () => rm(await fileOf(/\.ldb$/))],
    ['bytes in the middle of the log are overwritten', async () => overwrite(await fileOf(/\.log$/))],
    ['the manifest is overwritten', async () => overwrite(await fileOf(/MANIFEST/))],
    ['the manifest is cut', async () => truncate(await fileOf(/MANIFEST/), 60)],
    ['the manifest is gone', async () => rm(await fileOf(/MANIFEST/))],
    ['CURRENT is garbage', () => writeFile(join(folder, 'CURRENT'), 'garbage')],
    ['CURRENT is gone, and the log alone would be read', () => rm(join(folder, 'CURRENT'))],
  ])('is noticed when %s, and can be put aside and begun anew', async (_, damage) => {
    await fill();
    await damage();
    const error = await failure();
    expect(isDamage(error), String(error)).toBe(true);
    await putAside(folder);
    const backend = await openLevelBackend(folder);
    expect(backend.get('meta')).toBeUndefined();
    await backend.close();
    expect((await stat(`${folder}.damaged`)).isDirectory()).toBe(true);
    // A second time takes the place of the first.
    await putAside(folder);
  });

  test('shows every flipped bit of a table', async () => {
    await fill();
    const table = await readFile(await fileOf(/\.ldb$/));
    expect(isWhole(table)).toBe(true);
    // The last 48 bytes hold padding, which means nothing.
    fc.assert(
      fc.property(fc.nat(table.length - 49), fc.nat(7), (at, bit) => {
        const flipped = Buffer.from(table);
        flipped[at] = (flipped[at] ?? 0) ^ (1 << bit);
        return !isWhole(flipped);
      }),
    );
    expect(isWhole(Buffer.alloc(0))).toBe(false);
  });

  test('fails at the read when a table disappears while it is open, and never reads as absent', async () => {
    await fill();
    const backend = await openLevelBackend(folder);
    const table = await fileOf(/\.ldb$/);
    await rename(table, `${table}.away`);
    let error: unknown = null;
    try {
      // Tables are opened when they are read for the first time.
      for await (const [key] of backend.scan('', LAST_KEY)) backend.get(key);
    } catch (thrown) {
      error = thrown;
    }
    await backend.close();
    expect(isDamage(error), String(error)).toBe(true);
  });
});

describe('a state folder that is not damaged', () => {
  test('opens when a table was being made of an older log, and both logs are there', async () => {
    const backend = await openLevelBackend(folder);
    await backend.write([{ key: 'a', value: '1' }]);
    await backend.close();
    const log = await readFile(await fileOf(/\.log$/));
    // The number of a log says its place; this one is newer and empty.
    await writeFile(join(folder, '000099.log'), '');
    const again = await openLevelBackend(folder);
    expect(again.get('a')).toBe('1');
    await again.close();
    // Cut, the older one would leave a hole before the newer.
    await writeFile(join(folder, '000100.log'), log.subarray(0, log.length - 3));
    await writeFile(join(folder, '000101.log'), '');
    expect(isDamage(await failure())).toBe(true);
  });

  test('opens after its process was killed in the middle of a write: the torn batch is gone, all before it is there', async () => {
    await fill();
    const log = await fileOf(/\.log$/);
    await truncate(log, (await stat(log)).size - 10);
    const backend = await openLevelBackend(folder);
    expect(backend.get('meta')).toBe(String(BATCHES - 2));
    await backend.close();
  });

  test('opens when a killed process left half a table that nothing refers to', async () => {
    await fill();
    const table = await readFile(await fileOf(/\.ldb$/));
    await writeFile(join(folder, '000900.ldb'), table.subarray(0, 5_000));
    expect(await failure()).toBeNull();
    expect(await files(/000900/)).toEqual([]);
  });

  test('is refused without being called damaged when another one has it open', async () => {
    const backend = await openLevelBackend(folder);
    const error = await failure();
    expect(isPipelineError(error, 'STATE_UNREADABLE')).toBe(true);
    expect(isDamage(error)).toBe(false);
    expect(String(error)).toContain('stop the other process');
    await backend.close();
  });

  test('shows in a scan what was there at the call, and says how large it is', async () => {
    const backend = await openLevelBackend(folder);
    await backend.write([{ key: 'a', value: '1' }]);
    const scanned = backend.scan('', LAST_KEY);
    await backend.write([{ key: 'b', value: '2' }]);
    expect(await Array.fromAsync(scanned)).toEqual([['a', '1']]);
    expect(await backend.sizeBytes?.()).toBeGreaterThan(0);
    await backend.close();
  });
});
