import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { runSchedule } from '#pipeline/testing/simulation/schedule.ts';
import { PLANTED_BUGS, plant, tryBug } from './planted-bugs.ts';

test('a seed is a schedule: the same events, the same records', async () => {
  expect(await runSchedule(7)).toEqual(await runSchedule(7));
});

describe('planted bugs', () => {
  test('have names of their own', () => {
    expect(new Set(PLANTED_BUGS.map(({ name }) => name)).size).toBe(PLANTED_BUGS.length);
  });

  test.each(PLANTED_BUGS)('$name fits the code', (bug) => {
    const file = join(import.meta.dirname, '..', 'pipeline', bug.file);
    expect(plant(bug, readFileSync(file, 'utf8'))).toContain(bug.to);
  });

  test.each(PLANTED_BUGS.filter(({ name }) => ['tick-one-early', 'sequences-not-restored'].includes(name)))(
    '$name is caught',
    async (bug) => {
      const { after } = await tryBug(bug, 20, 1);
      expect(after).not.toBe(null);
    },
    60_000,
  );
});
