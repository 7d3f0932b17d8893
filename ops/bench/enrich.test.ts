import { expect, test } from 'vitest';
import { createDriver } from '#pipeline/testing/driver.ts';
import { createEnrich, enrich, isValid } from './enrich.ts';
import { dlq, enriched, received, type Transfer, transfers, yardstickSerde } from './records.ts';

const aTransfer = (more: Partial<Transfer> = {}): Transfer => ({
  id: '0xabc:1',
  chain: 'ethereum',
  asset: '0xtoken',
  blockNumber: 20_000_000n,
  logIndex: 1,
  txHash: '0xabc',
  from: `0x${'a1'.repeat(20)}`,
  to: `0x${'b2'.repeat(20)}`,
  amount: '1500000',
  decimals: 6,
  eventTimeMs: 999,
  scheduledMs: 1_000,
  price: '2.50000000',
  flags: 7,
  memo: null,
  ...more,
});

test.each([
  [{}, true],
  [{ amount: '0' }, true],
  [{ amount: '1'.repeat(31) }, true],
  [{ amount: '1'.repeat(32) }, false],
  [{ amount: '01' }, false],
  [{ amount: '-1' }, false],
  [{ amount: '1e18' }, false],
  [{ amount: '' }, false],
  [{ amount: '1\n' }, false],
  [{ decimals: 36 }, true],
  [{ decimals: 77 }, false],
  [{ decimals: -1 }, false],
  [{ price: `${'1'.repeat(18)}.${'0'.repeat(18)}` }, true],
  [{ price: 'NaN' }, false],
  [{ price: '1.' }, false],
  [{ price: '.5' }, false],
  [{ price: '00.5' }, false],
  [{ from: '0xa1' }, false],
  [{ to: `0x${'B2'.repeat(20)}` }, false],
  [{ eventTimeMs: 1_000 }, true],
  [{ eventTimeMs: 1_001 }, false],
])('of a transfer with %j it is %s that it can be valued', (more, expected) => {
  expect(isValid(aTransfer(more))).toBe(expected);
});

test.each([
  [{}, '1.5', '3.75', 1],
  [{ amount: '0' }, '0', '0', 0],
  [{ amount: '1', decimals: 18, price: '0.5' }, '0.000000000000000001', '0.0000000000000000005', 0],
  [{ amount: '4', decimals: 0, price: '250' }, '4', '1000', 4],
  [{ amount: '1000000', price: '0.99999999' }, '1', '0.99999999', 0],
  [
    { amount: '12345678901234567890123456789', decimals: 18, price: '3.1' },
    '12345678901.234567890123456789',
    '38271604593.8271604593827160459',
    11,
  ],
])('a transfer with %j has %s units, %s dollars and tier %i', (more, units, valueUsd, tier) => {
  expect(enrich(aTransfer(more))).toMatchObject({ units, valueUsd, tier });
});

test('what is invalid or does not decode goes on byte for byte, under its key', () => {
  const serde = yardstickSerde();
  const valid = serde.encode(transfers, aTransfer());
  const invalid = serde.encode(transfers, aTransfer({ decimals: 77 }));
  const cut = valid.subarray(0, 100);
  const driver = createDriver({ processors: [createEnrich(serde)] });
  for (const bytes of [valid, invalid, cut]) driver.write(received, { key: '0xtoken', value: { bytes } });
  driver.advanceBy(1);
  expect(driver.read(enriched)).toMatchObject([
    { key: '0xtoken', value: { id: '0xabc:1', valueUsd: '3.75' } },
  ]);
  expect(driver.read(dlq)).toMatchObject([
    { key: '0xtoken', value: { bytes: invalid } },
    { key: '0xtoken', value: { bytes: cut } },
  ]);
});

test('the serde writes the ids of the yardstick, and bytes as they are', () => {
  const serde = yardstickSerde();
  expect(serde.encode(transfers, aTransfer()).subarray(0, 5)).toEqual(Buffer.from([0, 0, 0, 0, 1]));
  expect(serde.encode(enriched, enrich(aTransfer())).subarray(0, 5)).toEqual(Buffer.from([0, 0, 0, 0, 2]));
  const bytes = Buffer.from('any');
  expect(serde.encode(dlq, { bytes })).toBe(bytes);
  expect(serde.decode(received, bytes)).toEqual({ bytes });
});
