/**
 * HyperLogLog: how many different texts, from 2^precision registers; standard error 1.04 / sqrt(2^precision).
 * Estimated by O. Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (2017), algorithm 6: no tables
 * of bias, one formula for all sizes, and of functions only the square root, which rounds alike everywhere.
 */
import { hash64 } from './hash.ts';

const HASH_BITS = 64;
/** 1 / (2 ln 2) */
const ALPHA = 0.7213475204444817;

/** Registers before any text. */
export const emptyRegisters = (precision: number): Uint8Array => new Uint8Array(1 << precision);

/** Where a text counts, and the rank it has there: one more than the zeros that its hash begins with after the index. */
export interface Mark {
  readonly index: number;
  readonly rank: number;
}

/** The mark of a text; `precision` is 4 to 16. */
export function markOf(text: string, precision: number): Mark {
  const { high, low } = hash64(text);
  const rest = high << precision;
  const zeros = rest === 0 ? HASH_BITS / 2 - precision + Math.clz32(low) : Math.clz32(rest);
  return { index: high >>> (HASH_BITS / 2 - precision), rank: zeros + 1 };
}

/** The registers of the texts of both. */
export function mergeRegisters(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.map((rank, index) => Math.max(rank, b[index] ?? 0));
}

/** How many different texts were marked, not rounded. */
export function estimate(registers: Uint8Array, precision: number): number {
  const size = registers.length;
  const maxRank = HASH_BITS - precision + 1;
  const histogram = new Array<number>(maxRank + 1).fill(0);
  for (const rank of registers) histogram[rank] = (histogram[rank] ?? 0) + 1;
  const share = (rank: number): number => (histogram[rank] ?? 0) / size;
  let z = size * tau(1 - share(maxRank));
  for (let rank = maxRank - 1; rank >= 1; rank--) z = 0.5 * (z + (histogram[rank] ?? 0));
  z += size * sigma(share(0));
  return (ALPHA * size * size) / z;
}

function sigma(share: number): number {
  if (share === 1) return Number.POSITIVE_INFINITY;
  let [x, y, z] = [share, 1, share];
  for (let before = Number.NaN; z !== before; ) {
    before = z;
    x *= x;
    z += x * y;
    y += y;
  }
  return z;
}

function tau(share: number): number {
  if (share === 0 || share === 1) return 0;
  let [x, y, z] = [share, 1, 1 - share];
  for (let before = Number.NaN; z !== before; ) {
    before = z;
    x = Math.sqrt(x);
    y *= 0.5;
    z -= (1 - x) * (1 - x) * y;
  }
  return z / 3;
}
