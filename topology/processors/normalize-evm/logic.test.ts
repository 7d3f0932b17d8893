import { describe, expect, test } from 'vitest';
import { isPipelineError } from '#pipeline/errors.ts';
import { createProcessDriver } from '#pipeline/testing/process.ts';
import { chainBlocks, chainTransfers, factsTokens, rawEvm } from '#schemas/topics.ts';
import processor from './index.ts';
import { TRANSFER_TOPIC } from './parse.ts';

const hash = (n: number) => `0x${n.toString(16).padStart(64, '0')}`;
const address = (n: number) => `0x${n.toString(16).padStart(40, '0')}`;
const BLOCK_HASH = hash(0xb10c);
const TOKEN = address(0x70ce);

const transaction = (n: number, change: object = {}) => ({
  hash: hash(n),
  transactionIndex: `0x${n.toString(16)}`,
  from: address(1),
  to: address(2),
  value: '0xde0b6b3a7640000',
  ...change,
});
const receipt = (n: number, change: object = {}) => ({
  transactionHash: hash(n),
  blockHash: BLOCK_HASH,
  status: '0x1',
  contractAddress: null,
  logs: [],
  ...change,
});
const log = (change: object = {}) => ({
  address: TOKEN,
  topics: [TRANSFER_TOPIC, hash(1), hash(2)],
  data: hash(5_000_000),
  logIndex: '0x7',
  removed: false,
  ...change,
});
const block = (transactions: readonly unknown[], change: object = {}) => ({
  number: '0x10',
  hash: BLOCK_HASH,
  parentHash: hash(0xb10b),
  timestamp: '0x64',
  transactions,
  ...change,
});
const raw = (body: unknown, kind = 'block') => ({
  key: '1',
  value: {
    source: 'evm:1',
    kind,
    receivedAtMs: 123,
    body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
  },
});
const run = (transactions: readonly unknown[], receipts: readonly unknown[] | null) => {
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
  driver.feed(rawEvm, raw({ block: block(transactions), receipts }));
  return driver;
};

test('a block and its native transfer are emitted with all that is known', () => {
  const driver = run([transaction(0)], [receipt(0)]);
  expect(driver.emitted.map((output) => [output.topic, output.key])).toEqual([
    [chainBlocks.name, 'ethereum'],
    [chainTransfers.name, 'ethereum:native'],
  ]);
  expect(driver.values(chainBlocks)[0]).toMatchObject({
    id: `ethereum:${BLOCK_HASH}`,
    number: 16n,
    transactionCount: 1,
    receiptsKnown: true,
  });
  expect(driver.values(chainTransfers)).toEqual([
    {
      id: `ethereum:${hash(0)}:native`,
      op: 'assert',
      eventTimeMs: 100_000,
      receivedAtMs: 123,
      source: 'evm:1',
      causes: ['raw.evm.v1/0/1'],
      chain: 'ethereum',
      asset: 'native',
      txHash: hash(0),
      blockNumber: 16n,
      index: 0,
      from: address(1),
      to: address(2),
      amountRaw: 10n ** 18n,
      decimals: 18,
      symbol: 'ETH',
      status: 'mined',
    },
  ]);
});

test.each([
  ['a failed transaction moves nothing', { status: '0x0' }, []],
  [
    'a receipt from before Byzantium leaves it unverified',
    { status: undefined, root: hash(9) },
    ['unverified'],
  ],
  ['a receipt of another block says nothing', { blockHash: hash(9) }, ['unverified']],
])('%s', (_name, change, statuses) => {
  const driver = run([transaction(0)], [receipt(0, change)]);
  expect(driver.values(chainTransfers).map((transfer) => transfer.status)).toEqual(statuses);
});

test('without receipts a transfer is kept, unverified', () => {
  const driver = run([transaction(0), transaction(1, { value: '0x0' })], null);
  expect(driver.values(chainBlocks)[0]?.receiptsKnown).toBe(false);
  expect(driver.values(chainTransfers).map((transfer) => transfer.status)).toEqual(['unverified']);
});

test('receipts belong to transactions by hash, whatever their order', () => {
  const receipts = [receipt(1, { status: '0x0' }), receipt(0)];
  const [only, ...others] = run([transaction(0), transaction(1)], receipts).values(chainTransfers);
  expect(only?.txHash).toBe(hash(0));
  expect(others).toEqual([]);
});

test('value sent to a new contract arrives at its address, where a receipt tells it', () => {
  const create = transaction(0, { to: null });
  expect(run([create], null).values(chainTransfers)[0]?.to).toBeNull();
  const known = run([create], [receipt(0, { contractAddress: address(0xc0) })]);
  expect(known.values(chainTransfers)[0]?.to).toBe(address(0xc0));
});

