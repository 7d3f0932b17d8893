/**
 * Transfers into `enriched.transfers`: labels of both ends, flow, exact units and USD value as of the event time.
 *
 * Prices are partitioned by asset and transfers by chain and asset, so every task reads all prices. What is learned
 * after a transfer never changes it.
 */
import { broadcast, defineProcessor, keyed } from '#pipeline/processor.ts';
import { chainTransfers, enrichedTransfers, factsLabels, factsTokens, prices } from '#schemas/topics.ts';
import { enrich, learnLabel, learnPrice, learnToken, stores } from './logic.ts';

export default defineProcessor({
  name: 'enrich',
  summary: 'Adds labels, flow and USD value to transfers, and drops those that came twice',
  stores,
  keepsKey: true,
  inputs: [
    keyed(chainTransfers, enrich),
    broadcast(prices, learnPrice),
    broadcast(factsLabels, learnLabel),
    broadcast(factsTokens, learnToken),
  ],
  outputs: [enrichedTransfers],
});
