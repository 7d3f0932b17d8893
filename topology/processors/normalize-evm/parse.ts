/**
 * Reads blocks and receipts of Ethereum JSON-RPC (execution-apis: eth_getBlockByHash, eth_getBlockReceipts).
 *
 * What comes in is hostile. Checks compare characters, since a block has hundreds of thousands of them. Everything
 * here throws VALUE_UNREADABLE with the field that is wrong.
 */
import { PipelineError } from '#pipeline/errors.ts';

/** keccak256("Transfer(address,address,uint256)"), shared by ERC-20 and ERC-721. */
export const TRANSFER_TOPIC = '0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef';

const ZERO_ADDRESS = `0x${'0'.repeat(40)}`;
const ADDRESS_PADDING = `0x${'0'.repeat(24)}`;
const MAX_INT = 2 ** 31 - 1;
/** The largest time that ECMAScript can represent, in seconds. */
const MAX_SECONDS = 8.64e12;

export interface EvmBlock {
  readonly number: bigint;
  readonly hash: string;
  readonly parentHash: string;
  readonly timestampMs: number;
  readonly transactions: readonly unknown[];
  /** Null: not known. */
  readonly receipts: readonly unknown[] | null;
}

export interface EvmTransaction {
  readonly hash: string;
  readonly index: number;
  readonly from: string;
  /** Null: creates a contract. */
  readonly to: string | null;
  readonly value: bigint;
}

export interface EvmReceipt {
  readonly transactionHash: string;
  readonly blockHash: string;
  /** `unknown`: before Byzantium a receipt has a state root instead of a status. */
  readonly outcome: 'succeeded' | 'failed' | 'unknown';
  readonly contractAddress: string | null;
  readonly logs: readonly unknown[];
}

export interface EvmTransfer {
  readonly logIndex: number;
  readonly token: string;
  /** Null: minted. */
  readonly from: string | null;
  /** Null: burnt. */
  readonly to: string | null;
  readonly amount: bigint;
}

const show = (value: unknown): string =>
  typeof value === 'string' ? JSON.stringify(value.slice(0, 80)) : value === null ? 'null' : typeof value;

const refuse = (where: string, expected: string, found: unknown): PipelineError =>
  new PipelineError(
    'VALUE_UNREADABLE',
    `${where}: expected ${expected}, found ${show(found)}; see the provider's answer`,
  );

type Fields = Readonly<Record<string, unknown>>;

function fields(value: unknown, where: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw refuse(where, 'an object', value);
  return value as Fields;
}

function isHex(text: string): boolean {
  for (let i = 2; i < text.length; i++) {
    const code = text.charCodeAt(i);
    // 0-9, a-f, A-F
    if (!((code >= 48 && code <= 57) || (code >= 97 && code <= 102) || (code >= 65 && code <= 70)))
      return false;
  }
  return text.charCodeAt(0) === 48 && text.charCodeAt(1) === 120;
}

function hex(value: unknown, length: number, where: string): string {
  if (typeof value !== 'string' || value.length !== length || !isHex(value)) {
    throw refuse(where, `0x and ${length - 2} hex digits`, value);
  }
  return value.toLowerCase();
}

const hash = (value: unknown, where: string): string => hex(value, 66, where);
const address = (value: unknown, where: string): string => hex(value, 42, where);

/** A hex quantity of at most 256 bits. */
function quantity(value: unknown, where: string): bigint {
  if (value === '0x0') return 0n;
  if (typeof value !== 'string' || value.length < 3 || value.length > 66 || !isHex(value)) {
    throw refuse(where, 'a hex quantity of at most 256 bits', value);
  }
  return BigInt(value);
}

function integer(value: unknown, where: string, max: number): number {
  const found = quantity(value, where);
  if (found > BigInt(max)) throw refuse(where, `at most ${max}`, value);
  return Number(found);
}

