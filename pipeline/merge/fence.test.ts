import { expect, test } from 'vitest';
import { createFences, fenceEntry, isFence, isFencedOff, withFence } from './fence.ts';
import { readPosition } from './position.ts';

test('a fence is a position of its writer with a sequence that no record has', () => {
  const entry = fenceEntry('detect-2', 3, 700);
  const position = readPosition(entry.headers, 'alerts/0/7');
  expect(position).toEqual({ writer: 'detect-2', sequence: 0, epoch: 3, previousDigest: 0 });
  expect([entry.timestampMs, entry.key, entry.value]).toEqual([700, null, null]);
  expect([isFence(position), isFence({ sequence: 1 })]).toEqual([true, false]);
});

test('behind a fence earlier versions are not heard; before it, all are', () => {
  const fences = [{ epoch: 2, offset: 10 }];
  expect(isFencedOff(fences, 1, 11)).toBe(true);
  expect(isFencedOff(fences, 1, 9)).toBe(false);
  expect(isFencedOff(fences, 2, 11)).toBe(false);
});

test('of several fences of one version the first counts, and those of two versions both do', () => {
  const first = withFence([], { epoch: 2, offset: 10 });
  expect(withFence(first, { epoch: 2, offset: 14 })).toEqual(first);
  expect(withFence(first, { epoch: 2, offset: 4 })).toEqual([{ epoch: 2, offset: 4 }]);
  const both = withFence(first, { epoch: 3, offset: 20 });
  expect([isFencedOff(both, 1, 15), isFencedOff(both, 2, 15), isFencedOff(both, 2, 21)]).toEqual([
    true,
    false,
    true,
  ]);
});

test('a reader of many writers remembers the fences that it came by, and those that it was told of', () => {
  const fences = createFences(new Map([['t/0/a-0', [{ epoch: 2, offset: 3 }]]]));
  expect(fences.hears('t/0/a-0', { sequence: 9, epoch: 1 }, 4)).toBe(false);
  expect(fences.hears('t/0/b-0', { sequence: 9, epoch: 1 }, 4)).toBe(true);
  expect(fences.hears('t/0/b-0', { sequence: 0, epoch: 2 }, 5)).toBe(false);
  expect(fences.hears('t/0/b-0', { sequence: 10, epoch: 1 }, 6)).toBe(false);
  expect(fences.hears('t/0/b-0', { sequence: 10, epoch: 2 }, 7)).toBe(true);
});
