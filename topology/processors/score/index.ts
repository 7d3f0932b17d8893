/**
 * Enriched transfers into `scores.events`: severity, direction and the evidence to recompute them.
 *
 * Follows analytics, section 18, with the components that a single transfer allows. Confidence is null until there are
 * outcomes to calibrate with.
 */
import { defineProcessor, keyed } from '#pipeline/processor.ts';
import { enrichedTransfers, scoresEvents } from '#schemas/topics.ts';
import { score, stores } from './logic.ts';

export default defineProcessor({
  name: 'score',
  summary: 'Scores transfers by size, flow and quality of the data',
  stores,
  keepsKey: true,
  inputs: [keyed(enrichedTransfers, score)],
  outputs: [scoresEvents],
});
