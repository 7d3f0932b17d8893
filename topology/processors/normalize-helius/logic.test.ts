import { describe, expect, test } from 'vitest';
import { isPipelineError } from '#pipeline/errors.ts';
import { createProcessDriver } from '#pipeline/testing/process.ts';
import { chainTransfers, factsTokens, rawHelius } from '#schemas/topics.ts';
import processor from './index.ts';

const A = 'A'.repeat(43);
const B = 'B'.repeat(43);
const ACCOUNT_A = 'C'.repeat(43);
const ACCOUNT_B = 'D'.repeat(43);
const MINT = 'M'.repeat(43);
const SIGNATURE = 'S'.repeat(88);

const transaction = (change: object = {}) => ({
  signature: SIGNATURE,
  slot: 254_665_472,
  timestamp: 1_700_000_000,
  transactionError: null,
  nativeTransfers: [],
  tokenTransfers: [],
  accountData: [],
  ...change,
});
const leg = (change: object = {}) => ({
  fromUserAccount: A,
  toUserAccount: B,
  fromTokenAccount: ACCOUNT_A,
  toTokenAccount: ACCOUNT_B,
  mint: MINT,
  tokenAmount: 1.5,
  ...change,
});
const change = (userAccount: string, tokenAccount: string, tokenAmount: string, decimals = 6) => ({
  tokenBalanceChanges: [{ userAccount, tokenAccount, mint: MINT, rawTokenAmount: { tokenAmount, decimals } }],
});
const token = (asset: string, symbol: string, decimals: number) => ({
  key: `solana:${asset}`,
  value: {
    id: `token:solana:${asset}`,
    chain: 'solana',
    asset,
    symbol,
    decimals,
    priceAsset: null,
    source: 'test',
  },
});
const raw = (body: unknown) => ({
  key: SIGNATURE,
  value: {
    source: 'helius',
    kind: 'enhanced-transactions',
    receivedAtMs: 7,
    body: Buffer.from(JSON.stringify(body)),
  },
});
const run = (...body: unknown[]) => {
  const driver = createProcessDriver(processor);
  driver.feed(factsTokens, token('native', 'SOL', 9));
  driver.feed(rawHelius, raw(body));
  return driver;
};

test('a transfer of SOL is exact and confirmed', () => {
  const nativeTransfers = [
    { fromUserAccount: A, toUserAccount: B, amount: 0 },
    { fromUserAccount: A, toUserAccount: '', amount: Number.MAX_SAFE_INTEGER },
  ];
  const driver = run(transaction({ nativeTransfers }));
  expect(driver.emitted[0]?.key).toBe('solana:native');
  expect(driver.values(chainTransfers)).toEqual([
    {
      id: `solana:${SIGNATURE}:native:1`,
      op: 'assert',
      eventTimeMs: 1_700_000_000_000,
      receivedAtMs: 7,
      source: 'helius',
      causes: ['raw.helius.v1/0/1'],
      chain: 'solana',
      asset: 'native',
      txHash: SIGNATURE,
      blockNumber: 254_665_472n,
      index: 1,
      from: A,
      to: null,
      amountRaw: 9_007_199_254_740_991n,
      decimals: 9,
      symbol: 'SOL',
      status: 'confirmed',
    },
  ]);
});

test('an amount that has lost digits is put aside', () => {
  const body = JSON.stringify([
    transaction({ nativeTransfers: [{ fromUserAccount: A, toUserAccount: B, amount: 0.5 }] }),
  ]).replace('0.5', '9007199254740993');
  const driver = createProcessDriver(processor);
  driver.feed(rawHelius, { ...raw([]), value: { ...raw([]).value, body: Buffer.from(body) } });
  expect(driver.emitted).toEqual([]);
  expect(driver.rejected).toMatchObject([{ part: 'tx/0/native/0' }]);
});

