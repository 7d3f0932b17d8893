import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { toDecimalText } from '#pipeline/amounts.ts';
import { checkAggregateLaws } from '#pipeline/testing/aggregate-laws.ts';
import { sumDecimal } from './sum-decimal.ts';

const { zero, add, merge, remove, result, codec } = sumDecimal((text: string) => text);
const total = (texts: readonly string[]): string => result(texts.reduce(add, zero));

const decimals = fc.oneof(
  fc.constantFrom('0', '-0', '0.000', '1.50', '-1.5', `1${'0'.repeat(70)}`, `-0.${'0'.repeat(69)}1`, '007'),
  fc
    .tuple(fc.bigInt({ min: -(2n ** 256n), max: 2n ** 256n }), fc.nat(60))
    .map(([raw, scale]) => toDecimalText(raw, scale)),
);

describe('sumDecimal', () => {
  test.each([
    [[], '0'],
    [['0.1', '0.2'], '0.3'],
    [['1.50', '-0.5'], '1'],
    [['-0.5', '0.25'], '-0.25'],
    [['100', '0.00'], '100'],
    [['99999999999999999999.99', '0.01'], '100000000000000000000'],
    [[`1${'0'.repeat(70)}`, '0.000000000000000001', `-1${'0'.repeat(70)}`], '0.000000000000000001'],
  ])('of %j is %s', (texts, expected) => {
    expect(total(texts)).toBe(expected);
  });

  test('goes beyond the 255 places of a token and the 400 characters of one input', () => {
    const fine = `0.${'0'.repeat(389)}1`;
    const large = '9'.repeat(400);
    const state = [fine, large].reduce(add, zero);
    expect(result(state)).toBe(`${large}.${'0'.repeat(389)}1`);
    expect(result(codec.decode(codec.encode(state)))).toBe(result(state));
    expect(result(remove?.(state, large) ?? zero)).toBe(fine);
  });

  test('what is taken out leaves no trace of its scale in the text', () => {
    const state = ['1.5', '0.0000001'].reduce(add, zero);
    expect(codec.encode(remove?.(state, '0.0000001') ?? zero)).toBe(codec.encode(add(zero, '1.5')));
    expect(codec.encode(merge(state, zero))).toBe('15000001/7');
  });

  test.each(['', '1e5', '0x10', ' 1', '.5', '5.', 'NaN'])('%j is refused', (text) => {
    expect(() => add(zero, text)).toThrow(RangeError);
  });

  test('keeps the laws of aggregates', () =>
    checkAggregateLaws(
      sumDecimal((text: string) => text),
      decimals,
    ));
});
