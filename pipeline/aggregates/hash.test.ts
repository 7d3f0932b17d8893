import { expect, test } from 'vitest';
import { hash64 } from './hash.ts';

const hex = (text: string): string => {
  const { high, low } = hash64(text);
  return high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0');
};

// Made with the npm package murmurhash3js-revisited 3.0.0, x86.hash128 over UTF-16LE bytes: its first 16 digits.
test.each([
  ['', '0000000000000000'],
  ['a', '033bb196ccef4fe1'],
  ['baleen', 'c41fc845d5b3774f'],
  ['The quick brown fox jumps over the lazy dog', '15beb6860f94f6ca'],
  ['0x00000000219ab540356cbb839cbe05303d7705fa', '3eef53f37a318f76'],
])('the hash of %j never changes', (text, expected) => {
  expect(hex(text)).toBe(expected);
});