describe('token amounts', () => {
  const amounts = (tokenTransfers: unknown[], accountData: unknown[]) => {
    const driver = run(transaction({ tokenTransfers, accountData }));
    const values = driver.values(chainTransfers).map(({ amountRaw, decimals }) => [amountRaw, decimals]);
    return { values, rejected: driver.rejected };
  };

  test('come from the balance change of the receiver, digits that a double has not included', () => {
    const exact = amounts(
      [leg({ tokenAmount: 18446744073709.55 })],
      [change(B, ACCOUNT_B, '18446744073709551615')],
    );
    expect(exact.values).toEqual([[18_446_744_073_709_551_615n, 6]]);
  });

  test('come from the sender when several legs touch the receiver', () => {
    const other = leg({
      fromUserAccount: 'E'.repeat(43),
      fromTokenAccount: 'F'.repeat(43),
      tokenAmount: 0.25,
    });
    const { values } = amounts(
      [leg({ tokenAmount: Number('10000000000.000001') }), other],
      [change(B, ACCOUNT_B, '10000000000250001'), change(A, ACCOUNT_A, '-10000000000000001')],
    );
    expect(values).toEqual([
      [10_000_000_000_000_001n, 6],
      [250_000n, 6],
    ]);
  });

  test('come from the number when the balance change disagrees, as after a fee', () => {
    expect(amounts([leg()], [change(B, ACCOUNT_B, '1400000')]).values).toEqual([[1_500_000n, 6]]);
  });

  test('small numbers with an exponent are read exactly', () => {
    const accountData = [change(A, 'Z'.repeat(43), '1', 9)];
    expect(amounts([leg({ tokenAmount: 5e-9 })], accountData).values).toEqual([[5n, 9]]);
  });

  test.each([
    ['no decimals are known', leg(), []],
    ['the number is finer than the unit', leg({ tokenAmount: 0.1234567 }), [change(A, 'Z'.repeat(43), '1')]],
    ['the number is too large', leg({ tokenAmount: 1e10 + 0.5 }), [change(A, 'Z'.repeat(43), '1', 9)]],
    ['the mint is no address', leg({ mint: 'x' }), []],
    ['the number is negative', leg({ tokenAmount: -1 }), []],
  ])('a leg is put aside when %s', (_name, only, accountData) => {
    const { values, rejected } = amounts([only], accountData);
    expect(values).toEqual([]);
    expect(rejected).toMatchObject([{ part: 'tx/0/token/0', code: 'VALUE_UNREADABLE' }]);
  });

  test('the token table knows decimals and symbols', () => {
    const driver = createProcessDriver(processor);
    driver.feed(factsTokens, token(MINT, 'USDC', 6));
    driver.feed(
      rawHelius,
      raw([transaction({ tokenTransfers: [leg({ fromUserAccount: '', fromTokenAccount: null })] })]),
    );
    expect(driver.values(chainTransfers)).toMatchObject([
      {
        id: `solana:${SIGNATURE}:token:0`,
        asset: MINT,
        amountRaw: 1_500_000n,
        decimals: 6,
        symbol: 'USDC',
        from: null,
        to: B,
      },
    ]);
  });

  test('zero moves nothing', () => {
    expect(amounts([leg({ tokenAmount: 0 })], [])).toEqual({ values: [], rejected: [] });
  });
});

test('a failed transaction moves nothing, one that does not say is unverified', () => {
  const nativeTransfers = [{ fromUserAccount: A, toUserAccount: B, amount: 1 }];
  const failed = transaction({ nativeTransfers, transactionError: { error: 'x' } });
  expect(run(failed).emitted).toEqual([]);
  const [silent] = run(transaction({ nativeTransfers, transactionError: undefined })).values(chainTransfers);
  expect(silent?.status).toBe('unverified');
});

test('a transaction delivered again counts once, and one that cannot be read does not stop the others', () => {
  const nativeTransfers = [{ fromUserAccount: A, toUserAccount: B, amount: 1 }];
  const driver = run(
    null,
    transaction({ signature: '__proto__' }),
    transaction({ nativeTransfers }),
    transaction(),
  );
  expect(driver.values(chainTransfers)).toHaveLength(1);
  expect(driver.rejected.map((reject) => reject.part)).toEqual(['tx/0', 'tx/1']);
  expect(driver.duplicates()).toBe(1);
});

test('a delivery that is no array is refused', () => {
  const driver = createProcessDriver(processor);
  expect(() => driver.feed(rawHelius, raw({}))).toThrow(
    expect.toSatisfy((error) => isPipelineError(error, 'VALUE_UNREADABLE')),
  );
});
