import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isPipelineError } from '#pipeline/errors.ts';
import { checkAggregateLaws } from '#pipeline/testing/aggregate-laws.ts';
import { distinct } from './distinct.ts';

const same = (text: string): string => text;
const wallets = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, n) => `wallet-${from + n}`);

describe('distinct', () => {
  const { zero, add, merge, result, codec } = distinct(same);
  const of = (texts: readonly string[]) => texts.reduce(add, zero);

  test('is exact below 1,000 and an estimate from there on', () => {
    expect(result(zero)).toStrictEqual({ count: 0, isExact: true });
    expect(result(of(['b', 'a', 'b', '']))).toStrictEqual({ count: 3, isExact: true });
    expect(result(of(wallets(1, 1_000)))).toStrictEqual({ count: 999, isExact: true });
    expect(result(of(wallets(1, 1_001)))).toStrictEqual({ count: 1_000, isExact: false });
    expect(result(of(wallets(1, 10_001)))).toStrictEqual({ count: 9_891, isExact: false });
  });

  test('texts seen before change nothing, not even the object', () => {
    const [few, many] = [of(wallets(0, 3)), of(wallets(0, 2_000))];
    expect(add(few, 'wallet-2')).toBe(few);
    expect(add(many, 'wallet-1999')).toBe(many);
  });

  test('parts that overlap count once, whether exact or not', () => {
    const all = codec.encode(of(wallets(0, 3_000)));
    const [small, large, more] = [wallets(0, 600), wallets(500, 2_500), wallets(2_400, 3_000)].map(of);
    if (small === undefined || large === undefined || more === undefined) throw new Error('three parts');
    expect(codec.encode(merge(merge(small, large), more))).toBe(all);
    expect(codec.encode(merge(small, merge(more, large)))).toBe(all);
    expect(codec.encode(merge(merge(small, more), large))).toBe(all);
    expect(result(merge(small, more))).toMatchObject({ isExact: false });
  });

  test('cannot be undone', () => expect(distinct(same).remove).toBeNull());

  test('all wrong settings are refused at once', () => {
    try {
      distinct(same, { exactBelow: 0, precision: 17 });
      expect.unreachable();
    } catch (error) {
      if (!isPipelineError(error, 'GRAPH_INVALID')) throw error;
      expect(error.message).toMatch(/^distinct.exactBelow: found 0, .*; distinct.precision: found 17, /);
    }
  });

  test('keeps the laws of aggregates on both sides of the threshold', () => {
    const texts = fc.oneof(
      fc.nat(12).map((n) => `wallet-${n}`),
      fc.constantFrom('', '[', '\ud800', '\udc00', '__proto__', '10', '9'),
      fc.string(),
    );
    checkAggregateLaws(distinct(same), texts);
    checkAggregateLaws(distinct(same, { exactBelow: 6, precision: 4 }), texts);
    checkAggregateLaws(distinct(same, { exactBelow: 1, precision: 4 }), texts);
  });
});
