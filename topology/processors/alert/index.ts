/**
 * Scores into `alerts`, where a rule of `facts.rules` fires.
 *
 * Amounts are compared as integers, USD values as exact decimals, both strictly; an unknown value fires nothing.
 */
import { broadcast, defineProcessor, keyed } from '#pipeline/processor.ts';
import { alerts, factsRules, scoresEvents } from '#schemas/topics.ts';
import { alert, learnRule, stores } from './logic.ts';

export default defineProcessor({
  name: 'alert',
  summary: 'Raises an alert for each rule that a scored transfer breaks',
  stores,
  inputs: [keyed(scoresEvents, alert), broadcast(factsRules, learnRule)],
  outputs: [alerts],
});
