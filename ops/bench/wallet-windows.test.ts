import { expect, test } from 'vitest';
import { createDriver } from '#pipeline/testing/driver.ts';
import { type Transfer, transfers, windowResults } from './records.ts';
import { walletWindows } from './wallet-windows.ts';

const MINUTE_MS = 60_000;
/** A multiple of five minutes. */
const START_MS = 1_760_000_100_000;

const aTransfer = (id: string, amount: string, eventTimeMs: number): Transfer => ({
  id,
  chain: 'base',
  asset: 'token',
  blockNumber: 1n,
  logIndex: 0,
  txHash: id,
  from: 'wallet',
  to: 'other',
  amount,
  decimals: 18,
  eventTimeMs,
  scheduledMs: eventTimeMs,
  price: '1',
  flags: 0,
  memo: null,
});

test('a transfer counts once in the windows that are open, and each window comes out when it closes', () => {
  const driver = createDriver({ processors: [walletWindows], startMs: START_MS });
  const write = (id: string, amount: string, atMs: number, eventTimeMs = atMs) =>
    driver.write(transfers, { key: 'wallet|token', value: aTransfer(id, amount, eventTimeMs), atMs });
  write('a', '5', START_MS);
  write('b', '9007199254740993', START_MS + 1);
  write('a', '5', START_MS + 20_000, START_MS);
  // One minute past its end the first minute is open; two minutes past it is closed, the five minutes are not.
  write('c', '7', START_MS + 2 * MINUTE_MS, START_MS + 2);
  write('d', '1', START_MS + 3 * MINUTE_MS);
  write('e', '3', START_MS + 3 * MINUTE_MS, START_MS + 3);
  driver.advanceBy(1);
  expect(driver.count('late_records_total')).toBe(2);
  expect(driver.count('duplicates_dropped_total')).toBe(1);
  const first = { wallet: 'wallet', asset: 'token', startMs: START_MS, sizeMs: MINUTE_MS };
  expect(driver.values(windowResults)).toMatchObject([
    {
      ...first,
      startMs: START_MS - 4 * MINUTE_MS,
      sizeMs: 5 * MINUTE_MS,
      count: 3n,
      sum: '9007199254741005',
    },
    { ...first, count: 3n, sum: '9007199254741005', max: '9007199254740993' },
  ]);
});
