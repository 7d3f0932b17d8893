import { expect, test } from 'vitest';
import { countTests, formatCounts, unexcused } from './test-counts.ts';

const file = (status: string, ...tests: readonly (readonly [name: string, status: string])[]) => ({
  name: 'a.test.ts',
  status,
  assertionResults: tests.map(([fullName, result]) => ({ fullName, status: result })),
});

test('tests are counted over all files', () => {
  const counts = countTests({
    testResults: [
      file('passed', ['a', 'passed'], [' b', 'skipped']),
      file('failed', ['c', 'failed'], ['d', 'passed']),
    ],
  });
  expect(counts).toEqual({ passed: 2, failed: 1, skipped: 1, skippedNames: ['b'] });
  expect(formatCounts(counts)).toBe('2 passed, 1 failed, 1 skipped');
});

test('a file that does not load counts as one failure', () => {
  expect(formatCounts(countTests({ testResults: [file('failed')] }))).toBe('0 passed, 1 failed');
});

test('tests that never ran count as skipped', () => {
  expect(countTests({ testResults: [file('passed', ['a', 'pending'], ['b', 'todo'])] }).skipped).toBe(2);
});

test('only Docker and the internet excuse a skipped test', () => {
  expect(
    unexcused([
      'starts with Docker (no daemon)',
      'live: needs the internet',
      'postgres (skipped without DATABASE_URL)',
    ]),
  ).toEqual(['postgres (skipped without DATABASE_URL)']);
});
