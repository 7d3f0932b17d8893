/**
 * Writes as bytes, as the changelog holds them: one after the other, each as the length of its key, the length of its value
 * plus one (0: deleted), both in four bytes, least byte first, then key and value in UTF-8. Nothing is escaped, so a restore
 * hands the bytes on as they are.
 */
import type { WriteOperation } from './backend.ts';

const HEAD_BYTES = 8;
/** UTF-8 of a UTF-16 code unit, at most. */
const MOST_BYTES_PER_CHAR = 3;

export interface Packer {
  readonly sizeBytes: number;
  /** Bytes of the last one added. */
  add(operation: WriteOperation): number;
  /** The first `sizeBytes` of what was added; what lies behind them stays, as its beginning. */
  take(sizeBytes: number): Buffer;
}

const FIRST_BYTES = 4_096;

export function createPacker(): Packer {
  let buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
  let size = 0;
  const reserve = (bytes: number): void => {
    if (size + bytes <= buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(2 * buffer.length, size + bytes));
    buffer.copy(larger, 0, 0, size);
    buffer = larger;
  };
  return {
    get sizeBytes() {
      return size;
    },
    add: ({ key, value }) => {
      reserve(HEAD_BYTES + MOST_BYTES_PER_CHAR * (key.length + (value?.length ?? 0)));
      const keyBytes = buffer.write(key, size + HEAD_BYTES);
      const valueBytes = value === null ? -1 : buffer.write(value, size + HEAD_BYTES + keyBytes);
      buffer.writeUInt32LE(keyBytes, size);
      buffer.writeUInt32LE(valueBytes + 1, size + 4);
      const bytes = HEAD_BYTES + keyBytes + Math.max(0, valueBytes);
      size += bytes;
      return bytes;
    },
    take: (bytes) => {
      const taken = Buffer.from(buffer.subarray(0, bytes));
      buffer.copyWithin(0, bytes, size);
      size -= bytes;
      return taken;
    },
  };
}

/** The writes of packed bytes, as parts of them; a null value deletes. The bytes must be whole (`countPacked`). */
export function* unpack(packed: Buffer): Generator<readonly [key: Buffer, value: Buffer | null]> {
  for (let at = 0; at < packed.length; ) {
    const keyEnd = at + HEAD_BYTES + packed.readUInt32LE(at);
    const valueBytes = packed.readUInt32LE(at + 4) - 1;
    const key = packed.subarray(at + HEAD_BYTES, keyEnd);
    at = keyEnd + Math.max(0, valueBytes);
    yield [key, valueBytes < 0 ? null : packed.subarray(keyEnd, at)];
  }
}

/** How many writes there are; null when the bytes are no whole writes. */
export function countPacked(packed: Buffer): number | null {
  let count = 0;
  let at = 0;
  for (; at + HEAD_BYTES <= packed.length; count += 1) {
    at += HEAD_BYTES + packed.readUInt32LE(at) + Math.max(0, packed.readUInt32LE(at + 4) - 1);
  }
  return at === packed.length ? count : null;
}

/** The writes as text. */
export const unpackTexts = (packed: Buffer): WriteOperation[] =>
  Array.from(unpack(packed), ([key, value]) => ({
    key: key.toString(),
    value: value === null ? null : value.toString(),
  }));
