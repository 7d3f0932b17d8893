import { expect, test } from 'vitest';
import { forcedLines } from './upgrade.ts';

test('a forced upgrade says which tasks are not exactly once, and what may come out twice', () => {
  expect(
    forcedLines([
      { task: 'detect-0', repeated: 1_200, isEmpty: false },
      { task: 'score-1', repeated: 0, isEmpty: true },
    ]),
  ).toEqual([
    'forced, and not exactly once: detect-0, score-1 and what reads from them',
    '  detect-0 goes on from its last checkpoint; it may write 1,200 records twice',
    '  score-1 begins empty, for it had no checkpoint; it may write 0 records twice',
    'never start the version before again; start this one now',
  ]);
});

test('says so when all tasks had come to the cut', () => {
  expect(forcedLines([])).toEqual(['all tasks are at the cut: nothing was forced']);
});
