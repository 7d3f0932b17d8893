/** A fast hash of text that never changes. Not for security: whoever wants collisions finds them. */

const C1 = 0x239b961b;
const C2 = 0xab0e9789;
const C3 = 0x38b34ae5;
const C4 = 0xa1e38b93;

/** 64 bits, as two unsigned halves. */
export interface Hash64 {
  readonly high: number;
  readonly low: number;
}

/**
 * The first 64 bits of MurmurHash3_x86_128 with seed 0 (A. Appleby, `smhasher: src/MurmurHash3.cpp`) over the UTF-16LE
 * bytes of the text: its code units, so nothing is encoded first and unpaired surrogates count too.
 */
export function hash64(text: string): Hash64 {
  let [h1, h2, h3, h4] = [0, 0, 0, 0];
  const length = text.length;
  let i = 0;
  for (; i + 8 <= length; i += 8) {
    h1 = add5(rotl(h1 ^ mix(word(text, i), C1, 15, C2), 19) + h2, 0x561ccd1b);
    h2 = add5(rotl(h2 ^ mix(word(text, i + 2), C2, 16, C3), 17) + h3, 0x0bcaa747);
    h3 = add5(rotl(h3 ^ mix(word(text, i + 4), C3, 17, C4), 15) + h4, 0x96cd1c35);
    h4 = add5(rotl(h4 ^ mix(word(text, i + 6), C4, 18, C1), 13) + h1, 0x32ac3b17);
  }
  // The rest; words past the end are 0, and 0 changes nothing.
  h1 ^= mix(word(text, i), C1, 15, C2);
  h2 ^= mix(word(text, i + 2), C2, 16, C3);
  h3 ^= mix(word(text, i + 4), C3, 17, C4);
  h4 ^= mix(word(text, i + 6), C4, 18, C1);

  const bytes = length * 2;
  [h1, h2, h3, h4] = [h1 ^ bytes, h2 ^ bytes, h3 ^ bytes, h4 ^ bytes];
  h1 = (h1 + h2 + h3 + h4) | 0;
  [h2, h3, h4] = [(h2 + h1) | 0, (h3 + h1) | 0, (h4 + h1) | 0];
  [h1, h2, h3, h4] = [avalanche(h1), avalanche(h2), avalanche(h3), avalanche(h4)];
  h1 = (h1 + h2 + h3 + h4) | 0;
  return { high: h1 >>> 0, low: (h2 + h1) >>> 0 };
}

/** Two code units, the first one low; past the end they are NaN, which is 0 here. */
const word = (text: string, at: number): number => text.charCodeAt(at) | (text.charCodeAt(at + 1) << 16);

const rotl = (x: number, bits: number): number => (x << bits) | (x >>> (32 - bits));

const mix = (k: number, before: number, bits: number, after: number): number =>
  Math.imul(rotl(Math.imul(k, before), bits), after);

const add5 = (h: number, constant: number): number => (Math.imul(h, 5) + constant) | 0;

function avalanche(x: number): number {
  let h = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
