/** Which topics a category subscribes, and in which requests. Pure. */

export type Category = 'spot' | 'linear';

/** What one category is configured to receive. */
export interface CategoryConfig {
  readonly symbols: readonly string[];
  /** Replaces the topics that follow from the symbols. */
  readonly topics?: readonly string[] | undefined;
}

/** Spot takes no more in one request; the other categories are given the same. */
const MAX_ARGS = 10;

/** Topics without duplicates, in a fixed order. */
export function topicsOf(category: Category, config: CategoryConfig, bookDepth: number): string[] {
  if (config.topics !== undefined) return [...new Set(config.topics)];
  return [...new Set(config.symbols)].flatMap((symbol) => [
    `publicTrade.${symbol}`,
    `orderbook.${bookDepth}.${symbol}`,
    `tickers.${symbol}`,
    ...(category === 'linear' ? [`allLiquidation.${symbol}`] : []),
  ]);
}

/** Topics in requests of at most ten, or one in each when `isSingly`. */
export function requestsOf(topics: readonly string[], isSingly: boolean): string[][] {
  const size = isSingly ? 1 : MAX_ARGS;
  const requests: string[][] = [];
  for (let start = 0; start < topics.length; start += size) requests.push(topics.slice(start, start + size));
  return requests;
}

/** Liquidations may be quiet for hours; every other topic is not. */
export const isEverBusy = (topic: string): boolean => !topic.startsWith('allLiquidation.');
