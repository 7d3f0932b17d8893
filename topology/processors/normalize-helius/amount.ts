/** The exact raw amount of a token leg, where it can be known (analytics, section 1). */
import { numberToDecimalText, toDecimalText, toRawAmount } from '#pipeline/amounts.ts';
import type { BalanceChange, TokenLeg } from './parse.ts';

/** Doubles that the provider computed differ from the exact value by a few units in the last place. */
const RELATIVE_ERROR = 1e-12;

export interface ExactAmount {
  readonly raw: bigint;
  readonly decimals: number;
}

/** `knownDecimals` comes from the token table; null: unknown. The answer is null when the amount cannot be exact. */
export type AmountReader = (leg: TokenLeg, knownDecimals: number | null) => ExactAmount | null;

/**
 * Reads the amounts of the legs of one transaction: from the balance change of an account that no other leg touches,
 * the receiving one first, else from the double itself. `null` among the legs is one that could not be read.
 */
export function createAmountReader(
  legs: readonly (TokenLeg | null)[],
  changes: readonly BalanceChange[],
): AmountReader {
  const touches = new Map<string, number>();
  for (const leg of legs) {
    if (leg === null) continue;
    for (const address of new Set([leg.from, leg.to, leg.fromAccount, leg.toAccount])) {
      const key = `${leg.mint}/${address}`;
      touches.set(key, (touches.get(key) ?? 0) + 1);
    }
  }
  const changeOf = new Map<string, BalanceChange | null>();
  const decimalsOf = new Map<string, number>();
  for (const change of changes) {
    decimalsOf.set(change.mint, change.decimals);
    for (const address of new Set([change.account, change.owner])) {
      const key = `${change.mint}/${address}`;
      // Null: more than one, so neither tells.
      changeOf.set(key, changeOf.has(key) ? null : change);
    }
  }
  // A leg that cannot be read may touch any account, so none is known to have one leg only.
  const isComplete = legs.every((leg) => leg !== null);

  return (leg, knownDecimals) => {
    const sides = [
      { address: leg.toAccount ?? leg.to, sign: 1n },
      { address: leg.fromAccount ?? leg.from, sign: -1n },
    ];
    for (const { address, sign } of sides) {
      const key = `${leg.mint}/${address}`;
      const change = changeOf.get(key);
      if (!isComplete || address === null || change == null || touches.get(key) !== 1) continue;
      const raw = change.raw * sign;
      // A wrap, a fee or a burn that is no leg of its own also changes the balance: then the two disagree.
      if (raw > 0n && isClose(raw, change.decimals, leg.amount)) return { raw, decimals: change.decimals };
    }
    return fromDouble(leg.amount, decimalsOf.get(leg.mint) ?? knownDecimals);
  };
}

/** A double with at most 2^53 smallest units is exact through its shortest text. */
function fromDouble(amount: number, decimals: number | null): ExactAmount | null {
  const text = numberToDecimalText(amount);
  if (decimals === null || text === null || text.length > 60) return null;
  const raw = toRawAmount(text, decimals);
  return raw === null || raw > BigInt(Number.MAX_SAFE_INTEGER) ? null : { raw, decimals };
}

function isClose(raw: bigint, decimals: number, amount: number): boolean {
  const exact = Number(toDecimalText(raw, decimals));
  return Math.abs(exact - amount) <= exact * RELATIVE_ERROR;
}
