import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openLevelBackend } from '#pipeline/state/level.ts';
import { empty, fill, mountSmall, unmount } from './disk.ts';

let disk = '';
beforeEach(async () => {
  disk = await mkdtemp(join(tmpdir(), 'baleen-disk-'));
});
afterEach(async () => {
  await unmount(disk);
  await rm(disk, { recursive: true, force: true });
});

test('a full disk fails every write with a code, loses no write before it, and is used again once there is room', async (context) => {
  context.skip(!(await mountSmall(disk)), 'no right to mount a file system');
  const backend = await openLevelBackend(join(disk, 'scale-0'));
  const write = (key: string) => backend.write([{ key, value: 'x'.repeat(100_000) }]);
  await write('before');
  fill(disk);
  let written = 0;
  // What its log has room for already may still be taken.
  await expect(
    (async () => {
      for (; written < 1_000; written += 1) await write(`full ${written}`);
    })(),
  ).rejects.toMatchObject({ code: 'STATE_UNREADABLE', facts: { isDamaged: false } });
  await expect(write('still full')).rejects.toMatchObject({ code: 'STATE_UNREADABLE' });
  expect(backend.isReady).toBe(false);

  await empty(disk);
  await write('after');
  expect(backend.isReady).toBe(true);
  const keys = (await Array.fromAsync(backend.scan('', '~'))).map(([key]) => key);
  expect(keys).toEqual(
    ['after', 'before', ...Array.from({ length: written }, (_, at) => `full ${at}`)].sort(),
  );
  await backend.close();
});
