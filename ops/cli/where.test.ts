import { describe, expect, test } from 'vitest';
import { enrichedTransfer } from '#schemas/enriched-transfer.ts';
import { score } from '#schemas/score.ts';
import { parseCondition } from './where.ts';

const placed = (value: unknown) => ({
  key: 'k',
  partition: 2,
  offset: 10,
  timestampMs: 5,
  position: 'enrich-0:7',
  value,
});

const transfer = {
  asset: 'native',
  amountRaw: 115792089237316195423570985008687907853269984665640564039457584007913129639935n,
  usd: '250000.000000000000000001',
  units: null,
  decimals: 18,
  eventTimeMs: Date.parse('2026-01-31T12:00:00Z'),
  fromLabel: { name: 'Binance 14' },
  toLabel: null,
};

describe('a condition', () => {
  test.each([
    ['asset=native', true],
    ['asset != native', false],
    ['usd>250000', true],
    ['usd>250000.000000000000000001', false],
    ['usd>=250000.0000000000000000010', true],
    ['usd<250000.000000000000000002', true],
    ['amountRaw=115792089237316195423570985008687907853269984665640564039457584007913129639935', true],
    ['amountRaw<115792089237316195423570985008687907853269984665640564039457584007913129639935', false],
    ['decimals<=18', true],
    ['units>0', false],
    ['units<1', false],
    ['units=null', true],
    ['units!=null', false],
    ['fromLabel.name~binance', true],
    ['toLabel.name~binance', false],
    ['toLabel=null', true],
    ['eventTimeMs>2026-01-31', true],
    ['eventTimeMs>2026-01-31T12:00:00Z', false],
    ['partition=2', true],
    ['position~enrich', true],
  ])('%s is %s', (text, expected) => {
    expect(parseCondition(text, enrichedTransfer)(placed(transfer))).toBe(expected);
  });

  test('on a list holds when it holds for one item, and "not equal" when it holds for all', () => {
    const record = placed({ components: [{ name: 'size' }, { name: 'flow' }] });
    expect(parseCondition('components.name=flow', score)(record)).toBe(true);
    expect(parseCondition('components.name!=flow', score)(record)).toBe(false);
  });

  test('names the field that was meant when there is none of that name', () => {
    expect(() => parseCondition('ammountRaw>1', enrichedTransfer)).toThrow('did you mean amountRaw?');
    expect(() => parseCondition('fromLabel.nme=x', enrichedTransfer)).toThrow('one of the fields id,');
    expect(() => parseCondition('__proto__.x=1', enrichedTransfer)).toThrow('--where');
  });

  test('refuses what cannot be compared by size', () => {
    expect(() => parseCondition('usd>much', enrichedTransfer)).toThrow('a number or a time');
    expect(() => parseCondition('usd', enrichedTransfer)).toThrow('one of = != >');
  });
});
