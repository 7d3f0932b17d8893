import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readAdminAddress, removeAdminAddress, writeAdminAddress } from './address.ts';

let dataDir = '';
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'baleen-admin-'));
});
afterEach(() => rm(dataDir, { recursive: true }));

const address = { url: 'http://127.0.0.1:41234', pid: process.pid };

test('the address is found while its process runs, and gone when it ended in order', async () => {
  expect(await readAdminAddress(dataDir)).toBeNull();
  await writeAdminAddress(dataDir, address);
  expect(await readAdminAddress(dataDir)).toEqual(address);
  await removeAdminAddress(dataDir);
  expect(await readAdminAddress(dataDir)).toBeNull();
});

test('the address of a crashed process counts as none, also when its pid was given out again', async () => {
  await writeAdminAddress(dataDir, address);
  const path = join(dataDir, 'run', 'admin.json');
  const content = JSON.parse(await readFile(path, 'utf8'));
  await writeFile(path, JSON.stringify({ ...content, startTime: 'another' }));
  expect(await readAdminAddress(dataDir)).toBeNull();
  await writeFile(path, '{"url":');
  expect(await readAdminAddress(dataDir)).toBeNull();
});
