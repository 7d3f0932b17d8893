import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createProcessDriver, type ProcessDriver } from '#pipeline/testing/process.ts';
import type { Label } from '#schemas/label.ts';
import { chainTransfers, enrichedTransfers, factsLabels, factsTokens, prices } from '#schemas/topics.ts';
import type { Transfer } from '#schemas/transfer.ts';
import processor from './index.ts';

const MINUTE_MS = 60_000;
const T = 1_700_000_000_000;

const transfer = (change: Partial<Transfer> = {}): Transfer => ({
  id: 'ethereum:0x1:native',
  op: 'assert',
  eventTimeMs: T,
  receivedAtMs: T + 1,
  source: 'evm:1',
  causes: ['raw.evm.v1/0/0'],
  chain: 'ethereum',
  asset: 'native',
  txHash: '0x1',
  blockNumber: 1n,
  index: 0,
  from: '0xa',
  to: '0xb',
  amountRaw: 123_456_789_012_345_678_901n,
  decimals: 18,
  symbol: 'ETH',
  status: 'mined',
  ...change,
});
const feed = (driver: ProcessDriver, change: Partial<Transfer> = {}) => {
  const value = transfer(change);
  driver.feed(chainTransfers, {
    key: `${value.chain}:${value.asset}`,
    value,
    place: 'chain.transfers.v1/0/t:1',
  });
  return driver.values(enrichedTransfers).at(-1);
};
const price = (driver: ProcessDriver, eventTimeMs: number, usd: string, source = 'bybit') =>
  driver.feed(prices, {
    key: 'ETH',
    value: {
      id: `${source}:${eventTimeMs}`,
      op: 'assert',
      eventTimeMs,
      receivedAtMs: T,
      source,
      causes: [],
      asset: 'ETH',
      usd,
    },
  });
const label = (driver: ProcessDriver, address: string, change: Partial<Label> = {}) =>
  driver.feed(factsLabels, {
    key: `ethereum:${address}`,
    value: {
      id: `label:ethereum:${address}`,
      chain: 'ethereum',
      address,
      name: `Exchange ${address}`,
      kind: 'exchange',
      entity: 'binance',
      validFromMs: null,
      confidence: 0.9,
      source: 'test',
      ...change,
    },
  });
const start = () => {
  const driver = createProcessDriver(processor);
  driver.feed(factsTokens, {
    key: 'ethereum:native',
    value: {
      id: 'token:ethereum:native',
      chain: 'ethereum',
      asset: 'native',
      symbol: 'ETH',
      decimals: 18,
      priceAsset: 'ETH',
      source: 'test',
    },
  });
  return driver;
};

describe('USD value', () => {
  test('is the exact product, with the price, its time and its source', () => {
    const driver = start();
    price(driver, T - 1, '3412.575');
    expect(feed(driver)).toMatchObject({
      causes: ['chain.transfers.v1/0/t:1'],
      units: '123.456789012345678901',
      usd: '421305.551763805555175580075',
      priceUsd: '3412.575',
      priceTimeMs: T - 1,
      priceSource: 'bybit',
    });
  });

  test.each([
    ['the last one before the transfer, whatever the order of arrival', [-5, -1, -70_000, 1], -1],
    ['one at the very time', [0, -1], 0],
    ['one of ten minutes ago', [-10 * MINUTE_MS], -10 * MINUTE_MS],
    ['none of more than ten minutes ago', [-10 * MINUTE_MS - 1], null],
    ['none from after the transfer', [1], null],
  ])('takes %s', (_name, offsets, expected) => {
    const driver = start();
    for (const offset of offsets) price(driver, T + offset, '1');
    expect(feed(driver)?.priceTimeMs ?? null).toBe(expected === null ? null : T + expected);
  });

  test('of several sources at one time takes the first by name, and the first statement of each', () => {
    const driver = start();
    price(driver, T, '2', 'z');
    price(driver, T, '1', 'a');
    price(driver, T, '9', 'a');
    expect(feed(driver)?.priceUsd).toBe('1');
    expect(driver.duplicates()).toBe(1);
  });

  test('is unknown, not zero, without price or decimals', () => {
    expect(feed(start())).toMatchObject({ units: '123.456789012345678901', usd: null, priceUsd: null });
    const unknown = { asset: '0xt', decimals: null, symbol: null };
    expect(feed(start(), unknown)).toMatchObject({ units: null, usd: null, decimals: null });
  });

  test('does not change with what is learned later', () => {
    const driver = start();
    feed(driver);
    price(driver, T, '1');
    feed(driver);
    expect(driver.values(enrichedTransfers)).toHaveLength(1);
    expect(driver.duplicates()).toBe(1);
  });
});

describe('flow', () => {
  const binance = { entity: 'binance' };
  const other = { entity: 'kraken' };
  const cases: readonly (readonly [
    string,
    Partial<Label> | null,
    Partial<Label> | null,
    Partial<Transfer>,
  ])[] = [
    ['internal', binance, binance, {}],
    ['cross', binance, other, {}],
    ['inflow', null, binance, {}],
    ['outflow', binance, null, {}],
    ['inflow', { kind: 'bridge' }, binance, {}],
    ['transfer', null, { kind: 'fund' }, {}],
    ['transfer', null, null, {}],
    ['self', binance, null, { to: '0xa' }],
    ['mint', null, binance, { asset: '0xt', from: null }],
    ['burn', binance, null, { asset: '0xt', to: null }],
    ['outflow', binance, null, { to: null }],
    ['inflow', null, { validFromMs: T }, {}],
    ['transfer', null, { validFromMs: T + 1 }, {}],
    ['internal', { entity: null, name: 'X' }, { entity: null, name: 'X' }, {}],
    ['cross', { entity: null }, { entity: null }, {}],
  ];
  test.each(cases)('%s: from %j to %j, %j', (flow, from, to, change) => {
    const driver = start();
    if (from !== null) label(driver, '0xa', from);
    if (to !== null) label(driver, '0xb', to);
    expect(feed(driver, change)?.flow).toBe(flow);
  });

  test('a withdrawn label is not used, and labels of another chain neither', () => {
    const driver = start();
    label(driver, '0xb');
    expect(feed(driver)?.toLabel).toEqual({
      name: 'Exchange 0xb',
      kind: 'exchange',
      entity: 'binance',
      confidence: 0.9,
      labelId: 'label:ethereum:0xb',
    });
    expect(feed(driver, { id: '2', chain: 'eip155-10' })?.toLabel).toBeNull();
    driver.feed(factsLabels, { key: 'ethereum:0xb', value: null });
    expect(feed(driver, { id: '3' })?.toLabel).toBeNull();
  });

  const vectors = resolve(
    process.env.BALEEN_RECORDINGS ?? '../shared/data',
    'indicators/flows/exchange_flows.json',
  );

  test.skipIf(!existsSync(vectors))('agrees with the reference', () => {
    const { labels, transfers, expected } = JSON.parse(readFileSync(vectors, 'utf8'));
    const driver = start();
    for (const [address, { entity }] of Object.entries<{ entity: string }>(labels))
      label(driver, address, { entity });
    expect(transfers.length).toBeGreaterThan(10);
    for (const [i, { id, timestamp, from, to, raw }] of transfers.entries()) {
      const moved = { id: String(id), eventTimeMs: timestamp * 1_000, from, to, amountRaw: BigInt(raw) };
      const { flowType } = expected[i];
      expect(feed(driver, moved)?.flow, `transfer ${id}`).toBe(flowType === 'none' ? 'transfer' : flowType);
    }
  });
});