/** Reads `{"block":{...},"receipts":[...]|null}`; transactions and receipts are left for later, one at a time. */
export function parseBlock(body: Buffer): EvmBlock {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString('utf8'));
  } catch (cause) {
    throw new PipelineError('VALUE_UNREADABLE', 'body: expected JSON text; see the bytes', { cause });
  }
  const envelope = fields(parsed, 'body');
  const block = fields(envelope.block, 'block');
  const { transactions } = block;
  if (!Array.isArray(transactions)) throw refuse('block.transactions', 'an array', transactions);
  if (typeof transactions[0] === 'string') {
    throw refuse('block.transactions', 'full transactions, not their hashes', transactions[0]);
  }
  const receipts = envelope.receipts ?? null;
  if (receipts !== null && !Array.isArray(receipts)) throw refuse('receipts', 'an array or null', receipts);
  return {
    number: BigInt(integer(block.number, 'block.number', Number.MAX_SAFE_INTEGER)),
    hash: hash(block.hash, 'block.hash'),
    parentHash: hash(block.parentHash, 'block.parentHash'),
    timestampMs: integer(block.timestamp, 'block.timestamp', MAX_SECONDS) * 1_000,
    transactions,
    receipts,
  };
}

/** Reads the fields of a transaction that move value. */
export function parseTransaction(value: unknown): EvmTransaction {
  const transaction = fields(value, 'transaction');
  return {
    hash: hash(transaction.hash, 'transaction.hash'),
    index: integer(transaction.transactionIndex, 'transaction.transactionIndex', MAX_INT),
    from: address(transaction.from, 'transaction.from'),
    to: transaction.to == null ? null : address(transaction.to, 'transaction.to'),
    value: quantity(transaction.value, 'transaction.value'),
  };
}

/** Reads a receipt; its logs are left for later. */
export function parseReceipt(value: unknown): EvmReceipt {
  const receipt = fields(value, 'receipt');
  const { status, contractAddress, logs } = receipt;
  if (!Array.isArray(logs)) throw refuse('receipt.logs', 'an array', logs);
  if (status != null && status !== '0x1' && status !== '0x0')
    throw refuse('receipt.status', '0x0 or 0x1', status);
  return {
    transactionHash: hash(receipt.transactionHash, 'receipt.transactionHash'),
    blockHash: hash(receipt.blockHash, 'receipt.blockHash'),
    outcome: status == null ? 'unknown' : status === '0x1' ? 'succeeded' : 'failed',
    contractAddress: contractAddress == null ? null : address(contractAddress, 'receipt.contractAddress'),
    logs,
  };
}

function party(topic: string): string | null {
  const found = `0x${topic.slice(26)}`;
  return found === ZERO_ADDRESS ? null : found;
}

/** The ERC-20 transfer of a log; null when it is another event, ERC-721, of amount zero, or taken back. */
export function parseTransfer(value: unknown): EvmTransfer | null {
  const log = fields(value, 'log');
  const { topics, data } = log;
  if (!Array.isArray(topics)) throw refuse('log.topics', 'an array', topics);
  if (topics[0] !== TRANSFER_TOPIC || topics.length !== 3 || log.removed === true) return null;
  if (typeof data !== 'string') throw refuse('log.data', 'hex text', data);
  if (data.length !== 66) return null;
  const from = hash(topics[1], 'log.topics[1]');
  const to = hash(topics[2], 'log.topics[2]');
  // Any contract can write any 32 bytes here: what does not hold an address is no transfer, and no error.
  if (!from.startsWith(ADDRESS_PADDING) || !to.startsWith(ADDRESS_PADDING)) return null;
  const amount = BigInt(hash(data, 'log.data'));
  if (amount === 0n) return null;
  return {
    logIndex: integer(log.logIndex, 'log.logIndex', MAX_INT),
    token: address(log.address, 'log.address'),
    from: party(from),
    to: party(to),
    amount,
  };
}
