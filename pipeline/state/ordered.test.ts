import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createStoreHarness } from '#pipeline/testing/store-harness.ts';
import { ordered } from './ordered.ts';

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

test('ranges and prefixes come by the bytes of their keys', () => {
  const { handle } = createStoreHarness(ordered<number>());
  for (const [index, key] of ['b', 'a', '\u{1f40b}', '\uffff', 'ab', 'a'].entries()) handle.put(key, index);
  expect([...handle.range('a', 'b')]).toEqual([
    ['a', 5],
    ['ab', 4],
  ]);
  expect([...handle.range('', '\u{10ffff}')].map(([key]) => key)).toEqual([
    'a',
    'ab',
    'b',
    '\uffff',
    '\u{1f40b}',
  ]);
  expect([...handle.prefix('a')].map(([key]) => key)).toEqual(['a', 'ab']);
  handle.delete('a');
  expect([[...handle.prefix('a')], handle.size]).toEqual([[['ab', 4]], 4]);
});

test('equals a plain map, over refused records and restarts', () => {
  const key = fc.constantFrom('', 'a', 'aa', 'b', '\ud800', 'é', '\uffff', '\u{1f40b}');
  const step = fc.oneof(
    fc.record({ kind: fc.constantFrom('put', 'delete'), key, isRefused: fc.boolean() }),
    fc.constant({ kind: 'restart', key: '', isRefused: false }),
  );
  fc.assert(
    fc.property(fc.array(step), key, key, (steps, first, end) => {
      const harness = createStoreHarness(ordered<number>());
      const model = new Map<string, number>();
      for (const [index, { kind, key: given, isRefused }] of steps.entries()) {
        if (kind === 'restart') {
          harness.restart();
          continue;
        }
        const work = () => (kind === 'put' ? harness.handle.put(given, index) : harness.handle.delete(given));
        if (isRefused) {
          harness.refuse(work);
          continue;
        }
        work();
        if (kind === 'put') model.set(given.toWellFormed(), index);
        else model.delete(given.toWellFormed());
      }
      const isIn = (one: string): boolean =>
        byBytes(one, first.toWellFormed()) >= 0 && byBytes(one, end.toWellFormed()) < 0;
      const expected = [...model].filter(([one]) => isIn(one)).sort(([a], [b]) => byBytes(a, b));
      expect([...harness.handle.range(first, end)]).toEqual(expected);
      expect(harness.handle.size).toBe(model.size);
    }),
  );
});
