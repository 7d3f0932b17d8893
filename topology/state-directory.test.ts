import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { allNotesIn, keepStateOf, notesIn, openStateIn, storedIn } from './state-directory.ts';

const genesis = (fingerprint: string, atMs: number) => ({ name: `${fingerprint} ${atMs}` });
const task = { subTopology: 'detect', partition: 3 };

test('state is kept for the genesis that it is of, and forgotten for another', async () => {
  const home = await mkdtemp(join(tmpdir(), 'baleen-state-directory-'));
  onTestFinished(() => rm(home, { recursive: true, force: true }));
  const directory = join(home, 'state');
  expect(storedIn(directory)).toEqual([]);

  await keepStateOf(directory, genesis('one', 7));
  await (await openStateIn(directory)(task)).close();
  expect(storedIn(directory)).toEqual(['detect-3']);

  await keepStateOf(directory, genesis('one', 7));
  expect(storedIn(directory)).toEqual(['detect-3']);

  for (const other of [genesis('one', 8), genesis('two', 8)]) {
    await (await openStateIn(directory)(task)).close();
    await keepStateOf(directory, other);
    expect(await readdir(directory)).toEqual(['genesis']);
  }
});

test('notes of the process and of its threads lie apart, and all are found', async () => {
  const home = await mkdtemp(join(tmpdir(), 'baleen-state-directory-'));
  onTestFinished(() => rm(home, { recursive: true, force: true }));
  const directory = join(home, 'state');
  const log = { warn: () => {} };
  for (const [thread, text] of [[null, 'own'] as const, [1, 'first'] as const, [2, 'second'] as const])
    notesIn(directory, log, thread).write('mark', text);
  expect(notesIn(directory, log, 2).read('mark')).toBe('second');
  const found = allNotesIn(directory, log).map((notes) => notes.read('mark'));
  expect(found.sort()).toEqual(['first', 'own', 'second']);
  expect(storedIn(directory)).toEqual([]);
});
