import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  compareDecimals,
  groupThousands,
  isDecimalText,
  multiplyDecimals,
  numberToDecimalText,
  roundHalfEven,
  toDecimalText,
  toRawAmount,
} from './amounts.ts';

const uint256 = fc.bigInt({ min: 0n, max: 2n ** 256n - 1n });
const signed = fc.bigInt({ min: -(2n ** 200n), max: 2n ** 200n });
const decimals = fc.integer({ min: 0, max: 40 });

describe('properties', () => {
  test('raw to decimal text and back is the identity', () => {
    fc.assert(
      fc.property(fc.oneof(uint256, signed), decimals, (raw, places) => {
        const text = toDecimalText(raw, places);
        expect(text).toMatch(/^-?(0|[1-9]\d*)(\.\d*[1-9])?$/);
        expect(toRawAmount(text, places)).toBe(raw);
      }),
    );
  });

  test('a product is the product of the integers', () => {
    fc.assert(
      fc.property(signed, decimals, signed, decimals, (a, n, b, m) => {
        const product = multiplyDecimals(toDecimalText(a, n), toDecimalText(b, m));
        expect(product).toBe(toDecimalText(a * b, n + m));
      }),
    );
  });

  test('comparison agrees with the integers at a common scale', () => {
    fc.assert(
      fc.property(signed, decimals, signed, decimals, (a, n, b, m) => {
        const x = a * 10n ** BigInt(m);
        const y = b * 10n ** BigInt(n);
        const expected = x < y ? -1 : x > y ? 1 : 0;
        expect(compareDecimals(toDecimalText(a, n), toDecimalText(b, m))).toBe(expected);
      }),
    );
  });

  test('rounding moves a value by at most half a unit, and leaves exact values alone', () => {
    fc.assert(
      fc.property(signed, decimals, fc.integer({ min: 0, max: 8 }), (raw, n, places) => {
        const text = toDecimalText(raw, n);
        const scale = Math.max(n, places);
        const before = toRawAmount(text, scale) ?? 0n;
        const after = toRawAmount(roundHalfEven(text, places), scale) ?? 0n;
        const difference = before < after ? after - before : before - after;
        expect(2n * difference <= 10n ** BigInt(scale - places)).toBe(true);
      }),
    );
  });

  test('the text of a double reads back as the same double, without exponent', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e80, max: 1e80 }), (value) => {
        const text = numberToDecimalText(value) ?? '';
        if (text.length <= 400) expect(isDecimalText(text)).toBe(true);
        expect(Number(text)).toBe(value === 0 ? 0 : value);
      }),
    );
  });
});

test('only plain decimal text is accepted', () => {
  for (const text of ['0', '-1', '00.10', '12.5']) expect(isDecimalText(text)).toBe(true);
  for (const text of [
    '',
    '-',
    '.',
    '.5',
    '5.',
    '1e3',
    '+1',
    ' 1',
    '1 ',
    '0x1',
    '1.2.3',
    '--1',
    '1'.repeat(401),
  ]) {
    expect(isDecimalText(text)).toBe(false);
    expect(() => compareDecimals(text, '1')).toThrow(RangeError);
  }
});

test('an amount finer than the smallest unit has no raw amount', () => {
  expect(toRawAmount('1.0000010', 6)).toBe(1_000_001n);
  expect(toRawAmount('1.0000001', 6)).toBeNull();
  expect(() => toRawAmount('1', 256)).toThrow(RangeError);
});

test.each([
  ['0', '0'],
  ['999', '999'],
  ['1000', '1,000'],
  ['-1234567.8901', '-1,234,567.8901'],
  ['123456', '123,456'],
])('thousands of %s are grouped as %s', (text, grouped) => {
  expect(groupThousands(text)).toBe(grouped);
});

test.each([
  ['2.345', '2.34'],
  ['2.355', '2.36'],
  ['2.3450001', '2.35'],
  ['-0.005', '0.00'],
  ['-0.015', '-0.02'],
  ['7', '7.00'],
])('%s is shown as %s', (text, shown) => {
  expect(roundHalfEven(text, 2)).toBe(shown);
});

const vectors = resolve(process.env.BALEEN_RECORDINGS ?? '../shared/data', 'indicators/amounts/amounts.json');

describe.skipIf(!existsSync(vectors))('reference values', () => {
  const load = () => JSON.parse(readFileSync(vectors, 'utf8'));

  test('conversions agree', () => {
    const { conversions } = load();
    expect(conversions.length).toBeGreaterThan(20);
    for (const { raw, decimals: places, decimal } of conversions) {
      expect(toDecimalText(BigInt(raw), places)).toBe(decimal);
      expect(toRawAmount(decimal, places)).toBe(BigInt(raw));
    }
  });

  test('USD values agree exactly, and rounded to cents', () => {
    for (const { raw, decimals: places, price, usdExact, usdHalfEven2 } of load().usd) {
      const usd = multiplyDecimals(toDecimalText(BigInt(raw), places), price);
      expect(compareDecimals(usd, usdExact)).toBe(0);
      expect(roundHalfEven(usd, 2)).toBe(usdHalfEven2);
    }
  });

  test('thresholds are strict and exact', () => {
    for (const { raw, threshold, decimals: places, strictlyGreater } of load().thresholdChecks) {
      expect(compareDecimals(toDecimalText(BigInt(raw), places), threshold) > 0).toBe(strictlyGreater);
    }
  });
});
