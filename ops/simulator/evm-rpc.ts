/** Answers JSON-RPC calls about one chain. Results are texts, so that what was recorded is sent unchanged. */
import { type EvmChain, hash32, quantity } from './evm-chain.ts';
import type { Heads } from './evm-heads.ts';
import { asObject } from './lines.ts';

/** A JSON-RPC error as a node gives it. */
export interface RpcError {
  readonly code: number;
  readonly message: string;
}
/** `result` is JSON text. */
export type RpcAnswer = { readonly result: Buffer | string } | { readonly error: RpcError };

const MAX_LOG_BLOCKS = 10_000;
const failed = (code: number, message: string): RpcAnswer => ({ error: { code, message } });
const NULL: RpcAnswer = { result: 'null' };
const hex = (value: number): string => `"0x${value.toString(16)}"`;

/** Answers one call; subscriptions belong to the connection and are not answered here (-32601). */
export function answerCall(
  chain: EvmChain,
  heads: Heads,
  call: { method: string; params: readonly unknown[] },
): RpcAnswer {
  const { method, params } = call;
  switch (method) {
    case 'eth_chainId':
      return { result: hex(chain.chainId) };
    case 'net_version':
      return { result: `"${chain.chainId}"` };
    case 'eth_blockNumber': {
      const index = heads.poll();
      return { result: hex(index === null ? 0 : (chain.head(index)?.number ?? 0)) };
    }
    case 'eth_getBlockByNumber':
      return block(chain, heads, byTag(chain, heads, params[0]), params[1]);
    case 'eth_getBlockByHash':
      return block(chain, heads, chain.indexOfHash(hash32(params[0]) ?? ''), params[1]);
    case 'eth_getBlockReceipts':
      return blockReceipts(chain, heads, params[0]);
    case 'eth_getTransactionReceipt':
      return transactionReceipt(chain, heads, params[0]);
    case 'eth_getLogs':
      return logs(chain, heads, params[0]);
    default:
      return failed(-32601, `the method ${method.slice(0, 60)} does not exist/is not available`);
  }
}

function byTag(chain: EvmChain, heads: Heads, tag: unknown): number | null {
  // Like a question for the block number, this moves a polling client on.
  if (tag === 'latest' || tag === 'pending') return heads.poll();
  const latest = heads.latest();
  if (tag === 'earliest') return chain.head(0) === null ? null : 0;
  // Two epochs, one epoch: the distances of the real chain, counted in announced blocks.
  if (tag === 'finalized' || tag === 'safe') {
    const place = (latest ?? -1) - (tag === 'safe' ? 32 : 64);
    return place < 0 ? null : place;
  }
  const number = quantity(tag);
  if (number === null) return null;
  const places = chain.indexesOfNumber(number);
  // Of several branches, the one announced last.
  return places.findLast((place) => latest !== null && place <= latest) ?? places[0] ?? null;
}

function block(chain: EvmChain, heads: Heads, index: number | null, isFull: unknown): RpcAnswer {
  // A chain without end has no blocks of the future; a recorded one is history and is there to be read.
  if (index === null || (chain.total === null && index > (heads.latest() ?? -1))) return NULL;
  const text = chain.block(index);
  heads.fetched(index);
  if (isFull === true) return { result: text };
  const parsed = asObject(JSON.parse(text.toString('utf8')));
  const transactions = Array.isArray(parsed?.transactions) ? parsed.transactions : [];
  const hashes = transactions.map((entry: unknown) => asObject(entry)?.hash ?? entry);
  return { result: JSON.stringify({ ...parsed, transactions: hashes }) };
}

function blockReceipts(chain: EvmChain, heads: Heads, param: unknown): RpcAnswer {
  const asked = asObject(param)?.blockHash ?? asObject(param)?.blockNumber ?? param;
  const index = byTag(chain, heads, asked);
  const number = quantity(asked);
  const hash =
    hash32(asked) ??
    (index !== null ? chain.head(index)?.hash : number === null ? null : chain.hashOfNumber(number));
  if (hash === null || hash === undefined) return NULL;
  const known = chain.indexOfHash(hash);
  if (known !== null) heads.receiptsAsked(known);
  const text = chain.receipts(hash);
  if (text !== null) return { result: text };
  return known === null ? NULL : failed(-32000, `receipts not available for block ${hash}`);
}

function transactionReceipt(chain: EvmChain, heads: Heads, param: unknown): RpcAnswer {
  const wanted = hash32(param);
  const hash = wanted === null ? null : chain.blockOfTransaction(wanted);
  if (wanted === null || hash === null) return failed(-32000, 'receipts not available for this transaction');
  const known = chain.indexOfHash(hash);
  if (known !== null) heads.receiptsAsked(known);
  const receipts = parseList(chain.receipts(hash));
  const found = receipts.find((receipt) => hash32(asObject(receipt)?.transactionHash) === wanted);
  return found === undefined ? NULL : { result: JSON.stringify(found) };
}

function logs(chain: EvmChain, heads: Heads, param: unknown): RpcAnswer {
  const filter = asObject(param);
  if (filter === null) return failed(-32602, 'invalid argument 0: expected a filter object');
  let hashes: readonly string[];
  if (filter.blockHash !== undefined) {
    const hash = hash32(filter.blockHash);
    if (hash === null) return failed(-32602, 'invalid argument 0: blockHash is not a 32-byte hash');
    hashes = [hash];
    const known = chain.indexOfHash(hash);
    if (known !== null) heads.receiptsAsked(known);
  } else {
    const [from, to] = [filter.fromBlock, filter.toBlock].map((tag) =>
      boundary(chain, heads, tag ?? 'latest'),
    );
    if (from === undefined || to === undefined || from === null || to === null || from > to)
      return failed(-32000, 'invalid block range params');
    if (to - from >= MAX_LOG_BLOCKS) return failed(-32005, `query exceeds max block range ${MAX_LOG_BLOCKS}`);
    hashes = chain.hashesWithLogs(from, to);
  }
  const texts = hashes.map((hash) => chain.logs(hash)).filter((text) => text !== null);
  if (texts.length === 0) return failed(-32000, 'logs not available for this block range');
  return { result: JSON.stringify(texts.flatMap(parseList).filter((log) => matches(asObject(log), filter))) };
}

const boundary = (chain: EvmChain, heads: Heads, tag: unknown): number | null => {
  const number = quantity(tag);
  if (number !== null) return number;
  const index = byTag(chain, heads, tag);
  return index === null ? null : (chain.head(index)?.number ?? null);
};

const parseList = (text: Buffer | null): readonly unknown[] => {
  const value: unknown = text === null ? [] : JSON.parse(text.toString('utf8'));
  return Array.isArray(value) ? value : [];
};

type Fields = Readonly<Record<string, unknown>>;

function matches(log: Fields | null, filter: Fields): boolean {
  if (log === null) return false;
  if (!accepts(filter.address, log.address)) return false;
  const wanted = Array.isArray(filter.topics) ? filter.topics : [];
  const topics: readonly unknown[] = Array.isArray(log.topics) ? log.topics : [];
  return wanted.every((choice, index) => accepts(choice, topics[index]));
}

/** A filter position: null or missing accepts all, a list accepts any of it. */
function accepts(choice: unknown, value: unknown): boolean {
  if (choice === undefined || choice === null) return true;
  const list = Array.isArray(choice) ? choice : [choice];
  if (list.length === 0) return true;
  return list.some((item) => typeof item === 'string' && item.toLowerCase() === String(value).toLowerCase());
}
