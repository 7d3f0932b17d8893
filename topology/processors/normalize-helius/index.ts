/**
 * Enhanced transactions of Helius into `chain.transfers`.
 *
 * Follows the Helius OpenAPI definition (EnhancedTransaction). A delivery that is no array is put aside; a transaction
 * or a leg that cannot be read, or whose amount cannot be known exactly, is put aside alone.
 */
import { broadcastTable } from '#pipeline/joins/tables.ts';
import { defineProcessor, keyed } from '#pipeline/processor.ts';
import { chainTransfers, factsTokens, rawHelius } from '#schemas/topics.ts';
import { keptToken, normalizeHelius, stores } from './logic.ts';

export default defineProcessor({
  name: 'normalize-helius',
  summary: 'Turns Solana transactions into transfers of SOL and tokens',
  stores,
  inputs: [keyed(rawHelius, normalizeHelius), broadcastTable(factsTokens, 'tokens', keptToken)],
  outputs: [chainTransfers],
});
