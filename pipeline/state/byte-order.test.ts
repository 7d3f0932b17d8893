import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compareUtf8, sortKeys } from './byte-order.ts';

/** Few letters, so that texts share beginnings; of one to four bytes, around the surrogates. */
const text = fc.string({
  unit: fc.constantFrom('', 'a', 'b', '\u00e9', '\ud7ff', '\ue000', '\uffff', '\u{10000}', '\u{10ffff}'),
});

test('compareUtf8 orders text as its bytes are', () => {
  fc.assert(
    fc.property(text, text, (a, b) => {
      expect(Math.sign(compareUtf8(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
    }),
    { numRuns: 2_000 },
  );
});

test('sortKeys orders keys by their bytes, each once', () => {
  fc.assert(
    fc.property(fc.array(text), (list) => {
      const sorted = [...list];
      sortKeys(sorted);
      expect(sorted).toEqual(
        [...new Set(list)].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
      );
    }),
  );
});
