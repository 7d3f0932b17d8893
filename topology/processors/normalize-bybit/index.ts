/**
 * Frames of Bybit's public WebSocket into `market.trades`, `prices` and `market.derivatives`.
 *
 * Follows the Bybit v5 documentation (websocket/public: trade, ticker). A frame of unknown shape is put aside; a trade
 * that cannot be read is put aside alone. Order books, liquidations and candles are left alone.
 */
import { defineProcessor, keyed } from '#pipeline/processor.ts';
import { marketDerivatives, marketTrades, prices, rawBybit } from '#schemas/topics.ts';
import { normalizeBybit, stores } from './logic.ts';

export default defineProcessor({
  name: 'normalize-bybit',
  summary: 'Turns Bybit frames into trades, USD prices and derivative tickers',
  stores,
  inputs: [keyed(rawBybit, normalizeBybit)],
  outputs: [marketTrades, prices, marketDerivatives],
});
