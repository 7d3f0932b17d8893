/** Tokens known without configuration. Decimals and addresses: the contracts and mints themselves. */

/** One row of the table; `priceAsset` is null when the token has no price of its own. */
export interface TokenRow {
  readonly chain: string;
  readonly asset: string;
  readonly symbol: string;
  readonly decimals: number;
  readonly priceAsset: string | null;
}

const row = (
  chain: string,
  asset: string,
  symbol: string,
  decimals: number,
  priceAsset: string | null,
): TokenRow => ({ chain, asset, symbol, decimals, priceAsset });

/** Native assets, wrapped ones and the large stablecoins of both chains. */
export const DEFAULT_TOKENS: TokenRow[] = [
  row('ethereum', 'native', 'ETH', 18, 'ETH'),
  row('ethereum', '0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2', 'WETH', 18, 'ETH'),
  row('ethereum', '0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48', 'USDC', 6, 'USDC'),
  row('ethereum', '0xdac17f958d2ee523a2206206994597c13d831ec7', 'USDT', 6, 'USDT'),
  row('ethereum', '0x6b175474e89094c44da98b954eedeac495271d0f', 'DAI', 18, 'DAI'),
  row('ethereum', '0x2260fac5e5542a773aa44fbcfedf7c193bc2c599', 'WBTC', 8, 'BTC'),
  row('solana', 'native', 'SOL', 9, 'SOL'),
  row('solana', 'So11111111111111111111111111111111111111112', 'SOL', 9, 'SOL'),
  row('solana', 'EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v', 'USDC', 6, 'USDC'),
];
