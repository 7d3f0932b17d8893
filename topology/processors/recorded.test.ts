// Everything recorded, through the processors, against facts that were counted without them.
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { compareDecimals } from '#pipeline/amounts.ts';
import { createProcessDriver } from '#pipeline/testing/process.ts';
import {
  alerts,
  chainBlocks,
  chainTransfers,
  enrichedTransfers,
  factsRules,
  factsTokens,
  marketDerivatives,
  marketTrades,
  prices,
  rawBybit,
  rawEvm,
  rawHelius,
  scoresEvents,
} from '#schemas/topics.ts';
import alert from './alert/index.ts';
import enrich from './enrich/index.ts';
import normalizeBybit from './normalize-bybit/index.ts';
import normalizeEvm from './normalize-evm/index.ts';
import normalizeHelius from './normalize-helius/index.ts';
import score from './score/index.ts';

const folder = resolve(process.env.BALEEN_RECORDINGS ?? '../shared/data');

function lines(file: string): string[] {
  const bytes = readFileSync(resolve(folder, file));
  return (file.endsWith('.gz') ? gunzipSync(bytes) : bytes)
    .toString()
    .split('\n')
    .filter((line) => line !== '');
}

function filesOf(provider: string, kind: string): string[] {
  const { streams } = JSON.parse(readFileSync(resolve(folder, 'recordings.json'), 'utf8'));
  return streams
    .filter((stream: Record<string, unknown>) => stream.provider === provider && stream.kind === kind)
    .flatMap((stream: { files: string[] }) => stream.files);
}

const raw = (source: string, kind: string, body: unknown) => ({
  source,
  kind,
  receivedAtMs: 0,
  body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
});

const native = (chain: string, symbol: string, decimals: number) => ({
  key: `${chain}:native`,
  value: {
    id: `token:${chain}:native`,
    chain,
    asset: 'native',
    symbol,
    decimals,
    priceAsset: symbol,
    source: 'test',
  },
});

const unwrap = (line: string) => {
  const value = JSON.parse(line);
  return value.result ?? value;
};

