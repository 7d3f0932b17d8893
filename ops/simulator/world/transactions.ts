/** What happens in a block of the seeded world: exact amounts, planted transfers that must and must not alert. */
import { EXCHANGES, WALLETS } from './cast.ts';
import { createRandom, hashOf, type Random } from './random.ts';

const ETHER = 10n ** 18n;
const USDC = '0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48';
const USDT = '0xdac17f958d2ee523a2206206994597c13d831ec7';
const WETH = '0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2';
/** Tokens with the largest everyday amount in raw units; WETH stays below what a whale rule in ETH looks for. */
const TOKENS = [
  { address: USDC, max: 400_000n * 10n ** 6n },
  { address: USDT, max: 400_000n * 10n ** 6n },
  { address: WETH, max: 40n * ETHER },
];

/** A transaction before it is written as JSON. */
export interface WorldTransaction {
  readonly hash: string;
  readonly from: string;
  readonly to: string;
  readonly valueWei: bigint;
  /** Token transfer made by the call; null for a plain transfer. */
  readonly token: { readonly address: string; readonly to: string; readonly amount: bigint } | null;
  readonly isFailed: boolean;
  /** It succeeded and moved more than 100 ETH. */
  readonly mustAlert: boolean;
  readonly gasUsed: number;
}

/** Every 20 blocks: exactly the limit, one wei above it, and a transfer that failed. */
const EDGE_EVERY = 20;

/** The transactions of block `index`: a function of its arguments alone. */
export function transactionsOf(salt: string, index: number): readonly WorldTransaction[] {
  const random = createRandom(`${salt}:block:${index}`);
  const list: Omit<WorldTransaction, 'hash' | 'mustAlert'>[] = [];
  const count = random.between(30, 120);
  for (let turn = 0; turn < count; turn += 1) list.push(everyday(random));
  const plant = (valueWei: bigint, isFailed = false): void => {
    const place = random.between(0, list.length);
    list.splice(place, 0, { ...betweenExchanges(random), valueWei, token: null, isFailed, gasUsed: 21_000 });
  };
  // The first whale comes in one of the first two blocks: a newcomer sees an alert within seconds.
  const firstWhale = createRandom(`${salt}:first whale`).between(0, 1);
  if (index < 2 ? index === firstWhale : random.oneIn(3)) plant(whale(random));
  if (index % EDGE_EVERY === 1) plant(100n * ETHER);
  if (index % EDGE_EVERY === 2) plant(100n * ETHER + 1n);
  if (index % EDGE_EVERY === 3) plant(500n * ETHER, true);
  return list.map((transaction, place) => ({
    ...transaction,
    hash: hashOf(`${salt}:transaction:${index}:${place}`),
    mustAlert: !transaction.isFailed && transaction.valueWei > 100n * ETHER,
  }));
}

function whale(random: Random): bigint {
  // Small ones are more frequent, as in life.
  const top = random.oneIn(4) ? 5_000n : 600n;
  return random.bigBetween(101n * ETHER, top * ETHER);
}

function betweenExchanges(random: Random): { from: string; to: string } {
  const exchange = random.pick(EXCHANGES).address;
  const other = random.oneIn(3) ? random.pick(EXCHANGES).address : random.pick(WALLETS);
  return random.oneIn(2) ? { from: exchange, to: other } : { from: other, to: exchange };
}

function everyday(random: Random): Omit<WorldTransaction, 'hash' | 'mustAlert'> {
  const from = random.pick(WALLETS);
  const to = random.oneIn(8) ? random.pick(EXCHANGES).address : random.pick(WALLETS);
  const isFailed = random.oneIn(33);
  if (random.oneIn(2)) {
    const valueWei = random.bigBetween(1n, random.oneIn(10) ? 60n * ETHER : 3n * ETHER);
    return { from, to, valueWei, token: null, isFailed, gasUsed: 21_000 };
  }
  const { address, max } = random.pick(TOKENS);
  const amount = random.bigBetween(1n, random.oneIn(10) ? max : max / 100n);
  return {
    from,
    to: address,
    valueWei: 0n,
    token: { address, to, amount },
    isFailed,
    gasUsed: random.between(30_000, 70_000),
  };
}
