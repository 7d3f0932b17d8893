import { expect, test } from 'vitest';
import { decidedLine, forcedLines } from './upgrade.ts';

test('a forced upgrade says which tasks are not exactly once, and what may come out twice', () => {
  expect(
    forcedLines(
      [
        { task: 'detect-0', repeated: 1_200, isEmpty: false },
        { task: 'score-1', repeated: 0, isEmpty: true },
      ],
      false,
    ),
  ).toEqual([
    'forced, and not exactly once: detect-0, score-1 and what reads from them',
    '  detect-0 goes on from its last checkpoint; it may write 1,200 records twice',
    '  score-1 begins empty, for it had no checkpoint',
    'never start the version before again; start this one now',
  ]);
});

test('says so when all tasks had come to the cut', () => {
  expect(forcedLines([], false)).toEqual(['all tasks are at the cut: nothing was forced']);
});

test('after an orderly stop nothing comes out twice, and after an exclusion the same code is started again', () => {
  const lines = forcedLines([{ task: 'detect-0', repeated: 0, isEmpty: false }], true);
  expect(lines.slice(0, 2)).toEqual([
    'forced: detect-0; they had written nothing after their last checkpoints, so nothing comes out twice',
    '  detect-0 goes on from its last checkpoint',
  ]);
  expect(lines.at(-1)).toBe('start the processes again: they go on from that cut');
});

test('an upgrade that takes in an excluded task says that force brings it there; a partition needs none', () => {
  expect(decidedLine(['detect-2'])).toContain('then "baleen upgrade --force --yes" brings it there');
  expect(decidedLine(['raw.trades.v1/3'])).toContain('it waits for them');
});
