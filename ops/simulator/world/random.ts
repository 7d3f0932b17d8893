/** Reproducible random numbers and identifiers: the same text gives the same sequence on every machine. */
import { createHash } from 'node:crypto';

export interface Random {
  /** Integer of 32 bits. */
  next(): number;
  /** Integer in [min, max]; the range is below 2^32. */
  between(min: number, max: number): number;
  /** Integer in [min, max]. */
  bigBetween(min: bigint, max: bigint): bigint;
  /** True once in `n` on average. */
  oneIn(n: number): boolean;
  pick<T>(list: readonly T[]): T;
}

/** Generator sfc32 (Chris Doty-Humphrey, PractRand), its state taken from a digest of the text. */
export function createRandom(text: string): Random {
  const digest = createHash('sha256').update(text).digest();
  let a = digest.readUInt32LE(0);
  let b = digest.readUInt32LE(4);
  let c = digest.readUInt32LE(8);
  let count = 1;
  const next = (): number => {
    const result = (a + b + count) | 0;
    count = (count + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + result;
    return result >>> 0;
  };
  for (let turn = 0; turn < 12; turn += 1) next();
  // The bias of the remainder is below 2^-10 for the ranges used here.
  const between = (min: number, max: number): number => min + (next() % (max - min + 1));
  const bigBetween = (min: bigint, max: bigint): bigint => {
    const bits = (BigInt(next()) << 96n) | (BigInt(next()) << 64n) | (BigInt(next()) << 32n) | BigInt(next());
    return min + (bits % (max - min + 1n));
  };
  return {
    next,
    between,
    bigBetween,
    oneIn: (n) => next() % n === 0,
    pick: (list) => list[next() % list.length]!,
  };
}

/** 32 bytes that follow from a text, as `0x` and 64 hex digits. */
export const hashOf = (text: string): string => `0x${createHash('sha256').update(text).digest('hex')}`;

/** 20 bytes that follow from a text, as an EVM address in lower case. */
export const addressOf = (text: string): string => hashOf(text).slice(0, 42);

const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

/** 32 or 64 bytes that follow from a text, in base58 like Solana's accounts and signatures. */
export function base58Of(text: string, bytes: 32 | 64): string {
  const digest = createHash(bytes === 32 ? 'sha256' : 'sha512')
    .update(text)
    .digest();
  // The first bit set keeps the usual length of the text.
  digest[0] = (digest[0] ?? 0) | 0x80;
  let value = BigInt(`0x${digest.toString('hex')}`);
  let result = '';
  while (value > 0n) {
    result = ALPHABET[Number(value % 58n)]! + result;
    value /= 58n;
  }
  return result;
}
