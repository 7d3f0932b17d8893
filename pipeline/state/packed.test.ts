import fc from 'fast-check';
import { expect, test } from 'vitest';
import { countPacked, createPacker, unpackTexts } from './packed.ts';

const operations = fc.array(
  fc.record({ key: fc.string({ unit: 'grapheme' }), value: fc.option(fc.string({ unit: 'grapheme' })) }),
);

test('writes come back as they were packed, an empty value and a deletion apart', () => {
  fc.assert(
    fc.property(operations, (written) => {
      const packer = createPacker();
      for (const operation of [...written, { key: 'empty', value: '' }, { key: 'gone', value: null }])
        packer.add(operation);
      const packed = packer.take(packer.sizeBytes);
      expect(countPacked(packed)).toBe(written.length + 2);
      expect(unpackTexts(packed)).toEqual([
        ...written,
        { key: 'empty', value: '' },
        { key: 'gone', value: null },
      ]);
    }),
  );
});

test('what lies behind what is taken stays, however large', () => {
  const packer = createPacker();
  const first = packer.add({ key: 'a', value: 'x'.repeat(10_000) });
  packer.add({ key: 'b', value: 'y'.repeat(20_000) });
  expect(unpackTexts(packer.take(first))).toEqual([{ key: 'a', value: 'x'.repeat(10_000) }]);
  expect(unpackTexts(packer.take(packer.sizeBytes))).toEqual([{ key: 'b', value: 'y'.repeat(20_000) }]);
  expect(packer.sizeBytes).toBe(0);
});

test('bytes that end in the middle of a write are not whole', () => {
  const packer = createPacker();
  packer.add({ key: 'key', value: 'value' });
  const packed = packer.take(packer.sizeBytes);
  for (let end = 1; end < packed.length; end += 1) expect(countPacked(packed.subarray(0, end))).toBeNull();
  expect(countPacked(Buffer.alloc(0))).toBe(0);
});
