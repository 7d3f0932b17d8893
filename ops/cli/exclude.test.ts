import { expect, test } from 'vitest';
import { excludedSince, versionStatusOf } from '#ops/admin/version-status.ts';
import type { Version } from '#pipeline/plan/versions.ts';
import { type Exclusion, excludedLines, exclusionLines } from './exclude.ts';
import { returnedLines, wouldLines } from './take-in.ts';
import { endedAtCut } from './version-end.ts';

const version = (epoch: number, excluded: readonly string[], forced: readonly string[] = []): Version => ({
  ...{ epoch, excluded, forced, fingerprint: 'abcdef0123456789', atMs: 0, note: null, description: null },
  ...{ startOffsets: new Map(), fences: new Map(), dropped: [] },
  cut: epoch === 1 ? null : { offset: epoch, logTimeMs: 1_000 * epoch },
});
const nothing: Exclusion = { excluded: [], returning: [], short: [] };
const excluded = [{ name: 'detect-2', epoch: 2, sinceMs: 2_000 }];

test('what is excluded is so since the first cut of all that did without it in a row', () => {
  const versions = [
    version(1, []),
    version(2, ['detect-2']),
    version(3, []),
    version(4, ['detect-2']),
    version(5, ['detect-2', 'raw.trades.v1/3']),
  ];
  expect(excludedSince(versions)).toEqual([
    { name: 'detect-2', epoch: 4, sinceMs: 4_000 },
    { name: 'raw.trades.v1/3', epoch: 5, sinceMs: 5_000 },
  ]);
  expect(excludedSince([])).toEqual([]);
});

test('a status is of the version that runs, not of one that was decided since, and keeps forced cuts', () => {
  const versions = [version(1, []), version(2, ['detect-2'], ['score-0']), version(3, [], ['detect-2'])];
  const genesis = { fingerprint: 'abc', epoch: 2, startOffsets: new Map(), versions };
  expect(versionStatusOf(genesis)).toEqual({
    ...{ epoch: 2, fingerprint: 'abc', excluded },
    forced: [{ epoch: 2, cutMs: 2_000, tasks: ['score-0'] }],
  });
});

test('says when nothing is excluded', () => {
  expect(exclusionLines(nothing)).toEqual(['nothing is excluded']);
  expect(exclusionLines({ ...nothing, returning: ['detect-2'] })).toEqual(['nothing is excluded']);
});

test('lists what is excluded since when, and how it comes back', () => {
  expect(exclusionLines({ ...nothing, excluded })).toEqual([
    'detect-2  since 1970-01-01T00:00:02.000Z, from version 2 on',
    '"baleen return detect-2 --yes" takes it in again, once its cause is mended',
  ]);
});

test('names who is not at the cut yet, and how they come there', () => {
  const [, next] = exclusionLines({ ...nothing, excluded, short: ['detect-2', 'score-0'] });
  expect(next).toContain('not at that cut yet: detect-2, score-0');
  expect(next).toContain('"baleen upgrade --force --yes"');
});

test('a return that is not done says so, and how it goes on', () => {
  expect(exclusionLines({ excluded: [], returning: ['detect-2'], short: ['detect-2', 'score-0'] })).toEqual([
    'detect-2  returns, and is not there yet',
    '"baleen return detect-2 --yes" goes on until it is there',
  ]);
});

test('what was decided says from where on it holds, and the next step', () => {
  const [what, next] = excludedLines(version(2, ['detect-1', 'detect-2']), ['detect-2']);
  expect(what).toBe(
    'from 1970-01-01T00:00:02.000Z on, in the order of the log, version 2 (abcdef012345) goes on without detect-2',
  );
  expect(next).toContain('"baleen upgrade --force --yes", and start all processes again');
});

test('before it is decided, a return says what would become of each name', () => {
  expect(
    wouldLines(['detect-2', 'score-1', 'score-0'], { excluded, returning: ['score-1'], short: [] }),
  ).toEqual([
    'detect-2 would be taken in again: what it had not folded would count as of now',
    'score-1 was taken in again already',
    'score-0 is not excluded',
    'nothing was decided: add --yes',
  ]);
});

test('a return says from where its tasks go on, and nothing of those that stay excluded', () => {
  const forced = [
    { task: 'detect-2', repeated: 0, isEmpty: false },
    { task: 'detect-3', repeated: 1_200, isEmpty: false },
    { task: 'score-1', repeated: 0, isEmpty: true },
  ];
  expect(returnedLines(['detect-2', 'score-1'], forced)).toEqual([
    'detect-2 goes on from where it stood, and what it had not folded counts as of that cut',
    'score-1 begins empty, for it had no checkpoint, and what it had not folded counts as of that cut',
    'all are at the cut: start the processes again, with detect-2, score-1',
  ]);
  expect(returnedLines(['detect-3'], forced)[0]).toContain('; it may write 1,200 records twice');
});

test('a process that ends at a cut names both: another code, and this one again', () => {
  expect(endedAtCut(3)).toContain('at the cut to version 3');
  expect(endedAtCut(3)).toContain('this again after "baleen exclude" or "baleen return"');
});
