import { expect, test } from 'vitest';
import { watchRestores } from './status.ts';

const id = { subTopology: 'detect', partition: 2 };
const progress = (entries: number, isDone = false) => ({
  entries,
  bytes: 10 * entries,
  remaining: 5,
  isDone,
});

test('restores are known from their first record to their end; those that had nothing to take are not shown', () => {
  let nowMs = 100;
  const restores = watchRestores(() => nowMs);
  restores.onRestore(id, progress(0));
  expect(restores.list).toMatchObject([{ task: 'detect-2', startedAtMs: 100, endedAtMs: null }]);
  nowMs = 300;
  expect(restores.onRestore(id, progress(9))).toMatchObject({ entries: 9, bytes: 90, startedAtMs: 100 });
  nowMs = 400;
  restores.onRestore(id, progress(10, true));
  restores.onRestore({ ...id, partition: 3 }, progress(0, true));
  expect(restores.list).toEqual([
    {
      task: 'detect-2',
      isDone: true,
      entries: 10,
      bytes: 100,
      remaining: 5,
      startedAtMs: 100,
      endedAtMs: 400,
    },
  ]);
});
