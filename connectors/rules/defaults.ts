/** Rules that hold without configuration. */

/** One row of the table: exactly one of `overRaw` (smallest unit) and `overUsd` (decimal text) is set. */
export interface RuleRow {
  readonly id: string;
  readonly chain: string;
  readonly asset: string;
  readonly overRaw?: string | undefined;
  readonly overUsd?: string | undefined;
  readonly text: string;
}

/** Thresholds for natives in their own unit and in USD, and for the large stablecoins in their smallest unit. */
export const DEFAULT_RULES: RuleRow[] = [
  {
    id: 'eth-over-100',
    chain: 'ethereum',
    asset: 'native',
    overRaw: '100000000000000000000',
    text: 'more than 100 ETH in one transfer',
  },
  {
    id: 'eth-usd-over-1m',
    chain: 'ethereum',
    asset: 'native',
    overUsd: '1000000',
    text: 'ETH worth more than 1,000,000 USD in one transfer',
  },
  {
    id: 'sol-usd-over-250k',
    chain: 'solana',
    asset: 'native',
    overUsd: '250000',
    text: 'SOL worth more than 250,000 USD in one transfer',
  },
  {
    id: 'usdc-over-1m',
    chain: 'ethereum',
    asset: '0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48',
    overRaw: '1000000000000',
    text: 'more than 1,000,000 USDC in one transfer',
  },
  {
    id: 'usdt-over-1m',
    chain: 'ethereum',
    asset: '0xdac17f958d2ee523a2206206994597c13d831ec7',
    overRaw: '1000000000000',
    text: 'more than 1,000,000 USDT in one transfer',
  },
];
