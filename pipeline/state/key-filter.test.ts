import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createKeyFilter } from './key-filter.ts';

test('never denies a key that was added', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary' }), { maxLength: 200 }), (keys) => {
      const filter = createKeyFilter();
      for (const key of keys) filter.add(key);
      expect(keys.filter((key) => !filter.mayHold(key))).toEqual([]);
    }),
  );
});

test('takes few absent keys for present ones, also after it has grown', () => {
  const filter = createKeyFilter();
  const keyOf = (n: number): string => `0x${n.toString(16).padStart(40, '0')}:${n % 150}`;
  const count = 200_000;
  for (let n = 0; n < count; n += 1) filter.add(keyOf(n));
  let denied = 0;
  let wrong = 0;
  for (let n = 0; n < count; n += 1) {
    if (!filter.mayHold(keyOf(n))) denied += 1;
    if (filter.mayHold(keyOf(count + n))) wrong += 1;
  }
  expect(denied).toBe(0);
  expect(wrong / count).toBeLessThan(0.01);
});

test('an empty one holds nothing', () => {
  expect(createKeyFilter().mayHold('')).toBe(false);
});
