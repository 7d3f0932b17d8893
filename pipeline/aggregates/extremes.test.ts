import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareDecimals, toDecimalText } from '#pipeline/amounts.ts';
import { checkAggregateLaws } from '#pipeline/testing/aggregate-laws.ts';
import { max, min } from './extremes.ts';

const HUGE = 10n ** 70n;
const bigints = fc.oneof(fc.constantFrom(HUGE, -HUGE, 0n), fc.bigInt());
const numbers = fc.oneof(fc.constantFrom(0, -0), fc.double({ noNaN: true, noDefaultInfinity: true }));
const decimals = fc
  .tuple(fc.integer({ min: -200, max: 200 }), fc.nat(3), fc.boolean())
  .map(([n, places, isPadded]) => toDecimalText(BigInt(n), places) + (isPadded && places === 0 ? '.0' : ''));

describe('max and min', () => {
  test('of bigints', () => {
    const values = [3n, -HUGE, HUGE, 0n];
    expect(values.reduce(max((x: bigint) => x).add, null)).toBe(HUGE);
    expect(values.reduce(min((x: bigint) => x).add, null)).toBe(-HUGE);
  });

  test('of numbers; -0 is 0', () => {
    const { zero, add, codec } = max((x: number) => x);
    expect([-3.5, -0.25].reduce(add, zero)).toBe(-0.25);
    expect(add(zero, -0)).toBe(0);
    expect(codec.decode(codec.encode(0.1))).toBe(0.1);
  });

  test('of decimal text by value, where code units would say otherwise', () => {
    const values = ['9.5', '10.25', '-3'];
    expect(values.reduce(max((x: string) => x, compareDecimals).add, null)).toBe('10.25');
    expect(values.reduce(min((x: string) => x, compareDecimals).add, null)).toBe('-3');
  });

  test('of texts that compare as equal the same stays in any order', () => {
    const { add } = max((x: string) => x, compareDecimals);
    expect(['1.50', '1.5', '1.500'].reduce(add, null)).toBe('1.5');
    expect(['1.500', '1.50', '1.5'].reduce(add, null)).toBe('1.5');
    expect(['1.50', '1.5'].reduce(min((x: string) => x, compareDecimals).add, null)).toBe('1.5');
  });

  test('are null for no inputs, and cannot be undone', () => {
    expect(max((x: bigint) => x).result(null)).toBeNull();
    expect(max((x: bigint) => x).remove).toBeNull();
    expect(min((x: number) => x).remove).toBeNull();
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY])('%d is refused', (value) => {
    expect(() => max((x: number) => x).add(null, value)).toThrow(RangeError);
  });

  test('keep the laws of aggregates', () => {
    const same = <V>(value: V): V => value;
    checkAggregateLaws(max<bigint, bigint>(same), bigints);
    checkAggregateLaws(min<bigint, bigint>(same), bigints);
    checkAggregateLaws(max<number, number>(same), numbers);
    checkAggregateLaws(min<number, number>(same), numbers);
    checkAggregateLaws(max<string>(same, compareDecimals), decimals);
    checkAggregateLaws(min<string>(same, compareDecimals), decimals);
    // Any text survives, unpaired surrogates too.
    const byLength = (a: string, b: string) => a.length - b.length;
    checkAggregateLaws(max<string>(same, byLength), fc.string({ maxLength: 3 }));
    checkAggregateLaws(max<string>(same, byLength), fc.constantFrom('\ud800', '\udc00', 'é', '-', ''));
  });
});