describe('logs', () => {
  const transfers = (logs: readonly unknown[], change: object = {}) =>
    run([transaction(0, { value: '0x0' })], [receipt(0, { logs, ...change })]);

  test('an ERC-20 transfer of a token that is not known has no decimals', () => {
    const [transfer] = transfers([log()]).values(chainTransfers);
    expect(transfer).toMatchObject({
      id: `ethereum:${hash(0)}:log:7`,
      asset: TOKEN,
      index: 7,
      from: address(1),
      to: address(2),
      amountRaw: 5_000_000n,
      decimals: null,
      symbol: null,
      status: 'mined',
    });
  });

  test('the zero address is nobody: mint and burn', () => {
    const driver = transfers([
      log({ topics: [TRANSFER_TOPIC, hash(0), hash(2)] }),
      log({ topics: [TRANSFER_TOPIC, hash(1), hash(0)] }),
    ]);
    expect(driver.values(chainTransfers).map(({ from, to }) => [from, to])).toEqual([
      [null, address(2)],
      [address(1), null],
    ]);
  });

  test.each([
    ['ERC-721', { topics: [TRANSFER_TOPIC, hash(1), hash(2), hash(3)], data: '0x' }],
    ['another event', { topics: [hash(4), hash(1), hash(2)] }],
    ['amount zero', { data: hash(0) }],
    ['taken back', { removed: true }],
    ['more than one word of data', { data: `${hash(1)}${'0'.repeat(64)}` }],
    ['no address in a topic', { topics: [TRANSFER_TOPIC, `0x${'f'.repeat(64)}`, hash(2)] }],
    ['anonymous', { topics: [] }],
  ])('%s is no transfer and no error', (_name, change) => {
    const driver = transfers([log(change)]);
    expect(driver.values(chainTransfers)).toEqual([]);
    expect(driver.rejected).toEqual([]);
  });

  test('logs of a failed transaction do not count', () => {
    expect(transfers([log()], { status: '0x0' }).values(chainTransfers)).toEqual([]);
  });

  test('a log that cannot be read is put aside alone', () => {
    const driver = transfers([log({ logIndex: 7 }), log({ address: '0xzz' }), null, log()]);
    expect(driver.values(chainTransfers)).toHaveLength(1);
    expect(driver.rejected.map((reject) => reject.part)).toEqual([0, 1, 2].map((i) => `log/${hash(0)}/${i}`));
  });
});

test('the largest amount of 256 bits passes exactly, a larger one is put aside', () => {
  const driver = run(
    [transaction(0, { value: `0x${'f'.repeat(64)}` }), transaction(1, { value: `0x${'f'.repeat(65)}` })],
    null,
  );
  expect(driver.values(chainTransfers).map((transfer) => transfer.amountRaw)).toEqual([2n ** 256n - 1n]);
  expect(driver.rejected).toMatchObject([{ part: 'tx/1', code: 'VALUE_UNREADABLE' }]);
  expect(JSON.parse(driver.rejected[0]?.body.toString() ?? '')).toMatchObject({ hash: hash(1) });
});

test.each([['0x'], ['0xg'], ['1'], [' 0x1'], ['0x 1'], ['0x-1'], [1], [null], [{}]])(
  'a value of %j is put aside, and the rest goes on',
  (value) => {
    const driver = run([transaction(0, { value }), transaction(1)], null);
    expect(driver.values(chainTransfers)).toHaveLength(1);
    expect(driver.rejected).toHaveLength(1);
  },
);

test('the same block admitted twice counts once', () => {
  const driver = run([transaction(0)], null);
  const before = driver.emitted.length;
  driver.feed(rawEvm, raw({ block: block([transaction(0)]), receipts: [receipt(0)] }));
  expect(driver.emitted).toHaveLength(before);
  expect(driver.duplicates()).toBe(1);
});

test('other chains are named by their id, from the key or from the source', () => {
  for (const key of ['10', 'x']) {
    const driver = createProcessDriver(processor);
    const record = raw({ block: block([]), receipts: null });
    driver.feed(rawEvm, { key, value: { ...record.value, source: 'evm:10' } });
    expect(driver.emitted[0]?.key).toBe('eip155-10');
  }
});

test.each([
  ['not JSON', '{', 'block'],
  ['another kind', { block: block([]), receipts: null }, 'head'],
  ['no block', { block: null, receipts: null }, 'block'],
  ['hashes instead of transactions', { block: block([hash(1)]), receipts: null }, 'block'],
  ['receipts of the wrong shape', { block: block([]), receipts: {} }, 'block'],
  [
    'a time past the end of time',
    { block: block([], { timestamp: '0xffffffffffff' }), receipts: null },
    'block',
  ],
  ['a hash that is none', { block: block([], { hash: '0x1' }), receipts: null }, 'block'],
])('a record with %s is refused as a whole and leaves no trace', (_name, body, kind) => {
  const driver = createProcessDriver(processor);
  let error: unknown;
  try {
    driver.feed(rawEvm, raw(body, kind));
  } catch (thrown) {
    error = thrown;
  }
  expect(isPipelineError(error, 'VALUE_UNREADABLE')).toBe(true);
  expect(driver.emitted).toEqual([]);
  expect(driver.state().admitted).toEqual([]);
});
