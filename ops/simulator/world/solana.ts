/** Enhanced transactions of the seeded world: SOL transfers, a few of them very large. */
import type { Delivery, DeliverySource } from '../helius.ts';
import { SOLANA_WALLETS } from './cast.ts';
import { base58Of, createRandom, type Random } from './random.ts';

const LAMPORTS = 1_000_000_000n;
/** Time between deliveries at speed 1. */
export const DELIVERY_MS = 3_000;
const FEE = 5_000;
const FIRST_SLOT = 390_000_000;

/** `batches` null: without end. `timeOf` turns delivery time into epoch milliseconds. */
export function createWorldDeliveries(options: {
  salt: string;
  batches: number | null;
  timeOf(atMs: number): number;
}): DeliverySource {
  const { batches } = options;
  const batch = (index: number): Delivery => {
    const random = createRandom(`${options.salt}:solana:${index}`);
    const atMs = index * DELIVERY_MS;
    const count = random.between(1, 4);
    const transactions = Array.from({ length: count }, (_, place) =>
      transactionText(random, { salt: options.salt, index, place, timeMs: options.timeOf(atMs) }),
    );
    return { atMs, transactions };
  };
  function* deliveries(): Generator<Delivery> {
    for (let index = 0; batches === null || index < batches; index += 1) yield batch(index);
  }
  const total =
    batches === null
      ? null
      : [...deliveries()].reduce((sum, { transactions }) => sum + transactions.length, 0);
  return { total, deliveries };
}

function transactionText(
  random: Random,
  place: { salt: string; index: number; place: number; timeMs: number },
): string {
  const from = random.pick(SOLANA_WALLETS);
  const others = SOLANA_WALLETS.filter((wallet) => wallet !== from);
  const to = random.pick(others);
  // One in five is a whale: 2,501 to 400,000 SOL.
  const lamports = random.oneIn(5)
    ? random.bigBetween(2_501n * LAMPORTS, 400_000n * LAMPORTS)
    : random.bigBetween(1_000n, 300n * LAMPORTS);
  const sol = `${lamports / LAMPORTS}.${String(lamports % LAMPORTS).padStart(9, '0')}`;
  // Below 2^53 lamports the JSON number is exact.
  const amount = Number(lamports);
  return JSON.stringify({
    description: `${from} transferred ${sol.replace(/\.?0+$/, '')} SOL to ${to}.`,
    type: 'TRANSFER',
    source: 'SYSTEM_PROGRAM',
    fee: FEE,
    feePayer: from,
    signature: base58Of(`${place.salt}:signature:${place.index}:${place.place}`, 64),
    slot: FIRST_SLOT + Math.floor((place.index * DELIVERY_MS) / 400),
    timestamp: Math.floor(place.timeMs / 1_000),
    tokenTransfers: [],
    nativeTransfers: [{ fromUserAccount: from, toUserAccount: to, amount }],
    accountData: [
      { account: from, nativeBalanceChange: -amount - FEE, tokenBalanceChanges: [] },
      { account: to, nativeBalanceChange: amount, tokenBalanceChanges: [] },
    ],
    transactionError: null,
    instructions: [],
    events: {},
  });
}
