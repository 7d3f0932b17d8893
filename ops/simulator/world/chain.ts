/** The chain of the seeded world. Every block follows from the salt and its place, so none has to be kept. */
import type { ChainHead, EvmChain } from '../evm-chain.ts';
import { headerText } from '../evm-chain.ts';
import { BLOCK_MS } from './cast.ts';
import { hashOf } from './random.ts';
import { transactionsOf, type WorldTransaction } from './transactions.ts';

const TRANSFER = '0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef';
// All bits set: a filter that looks here first never misses a log.
const BLOOM = `0x${'ff'.repeat(256)}`;
const EMPTY_UNCLES = '0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347';
const GAS_PRICE = 1_200_000_000;
const WRITTEN_KEPT = 16;
const TRANSACTIONS_KEPT = 20_000;
const LOOK_BACK = 1_000;

const hex = (value: number | bigint): string => `0x${value.toString(16)}`;
const word = (value: string | bigint): string =>
  (typeof value === 'bigint' ? value.toString(16) : value.slice(2)).padStart(64, '0');

interface Written {
  readonly head: ChainHead;
  readonly block: Buffer;
  readonly receipts: Buffer;
  readonly logs: Buffer;
}

export interface WorldChain extends EvmChain {
  /** Hashes of the transactions in the first `blocks` blocks that must alert. */
  planted(blocks: number): readonly string[];
}

/** `timeOf` gives the time of a block in epoch milliseconds; `total` null: without end. */
export function createWorldChain(options: {
  salt: string;
  total: number | null;
  firstNumber: number;
  timeOf(index: number): number;
}): WorldChain {
  const { salt, total, firstNumber } = options;
  const kept = new Map<number, Written>();
  const blockHash = (index: number): string => hashOf(`${salt}:block hash:${index}`);
  /** Of the blocks written so far; one place for each, which days without end do not make a burden. */
  const places = new Map<string, number>();
  const transactions = new Map<string, number>();
  let highest = -1;
  const exists = (index: number): boolean => index >= 0 && (total === null || index < total);
  const written = (index: number): Written => {
    const found = kept.get(index) ?? writeBlock(index);
    kept.delete(index);
    kept.set(index, found);
    if (kept.size > WRITTEN_KEPT) kept.delete(kept.keys().next().value!);
    return found;
  };
  const writeBlock = (index: number): Written => {
    const hash = blockHash(index);
    const list = transactionsOf(salt, index);
    places.set(hash, index);
    highest = Math.max(highest, index);
    for (const { hash: transaction } of list) transactions.set(transaction, index);
    // Receipts of single transactions are asked for soon after the block, never of the distant past.
    for (const old of transactions.keys()) {
      if (transactions.size <= TRANSACTIONS_KEPT) break;
      transactions.delete(old);
    }
    const place = { number: firstNumber + index, hash, timeMs: options.timeOf(index), salt, index };
    return write(place, blockHash(index - 1), list);
  };
  const indexOfHash = (hash: string): number | null => {
    const found = places.get(hash);
    if (found !== undefined) return found;
    // Nobody asked for it yet: a client that walks back from its first block meets such.
    for (let index = highest; index >= 0 && index > highest - LOOK_BACK; index -= 1)
      if (blockHash(index) === hash) return index;
    return null;
  };
  const indexesOfNumber = (number: number): number[] =>
    exists(number - firstNumber) ? [number - firstNumber] : [];
  const known = (hash: string): Written | null => {
    const index = indexOfHash(hash);
    return index === null ? null : written(index);
  };
  return {
    chainId: 1,
    total,
    intervalMs: BLOCK_MS,
    head: (index) => (exists(index) ? written(index).head : null),
    indexOfHash,
    indexesOfNumber,
    block: (index) => written(index).block,
    hashOfNumber: (number) => (exists(number - firstNumber) ? blockHash(number - firstNumber) : null),
    receipts: (hash) => known(hash)?.receipts ?? null,
    blockOfTransaction: (hash) => {
      const index = transactions.get(hash);
      return index === undefined ? null : blockHash(index);
    },
    logs: (hash) => known(hash)?.logs ?? null,
    hashesWithLogs: (from, to) =>
      [...places]
        .filter(([, index]) => firstNumber + index >= from && firstNumber + index <= to)
        .map(([hash]) => hash),
    planted: (blocks) =>
      Array.from({ length: blocks }, (_, index) => transactionsOf(salt, index))
        .flat()
        .filter(({ mustAlert }) => mustAlert)
        .map(({ hash }) => hash),
  };
}

