/** Deliveries of Helius as transfers of SOL and tokens. */
import { messageOf, PipelineError } from '#pipeline/errors.ts';
import type { InputRecord, ProcessContext } from '#pipeline/processor.ts';
import { keyValue } from '#pipeline/state/key-value.ts';
import type { RawRecord } from '#schemas/raw-record.ts';
import type { Token } from '#schemas/token.ts';
import { chainTransfers } from '#schemas/topics.ts';
import type { Transfer } from '#schemas/transfer.ts';
import { createAmountReader } from './amount.ts';
import {
  type HeliusTransaction,
  parseBalanceChanges,
  parseDelivery,
  parseNativeLeg,
  parseTokenLeg,
  parseTransaction,
} from './parse.ts';

const DAY_MS = 86_400_000;
const CHAIN = 'solana';

/** What is kept of a token. */
export type KnownToken = { readonly symbol: string; readonly decimals: number };

export const stores = {
  /** Signatures of transactions that were taken in: the provider delivers again until it is answered. */
  admitted: keyValue<1>({ retentionMs: 7 * DAY_MS }),
  /** `<chain>:<asset>` */
  tokens: keyValue<KnownToken>(),
};

type Context = ProcessContext<typeof stores>;
type Moved = Pick<Transfer, 'id' | 'asset' | 'index' | 'from' | 'to' | 'amountRaw' | 'decimals' | 'symbol'>;
type Emit = (moved: Moved) => void;

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

/** Calls `read`; what it throws becomes a dead letter for that part alone, and the answer is null. */
function attempt<T>(context: Context, part: string, value: unknown, read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    context.reject({ part, code: 'VALUE_UNREADABLE', reason: messageOf(error), body: bytesOf(value) });
    return null;
  }
}

function emitNative(transaction: HeliusTransaction, part: string, context: Context, emit: Emit) {
  const token = context.stores.tokens.get(`${CHAIN}:native`);
  for (const [i, raw] of transaction.nativeTransfers.entries()) {
    const leg = attempt(context, `${part}/native/${i}`, raw, () => parseNativeLeg(raw));
    if (leg === null || leg.lamports === 0n) continue;
    emit({
      id: `${CHAIN}:${transaction.signature}:native:${i}`,
      asset: 'native',
      index: i,
      from: leg.from,
      to: leg.to,
      amountRaw: leg.lamports,
      decimals: token?.decimals ?? null,
      symbol: token?.symbol ?? null,
    });
  }
}

function emitTokens(transaction: HeliusTransaction, part: string, context: Context, emit: Emit) {
  const legs = transaction.tokenTransfers.map((raw, i) =>
    attempt(context, `${part}/token/${i}`, raw, () => parseTokenLeg(raw)),
  );
  const amountOf = createAmountReader(legs, parseBalanceChanges(transaction.accountData));
  for (const [i, leg] of legs.entries()) {
    if (leg === null || leg.amount === 0) continue;
    const token = context.stores.tokens.get(`${CHAIN}:${leg.mint}`);
    const exact = amountOf(leg, token?.decimals ?? null);
    if (exact === null) {
      context.reject({
        part: `${part}/token/${i}`,
        code: 'VALUE_UNREADABLE',
        reason: `expected an exact amount, found ${leg.amount} and no balance change that tells it; see the transaction`,
        body: bytesOf(transaction.tokenTransfers[i]),
      });
      continue;
    }
    emit({
      id: `${CHAIN}:${transaction.signature}:token:${i}`,
      asset: leg.mint,
      index: i,
      from: leg.from,
      to: leg.to,
      amountRaw: exact.raw,
      decimals: exact.decimals,
      symbol: token?.symbol ?? null,
    });
  }
}

/** Emits the transfers of each transaction of a delivery, once for each signature. */
export function normalizeHelius(record: InputRecord<RawRecord>, context: Context): void {
  const { value } = record;
  if (value === null || value.kind !== 'enhanced-transactions') {
    throw new PipelineError(
      'VALUE_UNREADABLE',
      `expected kind enhanced-transactions, found ${value?.kind ?? 'a tombstone'}`,
    );
  }
  for (const [i, raw] of parseDelivery(value.body).entries()) {
    const part = `tx/${i}`;
    const transaction = attempt(context, part, raw, () => parseTransaction(raw));
    if (transaction === null) continue;
    const { signature, outcome } = transaction;
    if (context.stores.admitted.get(signature) !== undefined) {
      context.duplicate();
      continue;
    }
    context.stores.admitted.put(signature, 1);
    if (outcome === 'failed') continue;
    const emit: Emit = (moved) =>
      context.emit(chainTransfers, `${CHAIN}:${moved.asset}`, {
        ...moved,
        op: 'assert',
        eventTimeMs: transaction.timestampMs,
        receivedAtMs: value.receivedAtMs,
        source: value.source,
        causes: [record.place],
        chain: CHAIN,
        txHash: signature,
        blockNumber: BigInt(transaction.slot),
        // Webhooks are sent when the transaction is confirmed.
        status: outcome === 'succeeded' ? 'confirmed' : 'unverified',
      });
    emitNative(transaction, part, context, emit);
    emitTokens(transaction, part, context, emit);
  }
}
