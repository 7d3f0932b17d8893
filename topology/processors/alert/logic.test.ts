import { describe, expect, test } from 'vitest';
import { isPipelineError } from '#pipeline/errors.ts';
import { createProcessDriver, type ProcessDriver } from '#pipeline/testing/process.ts';
import type { Rule } from '#schemas/rule.ts';
import type { Score } from '#schemas/score.ts';
import { alerts, factsRules, scoresEvents } from '#schemas/topics.ts';
import processor from './index.ts';
import { alertText, cleanText, shortAddress } from './text.ts';

const ETH = 10n ** 18n;
const component = { name: 'size', value: 1, weight: 1.1, contribution: 1.1, sources: ['x'] };

const score = (change: Partial<Score> = {}): Score => ({
  id: 'score:ethereum:0x1:native',
  op: 'assert',
  eventTimeMs: 1,
  receivedAtMs: 2,
  source: 'evm:1',
  causes: [],
  chain: 'ethereum',
  asset: 'native',
  amountRaw: 100n * ETH + 1n,
  decimals: 18,
  symbol: 'ETH',
  units: '1234.5',
  usd: '2469000',
  from: `0xaaaa${'0'.repeat(32)}bbbb`,
  to: `0xabcd${'0'.repeat(32)}cdef`,
  fromName: 'Binance 14',
  toName: null,
  flow: 'outflow',
  status: 'mined',
  txHash: '0x1',
  severity: 42,
  confidence: null,
  direction: 0.9,
  logOdds: -1,
  components: [component],
  version: 'severity-1',
  ...change,
});
const rule = (driver: ProcessDriver, id: string, change: Partial<Rule> = {}) =>
  driver.feed(factsRules, {
    key: id,
    value: { id, chain: 'ethereum', asset: 'native', overRaw: null, overUsd: null, text: 'large', ...change },
  });
const fired = (driver: ProcessDriver, change: Partial<Score> = {}) => {
  const before = driver.values(alerts).length;
  const value = score(change);
  driver.feed(scoresEvents, { key: `${value.chain}:${value.asset}`, value, place: 'scores/0/w:1' });
  return driver.values(alerts).slice(before);
};

test('an alert carries the evidence of its score and a sentence', () => {
  const driver = createProcessDriver(processor);
  rule(driver, 'eth-over-100', { overRaw: 100n * ETH, text: 'more than 100 ETH in one transfer' });
  const [alert] = fired(driver);
  expect(driver.emitted[0]?.key).toBe('ethereum:native');
  expect(alert).toMatchObject({
    id: 'eth-over-100:ethereum:0x1:native',
    ruleId: 'eth-over-100',
    causes: ['scores/0/w:1'],
    severity: 42,
    direction: 0.9,
    evidence: [component],
    text: '1,234.5 ETH ($2,469,000.00) moved from Binance 14 to 0xabcd…cdef: more than 100 ETH in one transfer',
  });
});

describe('thresholds', () => {
  test.each([
    [{ overRaw: 100n * ETH }, { amountRaw: 100n * ETH }, 0],
    [{ overRaw: 100n * ETH }, { amountRaw: 100n * ETH + 1n }, 1],
    [{ overUsd: '1000000' }, { usd: '1000000.00' }, 0],
    [{ overUsd: '1000000' }, { usd: '1000000.000000000000000000000001' }, 1],
    [{ overUsd: '999999' }, { usd: '1000000' }, 1],
    [{ overUsd: '0' }, { usd: null }, 0],
    [{}, {}, 0],
    [{ overRaw: 10n ** 70n, overUsd: '1' }, {}, 1],
  ])('%o against %o fires %d times', (thresholds, change, times) => {
    const driver = createProcessDriver(processor);
    rule(driver, 'r', thresholds);
    expect(fired(driver, change)).toHaveLength(times);
  });

  test('one that is no decimal text is refused, and the rule before it stays', () => {
    const driver = createProcessDriver(processor);
    rule(driver, 'r', { overRaw: 1n });
    expect(() => rule(driver, 'r', { overUsd: '1e6' })).toThrow(
      expect.toSatisfy((error) => isPipelineError(error, 'VALUE_UNREADABLE')),
    );
    expect(fired(driver)).toHaveLength(1);
  });
});

describe('rules', () => {
  test('fire in the order of their ids, whatever the order in which they came', () => {
    const driver = createProcessDriver(processor);
    for (const id of ['b', '__proto__', '10', '9', 'a']) rule(driver, id, { overRaw: 1n });
    expect(fired(driver).map((alert) => alert.ruleId)).toEqual(['10', '9', '__proto__', 'a', 'b']);
  });

  test('hold for their own chain and asset', () => {
    const driver = createProcessDriver(processor);
    rule(driver, 'r', { overRaw: 1n, asset: '0xABC' });
    expect(fired(driver)).toEqual([]);
    expect(fired(driver, { chain: 'solana', asset: '0xabc' })).toEqual([]);
    expect(fired(driver, { asset: '0xabc' })).toHaveLength(1);
  });

  test('can be replaced, moved to another asset and withdrawn', () => {
    const driver = createProcessDriver(processor);
    rule(driver, 'r', { overRaw: 1n });
    rule(driver, 'r', { overRaw: 10n ** 30n });
    expect(fired(driver)).toEqual([]);
    rule(driver, 'r', { overRaw: 1n, asset: '0xabc' });
    expect(fired(driver)).toEqual([]);
    expect(fired(driver, { asset: '0xabc' })).toHaveLength(1);
    driver.feed(factsRules, { key: 'r', value: null });
    driver.feed(factsRules, { key: 'never-seen', value: null });
    expect(fired(driver, { asset: '0xabc' })).toEqual([]);
    expect(driver.state()).toEqual({ rules: [], homes: [] });
  });
});

describe('text', () => {
  test.each([
    [{ usd: '0.125', units: '1' }, '1 ETH ($0.12) moved from'],
    [{ usd: null }, '1,234.5 ETH moved from'],
    [{ flow: 'mint', from: null, fromName: null }, 'minted to 0xabcd…cdef: rule'],
    [{ flow: 'burn', to: null }, 'burnt by Binance 14: rule'],
    [{ to: null }, 'to an unknown address: rule'],
    [
      { asset: `0x${'1'.repeat(40)}`, symbol: null, units: null, usd: null },
      'smallest units of 0x1111…1111 moved',
    ],
    [{ symbol: null }, '1,234.5 native coins ($2,469,000.00)'],
    [{ fromName: '\u202e\u0007', from: null }, 'from an unknown address to'],
  ])('of %j says %s', (change, expected) => {
    expect(alertText(score(change), 'rule')).toContain(expected);
  });

  test('names lose what hides or reorders text, and are cut', () => {
    expect(cleanText('Bi\u202enance\u2066\u200b\n\u0000 14\ud800\ufeff')).toBe('Binance 14');
    expect(cleanText('🐳'.repeat(65))).toBe(`${'🐳'.repeat(63)}…`);
    expect(cleanText('🐳'.repeat(64))).toBe('🐳'.repeat(64));
  });

  test('short addresses stay as they are', () => {
    expect(shortAddress('0xabc')).toBe('0xabc');
    expect(shortAddress(`So1${'1'.repeat(40)}2`)).toBe('So11…1112');
  });
});
