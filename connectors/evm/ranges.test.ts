import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createRangeSet } from './ranges.ts';

test('a range set holds what a plain set holds, in the fewest ranges', () => {
  const change = fc.record({
    isAdded: fc.boolean(),
    first: fc.nat(40),
    length: fc.integer({ min: 1, max: 8 }),
  });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 30 }), (changes) => {
      const ranges = createRangeSet();
      const plain = new Set<number>();
      for (const { isAdded, first, length } of changes) {
        if (isAdded) ranges.add(first, first + length - 1);
        else ranges.remove(first, first + length - 1);
        for (let number = first; number < first + length; number += 1) {
          if (isAdded) plain.add(number);
          else plain.delete(number);
        }
      }
      const held = ranges.ranges.flatMap(({ first, last }) =>
        Array.from({ length: last - first + 1 }, (_, index) => first + index),
      );
      expect(held).toEqual([...plain].sort((a, b) => a - b));
      expect(ranges.size).toBe(plain.size);
      for (const [index, { first }] of ranges.ranges.entries()) {
        expect(first).toBeGreaterThan((ranges.ranges[index - 1]?.last ?? -2) + 1);
      }
    }),
  );
});
