import { describe, expect, test } from 'vitest';
import { createDriver } from '#pipeline/testing/driver.ts';
import { createChain, createFusedChain } from './chain.ts';
import {
  alerts,
  arriving,
  byAsset,
  byWallet,
  dlq,
  enriched,
  type Transfer,
  transfers,
  walletUpdates,
  yardstickSerde,
} from './records.ts';

const MINUTE_MS = 60_000;
const START_MS = 1_760_000_100_000;
const ASSET = '0xtoken';
const WALLETS = [`0x${'a1'.repeat(20)}`, `0x${'b2'.repeat(20)}`] as const;

const aTransfer = (index: number, more: Partial<Transfer> = {}): Transfer => ({
  id: `0xabc:${index}`,
  chain: 'ethereum',
  asset: ASSET,
  blockNumber: 20_000_000n,
  logIndex: index,
  txHash: '0xabc',
  from: WALLETS[index % 2] ?? '',
  to: WALLETS[0],
  // Between 10 and 10.9 dollars.
  amount: String(10_000_000 + (index % 10) * 100_000),
  decimals: 6,
  eventTimeMs: START_MS + index,
  scheduledMs: START_MS + index,
  price: '1.00000000',
  flags: 0,
  memo: null,
  ...more,
});

const serde = yardstickSerde();

describe.each([
  ['chain', createChain],
  ['chain-fused', createFusedChain],
])('%s', (_name, create) => {
  const run = (given: readonly Transfer[]) => {
    const driver = createDriver({ processors: create(serde), startMs: START_MS, strict: given.length < 20 });
    for (const [index, transfer] of given.entries()) {
      const bytes = serde.encode(transfers, transfer);
      driver.write(arriving, { key: transfer.asset, value: { bytes }, atMs: START_MS + index });
    }
    driver.advanceTo(START_MS + given.length + 1);
    return driver;
  };

  test('a transfer updates the minute of its wallet, also when it comes late', () => {
    const late = aTransfer(2, { eventTimeMs: START_MS - MINUTE_MS });
    const driver = run([aTransfer(0), aTransfer(1), late, aTransfer(4), aTransfer(6, { decimals: 77 })]);
    expect(driver.read(byWallet).map(({ key, value }) => [key, value?.id])).toEqual([
      [WALLETS[0], '0xabc:0'],
      [WALLETS[1], '0xabc:1'],
      [WALLETS[0], '0xabc:2'],
      [WALLETS[0], '0xabc:4'],
    ]);
    const [startMs, wallet] = [START_MS, WALLETS[0]];
    expect(driver.read(byAsset).map(({ value }) => value)).toMatchObject([
      {
        id: '0xabc:0',
        asset: ASSET,
        wallet,
        valueUsd: '10',
        windowStartMs: startMs,
        count: 1n,
        sumUsd: '10',
      },
      { id: '0xabc:1', wallet: WALLETS[1], count: 1n, sumUsd: '10.1' },
      { id: '0xabc:2', wallet, windowStartMs: startMs - MINUTE_MS, count: 1n, sumUsd: '10.2' },
      { id: '0xabc:4', wallet, windowStartMs: startMs, count: 2n, sumUsd: '20.4' },
    ]);
    expect(driver.read(byAsset).every(({ key }) => key === ASSET)).toBe(true);
    expect(driver.read(dlq)).toHaveLength(1);
  });

  test('a transfer far above the usual of its asset alerts, once there is a history', () => {
    const large = { amount: '100000000000' };
    const history = Array.from({ length: 60 }, (_, index) => aTransfer(index));
    const driver = run([aTransfer(100, large), ...history, aTransfer(101, large), aTransfer(102)]);
    const [found, ...others] = driver.values(alerts);
    expect(others).toEqual([]);
    expect(found).toMatchObject({ id: '0xabc:101', asset: ASSET, valueUsd: '100000', windowCount: 31n });
    expect(found?.score).toBeGreaterThan(3);
  });
});

test('the chain writes a topic after each stage', () => {
  const driver = createDriver({ processors: createChain(serde), startMs: START_MS });
  driver.write(arriving, { key: ASSET, value: { bytes: serde.encode(transfers, aTransfer(0)) } });
  driver.advanceBy(1);
  expect(driver.read(enriched)).toMatchObject([{ key: ASSET, value: { valueUsd: '10' } }]);
  expect(driver.read(walletUpdates)).toMatchObject([{ key: WALLETS[0], value: { count: 1n } }]);
});
