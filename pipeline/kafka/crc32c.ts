/** CRC-32C (Castagnoli) of record batches: native where the addon loads, else slicing by eight. */
import { createRequire } from 'node:module';

const POLYNOMIAL = 0x82f63b78;

/** Table k holds the checksum of a byte followed by k zero bytes. */
const tables: readonly Int32Array[] = (() => {
  const all = Array.from({ length: 8 }, () => new Int32Array(256));
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    all[0]![byte] = crc;
  }
  for (let byte = 0; byte < 256; byte++) {
    for (let table = 1; table < 8; table++) {
      const before = all[table - 1]![byte]!;
      all[table]![byte] = (before >>> 8) ^ all[0]![before & 255]!;
    }
  }
  return all;
})();

/** The checksum in plain JavaScript (about 1 GB/s); an unsigned 32-bit number. */
export function crc32cPortable(bytes: Uint8Array): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = tables;
  let crc = -1;
  let at = 0;
  for (const stop = bytes.length - 7; at < stop; at += 8) {
    crc ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    crc =
      t7![crc & 255]! ^
      t6![(crc >>> 8) & 255]! ^
      t5![(crc >>> 16) & 255]! ^
      t4![crc >>> 24]! ^
      t3![bytes[at + 4]!]! ^
      t2![bytes[at + 5]!]! ^
      t1![bytes[at + 6]!]! ^
      t0![bytes[at + 7]!]!;
  }
  for (; at < bytes.length; at++) crc = (crc >>> 8) ^ t0![(crc ^ bytes[at]!) & 255]!;
  return ~crc >>> 0;
}

const isChecksum = (loaded: unknown): loaded is { crc32c(bytes: Uint8Array): number } =>
  typeof loaded === 'object' && loaded !== null && 'crc32c' in loaded && typeof loaded.crc32c === 'function';

/** The native checksum, or null where its binary is not installed for this platform. */
export const crc32cNative: ((bytes: Uint8Array) => number) | null = (() => {
  try {
    const loaded: unknown = createRequire(import.meta.url)('@node-rs/crc32');
    return isChecksum(loaded) ? (bytes) => loaded.crc32c(bytes) : null;
  } catch {
    // No binary for this platform: the portable one gives the same numbers.
    return null;
  }
})();

/** The checksum by the fastest means there is; an unsigned 32-bit number. */
export const crc32c: (bytes: Uint8Array) => number = crc32cNative ?? crc32cPortable;