interface Place {
  readonly number: number;
  readonly hash: string;
  readonly timeMs: number;
  readonly salt: string;
  readonly index: number;
}

function write(place: Place, parentHash: string, list: readonly WorldTransaction[]): Written {
  const fields = { blockHash: place.hash, blockNumber: hex(place.number) };
  const gasUsed = list.reduce((sum, transaction) => sum + transaction.gasUsed, 0);
  const block = {
    number: hex(place.number),
    hash: place.hash,
    parentHash,
    nonce: '0x0000000000000000',
    sha3Uncles: EMPTY_UNCLES,
    logsBloom: BLOOM,
    transactionsRoot: hashOf(`${place.hash}:transactions`),
    stateRoot: hashOf(`${place.hash}:state`),
    receiptsRoot: hashOf(`${place.hash}:receipts`),
    miner: hashOf(`${place.salt}:miner`).slice(0, 42),
    mixHash: hashOf(`${place.hash}:mix`),
    difficulty: '0x0',
    extraData: '0x',
    gasLimit: hex(36_000_000),
    gasUsed: hex(gasUsed),
    baseFeePerGas: hex(GAS_PRICE),
    timestamp: hex(Math.floor(place.timeMs / 1_000)),
    transactions: list.map((transaction, index) => transactionJson(transaction, index, fields, place)),
    uncles: [],
    withdrawals: [],
  };
  let logIndex = 0;
  let cumulative = 0;
  const receipts = list.map((transaction, index) => {
    cumulative += transaction.gasUsed;
    const logs = logsJson(transaction, { ...fields, transactionIndex: hex(index) }, logIndex);
    logIndex += logs.length;
    return {
      ...fields,
      transactionHash: transaction.hash,
      transactionIndex: hex(index),
      type: '0x2',
      status: transaction.isFailed ? '0x0' : '0x1',
      from: transaction.from,
      to: transaction.to,
      contractAddress: null,
      gasUsed: hex(transaction.gasUsed),
      cumulativeGasUsed: hex(cumulative),
      effectiveGasPrice: hex(GAS_PRICE),
      logsBloom: BLOOM,
      logs,
    };
  });
  return {
    head: { number: place.number, hash: place.hash, header: headerText(block) },
    block: Buffer.from(JSON.stringify(block)),
    receipts: Buffer.from(JSON.stringify(receipts)),
    logs: Buffer.from(JSON.stringify(receipts.flatMap(({ logs }) => logs))),
  };
}

function transactionJson(
  transaction: WorldTransaction,
  index: number,
  fields: Readonly<Record<string, string>>,
  place: Place,
): Readonly<Record<string, unknown>> {
  const { token } = transaction;
  return {
    ...fields,
    transactionIndex: hex(index),
    hash: transaction.hash,
    from: transaction.from,
    to: transaction.to,
    value: hex(transaction.valueWei),
    gas: hex(Math.ceil(transaction.gasUsed * 1.2)),
    gasPrice: hex(GAS_PRICE),
    maxFeePerGas: hex(GAS_PRICE * 2),
    maxPriorityFeePerGas: hex(100_000_000),
    input: token === null ? '0x' : `0xa9059cbb${word(token.to)}${word(token.amount)}`,
    nonce: hex(place.index * 4 + (index % 4)),
    type: '0x2',
    chainId: '0x1',
    accessList: [],
    v: '0x0',
    yParity: '0x0',
    r: hashOf(`${transaction.hash}:r`),
    s: hashOf(`${transaction.hash}:s`),
  };
}

function logsJson(
  transaction: WorldTransaction,
  fields: Readonly<Record<string, string>>,
  logIndex: number,
): readonly Readonly<Record<string, unknown>>[] {
  const { token } = transaction;
  if (token === null || transaction.isFailed) return [];
  const topics = [TRANSFER, `0x${word(transaction.from)}`, `0x${word(token.to)}`];
  return [
    {
      ...fields,
      transactionHash: transaction.hash,
      address: token.address,
      topics,
      data: `0x${word(token.amount)}`,
      logIndex: hex(logIndex),
      removed: false,
    },
  ];
}
