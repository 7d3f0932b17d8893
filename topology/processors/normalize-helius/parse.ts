/**
 * Reads enhanced transactions of Helius (OpenAPI `EnhancedTransaction`).
 *
 * Lamports are integers. Token amounts are doubles in whole units, so they are taken from the exact balance changes
 * where these tell, and otherwise only when the double is exact. Everything here throws VALUE_UNREADABLE.
 */
import { isDecimals } from '#pipeline/amounts.ts';
import { PipelineError } from '#pipeline/errors.ts';

export interface HeliusTransaction {
  readonly signature: string;
  readonly slot: number;
  readonly timestampMs: number;
  /** `unknown`: the delivery does not say. */
  readonly outcome: 'succeeded' | 'failed' | 'unknown';
  readonly nativeTransfers: readonly unknown[];
  readonly tokenTransfers: readonly unknown[];
  readonly accountData: readonly unknown[];
}

export interface NativeLeg {
  readonly from: string | null;
  readonly to: string | null;
  readonly lamports: bigint;
}

export interface TokenLeg {
  readonly from: string | null;
  readonly to: string | null;
  readonly fromAccount: string | null;
  readonly toAccount: string | null;
  readonly mint: string;
  /** Whole units, as a double. */
  readonly amount: number;
}

export interface BalanceChange {
  readonly owner: string | null;
  readonly account: string | null;
  readonly mint: string;
  /** Signed, smallest unit. */
  readonly raw: bigint;
  readonly decimals: number;
}

/** The largest time that ECMAScript can represent, in seconds. */
const MAX_SECONDS = 8.64e12;
/** u64 has 20 digits. */
const RAW_AMOUNT = /^-?\d{1,20}$/;
/** Alphabet of Bitcoin, without 0, O, I and l. */
const ADDRESS = /^[1-9A-HJ-NP-Za-km-z]{32,44}$/;
const SIGNATURE = /^[1-9A-HJ-NP-Za-km-z]{64,90}$/;

const show = (value: unknown): string =>
  typeof value === 'string'
    ? JSON.stringify(value.slice(0, 100))
    : typeof value === 'number' || value === null
      ? String(value)
      : typeof value;

function refuse(where: string, expected: string, found: unknown): PipelineError {
  return new PipelineError(
    'VALUE_UNREADABLE',
    `${where}: expected ${expected}, found ${show(found)}; compare with the provider's delivery`,
  );
}

type Fields = Readonly<Record<string, unknown>>;

function fields(value: unknown, where: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw refuse(where, 'an object', value);
  return value as Fields;
}

function list(value: unknown, where: string): readonly unknown[] {
  if (value == null) return [];
  if (!Array.isArray(value)) throw refuse(where, 'an array', value);
  return value;
}

function integer(value: unknown, where: string, max: number): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || value > max) {
    throw refuse(where, `a whole number up to ${max}`, value);
  }
  return value;
}

function address(value: unknown, where: string): string {
  if (typeof value !== 'string' || !ADDRESS.test(value)) throw refuse(where, 'a base58 address', value);
  return value;
}

/** Mints and burns have no account on one side: empty text, null or absent. */
const maybeAddress = (value: unknown, where: string): string | null =>
  value == null || value === '' ? null : address(value, where);

/** Reads the array of a delivery; its transactions are left for later, one at a time. */
export function parseDelivery(body: Buffer): readonly unknown[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString('utf8'));
  } catch (cause) {
    throw new PipelineError('VALUE_UNREADABLE', 'body: expected JSON text; see the bytes', { cause });
  }
  if (!Array.isArray(parsed)) throw refuse('body', 'an array of enhanced transactions', parsed);
  return parsed;
}

/** Reads a transaction; its legs are left for later. */
export function parseTransaction(value: unknown): HeliusTransaction {
  const transaction = fields(value, 'transaction');
  const { signature, transactionError } = transaction;
  if (typeof signature !== 'string' || !SIGNATURE.test(signature)) {
    throw refuse('signature', 'a base58 signature', signature);
  }
  return {
    signature,
    slot: integer(transaction.slot, 'slot', Number.MAX_SAFE_INTEGER),
    timestampMs: integer(transaction.timestamp, 'timestamp', MAX_SECONDS) * 1_000,
    outcome: transactionError === undefined ? 'unknown' : transactionError === null ? 'succeeded' : 'failed',
    nativeTransfers: list(transaction.nativeTransfers, 'nativeTransfers'),
    tokenTransfers: list(transaction.tokenTransfers, 'tokenTransfers'),
    accountData: list(transaction.accountData, 'accountData'),
  };
}

/** Reads a movement of lamports. */
export function parseNativeLeg(value: unknown): NativeLeg {
  const leg = fields(value, 'nativeTransfer');
  return {
    from: maybeAddress(leg.fromUserAccount, 'fromUserAccount'),
    to: maybeAddress(leg.toUserAccount, 'toUserAccount'),
    // Above 2^53 the number has lost digits before it came here.
    lamports: BigInt(integer(leg.amount, 'amount', Number.MAX_SAFE_INTEGER)),
  };
}

/** Reads a movement of tokens. */
export function parseTokenLeg(value: unknown): TokenLeg {
  const leg = fields(value, 'tokenTransfer');
  const { tokenAmount } = leg;
  if (typeof tokenAmount !== 'number' || !Number.isFinite(tokenAmount) || tokenAmount < 0) {
    throw refuse('tokenAmount', 'a number that is not negative', tokenAmount);
  }
  return {
    from: maybeAddress(leg.fromUserAccount, 'fromUserAccount'),
    to: maybeAddress(leg.toUserAccount, 'toUserAccount'),
    fromAccount: maybeAddress(leg.fromTokenAccount, 'fromTokenAccount'),
    toAccount: maybeAddress(leg.toTokenAccount, 'toTokenAccount'),
    mint: address(leg.mint, 'mint'),
    amount: tokenAmount,
  };
}

/** The readable balance changes of a transaction; the others cannot make an amount exact, and are left out. */
export function parseBalanceChanges(accountData: readonly unknown[]): readonly BalanceChange[] {
  const changes: BalanceChange[] = [];
  for (const account of accountData) {
    const { tokenBalanceChanges } = (account ?? {}) as Fields;
    if (!Array.isArray(tokenBalanceChanges)) continue;
    for (const value of tokenBalanceChanges) {
      const change = parseBalanceChange(value);
      if (change !== null) changes.push(change);
    }
  }
  return changes;
}

function parseBalanceChange(value: unknown): BalanceChange | null {
  try {
    const change = fields(value, 'tokenBalanceChange');
    const { tokenAmount, decimals } = fields(change.rawTokenAmount, 'rawTokenAmount');
    if (typeof tokenAmount !== 'string' || !RAW_AMOUNT.test(tokenAmount)) return null;
    if (typeof decimals !== 'number' || !isDecimals(decimals)) return null;
    return {
      owner: maybeAddress(change.userAccount, 'userAccount'),
      account: maybeAddress(change.tokenAccount, 'tokenAccount'),
      mint: address(change.mint, 'mint'),
      raw: BigInt(tokenAmount),
      decimals,
    };
  } catch {
    return null;
  }
}
