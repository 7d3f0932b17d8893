import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { damagedLists, damagedTables } from './level-files.ts';

test('a file that goes away between the list and the look is not damaged, and is no error', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'baleen-level-files-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, 'CURRENT'), 'MANIFEST-000002\n');
  // A name that leads nowhere: listed, and not there when it is opened.
  for (const name of ['000005.ldb', '000003.log', '000004.log', 'MANIFEST-000002'])
    await symlink(join(folder, 'gone'), join(folder, name));
  expect(await damagedTables(folder)).toEqual([]);
  expect(await damagedLists(folder)).toBeNull();
});
