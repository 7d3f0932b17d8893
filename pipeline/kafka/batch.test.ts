import { zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeBatches, offsetAfter } from './batch-decode.ts';
import { BATCH_HEADER_BYTES, CHECKSUM_FROM, encodeBatch, entryBytes } from './batch-encode.ts';
import { crc32c, crc32cNative, crc32cPortable } from './crc32c.ts';
import type { Entry } from './types.ts';
import { readInt64, writeInt64 } from './wire.ts';

const buffer = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
const entry: fc.Arbitrary<Entry> = fc.record({
  timestampMs: fc.oneof(
    fc.integer({ min: 0, max: 2 ** 45 }),
    fc.integer({ min: 1_700_000_000_000, max: 1_700_000_100_000 }),
  ),
  key: fc.option(buffer),
  value: fc.option(buffer),
  headers: fc.array(fc.tuple(fc.string({ unit: 'binary', maxLength: 40 }), buffer), { maxLength: 4 }),
});
const entries = fc.array(entry, { minLength: 1, maxLength: 80 });
const simple = (value: string, timestampMs = 1_000): Entry => ({
  timestampMs,
  key: null,
  value: Buffer.from(value),
  headers: [],
});
/** What the broker does when it stores a batch. */
const stored = (batch: Buffer, options: { base: number; attributes?: number; maxMs?: number }): Buffer => {
  const copy = Buffer.from(batch);
  writeInt64(copy, options.base, 0);
  copy.writeInt16BE(copy.readInt16BE(21) | (options.attributes ?? 0), 21);
  if (options.maxMs !== undefined) writeInt64(copy, options.maxMs, 35);
  copy.writeUInt32BE(crc32c(copy.subarray(CHECKSUM_FROM)), 17);
  return copy;
};
const values = (bytes: Buffer, from: number): unknown[] =>
  decodeBatches(bytes, from).map(({ offset, value }) => [offset, value?.toString()]);

describe('record batches', () => {
  test.each(['none', 'zstd'] as const)('come back as they were written (%s)', (compression) => {
    fc.assert(
      fc.property(entries, fc.integer({ min: 0, max: 2 ** 50 }), (written, base) => {
        const batch = encodeBatch(written, compression);
        if (compression === 'none') {
          expect(batch.length).toBeLessThanOrEqual(
            written.reduce((sum, one) => sum + entryBytes(one), BATCH_HEADER_BYTES),
          );
        }
        const bytes = stored(batch, { base });
        expect(offsetAfter(bytes, 0)).toBe(base + written.length);
        expect(decodeBatches(bytes, base)).toEqual(
          written.map((one, index) => ({
            offset: base + index,
            ...one,
            headers: one.headers.map(([name, value]) => [Buffer.from(name).toString(), value]),
          })),
        );
      }),
      { numRuns: 60 },
    );
  });

  test('state the checksum that both implementations find', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2_000 }), (bytes) => {
        expect(crc32cNative?.(bytes) ?? crc32cPortable(bytes)).toBe(crc32cPortable(bytes));
      }),
    );
    // RFC 3720, appendix B.4: 32 bytes of zero, and the usual check value.
    expect(crc32cPortable(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc32cPortable(Buffer.from('123456789'))).toBe(0xe3069283);
  });

  test('cut at any place give the complete ones and their next offset', () => {
    const first = stored(encodeBatch([simple('a'), simple('b')]), { base: 10 });
    const second = stored(encodeBatch([simple('c')]), { base: 12 });
    const both = Buffer.concat([first, second]);
    for (let length = 0; length <= both.length; length++) {
      const cut = both.subarray(0, length);
      const next = length < first.length ? 10 : length < both.length ? 12 : 13;
      expect(offsetAfter(cut, 10)).toBe(next);
      expect(decodeBatches(cut, 10)).toHaveLength(next - 10);
    }
  });

  test('give no record below the offset asked for', () => {
    const bytes = stored(encodeBatch([simple('a'), simple('b'), simple('c')]), { base: 5 });
    expect(values(bytes, 6)).toEqual([
      [6, 'b'],
      [7, 'c'],
    ]);
    expect(values(bytes, 8)).toEqual([]);
  });

  test('give the append time where the broker set it', () => {
    const bytes = stored(encodeBatch([simple('a', 1), simple('b', 2)]), {
      base: 0,
      attributes: 0x08,
      maxMs: 99,
    });
    expect(decodeBatches(bytes, 0).map(({ timestampMs }) => timestampMs)).toEqual([99, 99]);
  });

  test('of control records are passed over, their offsets count', () => {
    const control = stored(encodeBatch([simple('commit')]), { base: 3, attributes: 0x20 });
    expect(decodeBatches(control, 3)).toEqual([]);
    expect(offsetAfter(control, 3)).toBe(4);
  });

  test('that are damaged or of an unknown kind are refused with their offset', () => {
    const good = stored(encodeBatch([simple('a')]), { base: 7 });
    const flipped = Buffer.from(good);
    flipped[flipped.length - 2]! ^= 1;
    expect(() => decodeBatches(flipped, 7)).toThrow(/offset 7 has checksum/);
    expect(() => decodeBatches(stored(good, { base: 7, attributes: 3 }), 7)).toThrow(/codec 3/);
    const old = Buffer.from(good);
    old[16] = 1;
    expect(() => offsetAfter(old, 7)).toThrow(/format 1/);
    const overlong = Buffer.from(good);
    overlong.writeInt32BE(2, 57); // two records stated, one there
    expect(() => decodeBatches(stored(overlong, { base: 7 }), 7)).toThrow(/offset 7 ends inside a record/);
    const bomb = Buffer.concat([
      good.subarray(0, BATCH_HEADER_BYTES),
      zstdCompressSync(Buffer.alloc(300_000_000)),
    ]);
    bomb.writeInt32BE(bomb.length - 12, 8);
    expect(() => decodeBatches(stored(bomb, { base: 7, attributes: 4 }), 7)).toThrow(/offset 7/);
  });

  test('hold 64-bit numbers exactly', () => {
    const bytes = Buffer.alloc(8);
    fc.assert(
      fc.property(fc.maxSafeInteger(), (number) => {
        writeInt64(bytes, number, 0);
        expect(bytes.readBigInt64BE()).toBe(BigInt(number));
        expect(readInt64(bytes, 0)).toBe(number);
      }),
    );
  });
});
