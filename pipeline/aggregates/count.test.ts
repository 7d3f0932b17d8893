import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkAggregateLaws } from '#pipeline/testing/aggregate-laws.ts';
import { count } from './count.ts';

test('counts inputs of any kind, and takes them back', () => {
  const { zero, add, remove, result } = count();
  const two = add(add(zero, 'a'), null);
  expect(result(two)).toBe(2);
  expect(remove?.(two, 'a')).toBe(1);
});

test('keeps the laws of aggregates', () => checkAggregateLaws(count(), fc.anything()));
