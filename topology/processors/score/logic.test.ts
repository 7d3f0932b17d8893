import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createProcessDriver } from '#pipeline/testing/process.ts';
import type { EnrichedTransfer } from '#schemas/enriched-transfer.ts';
import { enrichedTransfers, scoresEvents } from '#schemas/topics.ts';
import processor from './index.ts';
import { WEIGHTS } from './logic.ts';
import { severityOf } from './severity.ts';

const exchange = (confidence: number) => ({
  name: 'Binance 14',
  kind: 'exchange',
  entity: 'binance',
  confidence,
  labelId: 'label:1',
});
const enriched = (change: Partial<EnrichedTransfer> = {}): EnrichedTransfer => ({
  id: 'ethereum:0x1:native',
  op: 'assert',
  eventTimeMs: 1,
  receivedAtMs: 2,
  source: 'evm:1',
  causes: [],
  chain: 'ethereum',
  asset: 'native',
  txHash: '0x1',
  blockNumber: 1n,
  index: 0,
  from: '0xa',
  to: '0xb',
  amountRaw: 1n,
  decimals: 18,
  symbol: 'ETH',
  status: 'mined',
  units: '1',
  usd: '2500000',
  priceUsd: '2500000',
  priceTimeMs: 1,
  priceSource: 'p',
  fromLabel: exchange(0.9),
  toLabel: null,
  flow: 'outflow',
  ...change,
});
const scored = (change: Partial<EnrichedTransfer> = {}) => {
  const driver = createProcessDriver(processor);
  const value = enriched(change);
  driver.feed(enrichedTransfers, { key: `${value.chain}:${value.asset}`, value });
  const [score] = driver.values(scoresEvents);
  if (score === undefined) throw new Error('expected a score');
  return score;
};

test('a large withdrawal from an exchange scores by size and flow, with its evidence', () => {
  const score = scored();
  expect(score).toMatchObject({
    id: 'score:ethereum:0x1:native',
    fromName: 'Binance 14',
    toName: null,
    confidence: null,
    direction: 0.9,
    version: 'severity-1',
  });
  expect(score.components).toEqual([
    { name: 'dataQuality', value: 0, weight: -1, contribution: 0, sources: ['ethereum:0x1:native'] },
    { name: 'flow', value: 0.9, weight: 0.8, contribution: 0.7200000000000001, sources: ['label:1'] },
    { name: 'size', value: 1, weight: 1.1, contribution: 1.1, sources: ['ethereum:0x1:native', 'p:1'] },
  ]);
  expect(score.logOdds).toBeCloseTo(-1.38, 12);
  expect(score.severity).toBe(20);
});

test.each([
  ['250000', 0],
  ['1', 0],
  ['0', 0],
  ['2500000', 1],
  ['999999999999', 2],
])('a value of %s USD has size %d', (usd, size) => {
  expect(scored({ usd }).components.find((component) => component.name === 'size')?.value).toBe(size);
});

test('without price the size is unknown and the data is worse', () => {
  const { components } = scored({ usd: null, priceUsd: null, priceTimeMs: null, priceSource: null });
  expect(components).toMatchObject([
    { name: 'dataQuality', value: 0.5 },
    { name: 'flow' },
    { name: 'size', value: null, contribution: 0, sources: [] },
  ]);
});

test.each([
  [{}, 0],
  [{ fromLabel: null }, 0.1],
  [{ status: 'unverified' as const }, 0.5],
  [{ fromLabel: null, status: 'unverified' as const, priceUsd: null }, 0.775],
])('data quality of %j costs %d', (change, value) => {
  expect(scored(change).components[0]?.value).toBe(value);
});

test.each([
  ['outflow', 'native', 'ETH', 0.9],
  ['inflow', 'native', 'ETH', -0.4],
  ['inflow', '0xt', 'USDC', 0.4],
  ['outflow', '0xt', 'USDT', -0.9],
  ['cross', 'native', 'ETH', 0],
  ['internal', 'native', 'ETH', 0],
  ['transfer', 'native', 'ETH', 0],
] as const)('%s of %s %s points %d', (flow, asset, symbol, direction) => {
  const score = scored({ flow, asset, symbol, toLabel: exchange(0.4) });
  expect(score.direction).toBe(direction);
  const expected = { inflow: 0.4, outflow: 0.9, cross: 0.3, internal: 0, transfer: 0 }[flow];
  expect(score.components.find((component) => component.name === 'flow')?.value).toBe(expected);
});

describe('arithmetic', () => {
  test('does not depend on the order of components', () => {
    const inputs = Object.keys(WEIGHTS.byName).map((name, i) => ({ name, value: 0.1 * i, sources: [] }));
    expect(severityOf([...inputs].reverse(), WEIGHTS)).toEqual(severityOf(inputs, WEIGHTS));
  });

  test('refuses a component without weight, whatever its name', () => {
    for (const name of ['nothing', '__proto__', 'constructor']) {
      expect(() => severityOf([{ name, value: 1, sources: [] }], WEIGHTS)).toThrow(RangeError);
    }
  });

  const file = resolve(
    process.env.BALEEN_RECORDINGS ?? '../shared/data',
    'indicators/scoring/alert_score.json',
  );

  test.skipIf(!existsSync(file))('agrees with the reference', () => {
    const { weights, cases } = JSON.parse(readFileSync(file, 'utf8'));
    const { bias, ...byName } = weights;
    expect({ bias, byName }).toEqual(WEIGHTS);
    expect(cases).toHaveLength(13);
    for (const { components, contributions, logOdds, probability, score100 } of cases) {
      const inputs = Object.entries<number>(components).map(([name, value]) => ({
        name,
        value,
        sources: [],
      }));
      const result = severityOf(inputs, { bias, byName });
      expect(result.logOdds).toBeCloseTo(logOdds, 12);
      expect(result.probability).toBeCloseTo(probability, 6);
      expect(result.severity).toBe(score100);
      for (const { name, contribution } of result.components) expect(contribution).toBe(contributions[name]);
    }
  });
});
