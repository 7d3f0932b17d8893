import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  LEAST_TIME_MS,
  readSortableTime,
  requireTime,
  SORTABLE_LENGTH,
  sortableTime,
} from './sortable-time.ts';

const time = fc.oneof(
  fc.integer({ min: LEAST_TIME_MS, max: -LEAST_TIME_MS - 1 }),
  fc.integer({ min: -100, max: 100 }),
  fc.constantFrom(LEAST_TIME_MS, -1, 0, -LEAST_TIME_MS - 1),
);

test('sortable times have one length, the order of time, and can be read again', () => {
  fc.assert(
    fc.property(time, time, (a, b) => {
      const [first, second] = [sortableTime(a), sortableTime(b)];
      expect([first.length, second.length]).toEqual([SORTABLE_LENGTH, SORTABLE_LENGTH]);
      expect(first < second).toBe(a < b);
      expect(readSortableTime(`${first}rest`)).toBe(a);
    }),
  );
});

test('a time that is not whole milliseconds in reach is refused', () => {
  for (const wrong of [0.5, Number.NaN, Number.POSITIVE_INFINITY, -LEAST_TIME_MS, LEAST_TIME_MS - 1]) {
    expect(() => requireTime(wrong)).toThrow(/expected whole milliseconds/);
  }
});
