/** A block and its receipts as a block record and transfers of value (analytics, sections 1 and 2). */
import { messageOf, PipelineError } from '#pipeline/errors.ts';
import type { InputRecord, ProcessContext } from '#pipeline/processor.ts';
import { keyValue } from '#pipeline/state/key-value.ts';
import type { RawRecord } from '#schemas/raw-record.ts';
import type { Token } from '#schemas/token.ts';
import { chainBlocks, chainTransfers } from '#schemas/topics.ts';
import type { Transfer } from '#schemas/transfer.ts';
import {
  type EvmBlock,
  type EvmReceipt,
  parseBlock,
  parseReceipt,
  parseTransaction,
  parseTransfer,
} from './parse.ts';

const DAY_MS = 86_400_000;
/** The same block reaches us by head, by gap repair and after a restart of its connector. */
const ADMITTED_MS = 7 * DAY_MS;

/** What is kept of a token. */
export type KnownToken = { readonly symbol: string; readonly decimals: number };

export const stores = {
  /** `<chain>:<block hash>` of blocks that were taken in. */
  admitted: keyValue<1>({ retentionMs: ADMITTED_MS }),
  /** `<chain>:<asset>` */
  tokens: keyValue<KnownToken>(),
};

type Context = ProcessContext<typeof stores>;

/** `ethereum` for chain id 1, else `eip155-<id>`; from the record's key, or else from its source (`evm:1`). */
export function chainName(key: string, source: string): string {
  const id = /^\d{1,20}$/.test(key) ? key : /^evm:(\d{1,20})(?::|$)/.exec(source)?.[1];
  if (id === undefined) {
    throw new PipelineError(
      'VALUE_UNREADABLE',
      `expected a chain id as key or a source such as evm:1, found key ${JSON.stringify(key.slice(0, 40))}`,
    );
  }
  return id === '1' ? 'ethereum' : `eip155-${id}`;
}

/** The fact of a token as it is kept. */
export const keptToken = ({ symbol, decimals }: Token): KnownToken => ({ symbol, decimals });

function bytesOf(part: unknown): Buffer {
  try {
    return Buffer.from(JSON.stringify(part) ?? '');
  } catch {
    // Nested deeper than the stack; the raw record still has it.
    return Buffer.alloc(0);
  }
}

/** Calls `read`; what it throws becomes a dead letter for that part alone, and the answer is undefined. */
function attempt<T>(context: Context, part: string, value: unknown, read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    context.reject({ part, code: 'VALUE_UNREADABLE', reason: messageOf(error), body: bytesOf(value) });
    return undefined;
  }
}

function readReceipts(context: Context, { receipts, hash }: EvmBlock): Map<string, EvmReceipt> {
  const known = new Map<string, EvmReceipt>();
  for (const [i, value] of (receipts ?? []).entries()) {
    attempt(context, `receipt/${i}`, value, () => {
      const receipt = parseReceipt(value);
      if (receipt.blockHash !== hash || known.has(receipt.transactionHash)) {
        throw new PipelineError(
          'VALUE_UNREADABLE',
          `expected one receipt of block ${hash} for each transaction, found a second one or one of ${receipt.blockHash}`,
        );
      }
      known.set(receipt.transactionHash, receipt);
    });
  }
  return known;
}

/** Emits the block, its native transfers and its ERC-20 transfers, once for each block hash. */
export function normalizeEvm(record: InputRecord<RawRecord>, context: Context): void {
  const { value } = record;
  if (value === null || value.kind !== 'block') {
    throw new PipelineError('VALUE_UNREADABLE', `expected kind block, found ${value?.kind ?? 'a tombstone'}`);
  }
  const chain = chainName(record.key, value.source);
  const block = parseBlock(value.body);
  const id = `${chain}:${block.hash}`;
  if (context.stores.admitted.get(id) !== undefined) {
    context.duplicate();
    return;
  }
  context.stores.admitted.put(id, 1);

  const receipts = readReceipts(context, block);
  const common = {
    op: 'assert' as const,
    eventTimeMs: block.timestampMs,
    receivedAtMs: value.receivedAtMs,
    source: value.source,
    causes: [record.place],
    chain,
  };
  context.emit(chainBlocks, chain, {
    ...common,
    id,
    number: block.number,
    hash: block.hash,
    parentHash: block.parentHash,
    transactionCount: block.transactions.length,
    receiptsKnown: block.receipts !== null && receipts.size === block.transactions.length,
  });

  // A block repeats its tokens; a look into the store parses JSON.
  const tokens = new Map<string, KnownToken | null>();
  const tokenOf = (asset: string): KnownToken | null => {
    const key = `${chain}:${asset}`;
    let known = tokens.get(key);
    if (known === undefined) {
      known = context.stores.tokens.get(key) ?? null;
      tokens.set(key, known);
    }
    return known;
  };
  const emit = (
    asset: string,
    moved: Pick<Transfer, 'id' | 'txHash' | 'index' | 'from' | 'to' | 'amountRaw' | 'status'>,
  ) => {
    const token = tokenOf(asset);
    context.emit(chainTransfers, `${chain}:${asset}`, {
      ...common,
      ...moved,
      asset,
      blockNumber: block.number,
      decimals: token?.decimals ?? null,
      symbol: token?.symbol ?? null,
    });
  };

  for (const [i, raw] of block.transactions.entries()) {
    const transaction = attempt(context, `tx/${i}`, raw, () => parseTransaction(raw));
    if (transaction === undefined || transaction.value === 0n) continue;
    const receipt = receipts.get(transaction.hash);
    if (receipt?.outcome === 'failed') continue;
    emit('native', {
      id: `${chain}:${transaction.hash}:native`,
      txHash: transaction.hash,
      index: transaction.index,
      from: transaction.from,
      to: transaction.to ?? receipt?.contractAddress ?? null,
      amountRaw: transaction.value,
      status: receipt?.outcome === 'succeeded' ? 'mined' : 'unverified',
    });
  }
  for (const { transactionHash, outcome, logs } of receipts.values()) {
    if (outcome === 'failed') continue;
    for (const [i, raw] of logs.entries()) {
      const part = `log/${transactionHash}/${i}`;
      const transfer = attempt(context, part, raw, () => parseTransfer(raw));
      if (transfer == null) continue;
      emit(transfer.token, {
        id: `${chain}:${transactionHash}:log:${transfer.logIndex}`,
        txHash: transactionHash,
        index: transfer.logIndex,
        from: transfer.from,
        to: transfer.to,
        amountRaw: transfer.amount,
        // A transaction that fails leaves no logs, so a log proves success even without a status.
        status: 'mined',
      });
    }
  }
}
