/**
 * Blocks of EVM chains into `chain.blocks` and `chain.transfers`.
 *
 * Follows the Ethereum JSON-RPC (execution-apis) and ERC-20. A block that cannot be read is put aside as a whole; a
 * transaction, receipt or log that cannot be read is put aside alone.
 */
import { broadcastTable } from '#pipeline/joins/tables.ts';
import { defineProcessor, keyed } from '#pipeline/processor.ts';
import { chainBlocks, chainTransfers, factsTokens, rawEvm } from '#schemas/topics.ts';
import { keptToken, normalizeEvm, stores } from './logic.ts';

export default defineProcessor({
  name: 'normalize-evm',
  summary: 'Turns EVM blocks and receipts into blocks and transfers',
  stores,
  inputs: [keyed(rawEvm, normalizeEvm), broadcastTable(factsTokens, 'tokens', keptToken)],
  outputs: [chainBlocks, chainTransfers],
});