describe.skipIf(!existsSync(resolve(folder, 'recordings.json')))('recorded payloads', () => {
  test('all Ethereum blocks: 68 transactions move more than 100 ETH', { timeout: 60_000 }, () => {
    const receipts = new Map<string, unknown[]>();
    for (const line of filesOf('evm', 'receipts').flatMap(lines)) {
      const list = unwrap(line);
      if (list.length > 0) receipts.set(list[0].blockHash, list);
    }
    const normalizer = createProcessDriver(normalizeEvm);
    normalizer.feed(factsTokens, native('ethereum', 'ETH', 18));
    let withReceipts = 0;
    for (const line of filesOf('evm', 'blocks').flatMap(lines)) {
      const block = unwrap(line);
      const known = receipts.get(block.hash) ?? null;
      if (known !== null) withReceipts++;
      normalizer.feed(rawEvm, { key: '1', value: raw('evm:1', 'block', { block, receipts: known }) });
    }
    const blocks = normalizer.values(chainBlocks);
    expect(blocks).toHaveLength(260);
    expect(blocks.reduce((sum, block) => sum + block.transactionCount, 0)).toBe(58_171);
    expect(normalizer.duplicates()).toBe(1);
    expect(normalizer.rejected).toEqual([]);
    expect(blocks.filter((block) => block.receiptsKnown)).toHaveLength(8);
    expect(withReceipts).toBe(9);

    const transfers = normalizer.values(chainTransfers);
    expect(new Set(transfers.map((transfer) => transfer.id)).size).toBe(transfers.length);
    const whales = transfers.filter(
      ({ asset, amountRaw }) => asset === 'native' && amountRaw > 100n * 10n ** 18n,
    );
    expect(whales).toHaveLength(68);
    expect(whales.reduce((sum, { amountRaw }) => sum + amountRaw, 0n)).toBe(56_241_519_997_577_872_205_340n);

    const enricher = createProcessDriver(enrich);
    const scorer = createProcessDriver(score);
    const alerter = createProcessDriver(alert);
    enricher.feed(factsTokens, native('ethereum', 'ETH', 18));
    const overRaw = 100n * 10n ** 18n;
    const id = 'eth-over-100';
    const text = 'more than 100 ETH in one transfer';
    alerter.feed(factsRules, {
      key: id,
      value: { id, chain: 'ethereum', asset: 'native', overRaw, overUsd: null, text },
    });
    for (const value of transfers)
      enricher.feed(chainTransfers, { key: `${value.chain}:${value.asset}`, value });
    expect(enricher.duplicates()).toBe(0);
    for (const value of enricher.values(enrichedTransfers)) {
      scorer.feed(enrichedTransfers, { key: `${value.chain}:${value.asset}`, value });
    }
    for (const value of scorer.values(scoresEvents)) {
      alerter.feed(scoresEvents, { key: `${value.chain}:${value.asset}`, value });
    }
    const raised = alerter.values(alerts);
    expect(raised).toHaveLength(68);
    expect(raised.reduce((sum, { amountRaw }) => sum + amountRaw, 0n)).toBe(56_241_519_997_577_872_205_340n);
    expect(new Set(raised.map((item) => item.id)).size).toBe(68);
  });

  test('all Helius transactions: every leg has an exact amount', () => {
    const driver = createProcessDriver(normalizeHelius);
    driver.feed(factsTokens, native('solana', 'SOL', 9));
    const transactions = filesOf('helius', 'enhanced-transactions').flatMap(lines).map(unwrap);
    expect(transactions).toHaveLength(64);
    for (let i = 0; i < transactions.length; i += 10) {
      const batch = transactions.slice(i, i + 10);
      const value = raw('helius', 'enhanced-transactions', batch);
      driver.feed(rawHelius, { key: batch[0].signature, value });
      driver.feed(rawHelius, { key: batch[0].signature, value });
    }
    expect(driver.duplicates()).toBe(64);
    const transfers = driver.values(chainTransfers);
    const count = (name: string) =>
      transactions
        .flatMap((transaction) => transaction[name])
        .filter((leg) => (leg.amount ?? leg.tokenAmount) > 0).length;
    expect(transfers.filter(({ asset }) => asset === 'native')).toHaveLength(count('nativeTransfers'));
    expect(transfers.filter(({ asset }) => asset !== 'native')).toHaveLength(count('tokenTransfers'));
    expect(driver.rejected).toEqual([]);
    expect(new Set(transfers.map((transfer) => transfer.id)).size).toBe(transfers.length);
  });

  test('Bybit: 79 and 20 trades, once each, and prices as the exchange stated them', () => {
    const driver = createProcessDriver(normalizeBybit);
    for (const category of ['linear', 'spot']) {
      const [file = ''] = filesOf('bybit', 'frames').filter((name) => name.includes(category));
      for (const line of lines(file)) {
        const { t, data } = JSON.parse(line);
        if (t !== 'recv') continue;
        driver.feed(rawBybit, { key: `${category}:any`, value: raw(`bybit:${category}`, 'frame', data) });
      }
    }
    const trades = driver.values(marketTrades);
    expect(trades.filter((trade) => trade.category === 'linear')).toHaveLength(79);
    expect(trades.filter((trade) => trade.category === 'spot')).toHaveLength(20);
    expect(driver.duplicates()).toBe(0);
    expect(driver.rejected).toEqual([]);
    const stated = driver.values(prices);
    // 81 tickers, of which two state no USD index price.
    expect(stated).toHaveLength(79);
    expect(new Set(stated.map((price) => price.asset))).toEqual(new Set(['BTC', 'ETH']));
    for (const { asset, usd } of stated)
      expect(compareDecimals(usd, asset === 'BTC' ? '60000' : '1800')).toBe(1);
    const derivatives = driver.values(marketDerivatives);
    expect(derivatives.length).toBeGreaterThan(100);
    for (const value of derivatives) {
      expect(value.markPrice).not.toBeNull();
      expect(value.fundingRate).not.toBeNull();
    }
  });
});
