import { NAMESPACE, nullable, rawAmount, timestampMs, type ValueOf } from './avro.ts';

/** One part of a score, enough to recompute it (analytics, section 18). */
export const component = {
  type: 'record',
  name: 'Component',
  fields: [
    { name: 'name', type: 'string' },
    { name: 'value', type: nullable('double'), doc: 'null: unknown, contributes nothing' },
    { name: 'weight', type: 'double' },
    { name: 'contribution', type: 'double', doc: 'weight x value, in log-odds' },
    { name: 'sources', type: { type: 'array', items: 'string' }, doc: 'ids that the value came from' },
  ],
} as const;

/** How unusual and how large a transfer is. Value of `scores.events`. */
export const score = {
  type: 'record',
  name: 'Score',
  namespace: NAMESPACE,
  fields: [
    { name: 'id', type: 'string', doc: 'score:<transfer id>' },
    { name: 'op', type: { type: 'enum', name: 'Op', symbols: ['assert', 'retract'] } },
    { name: 'eventTimeMs', type: timestampMs },
    { name: 'receivedAtMs', type: timestampMs },
    { name: 'source', type: 'string' },
    { name: 'causes', type: { type: 'array', items: 'string' } },
    { name: 'chain', type: 'string' },
    { name: 'asset', type: 'string' },
    { name: 'amountRaw', type: rawAmount },
    { name: 'decimals', type: nullable('int') },
    { name: 'symbol', type: nullable('string') },
    { name: 'units', type: nullable('string') },
    { name: 'usd', type: nullable('string') },
    { name: 'from', type: nullable('string') },
    { name: 'to', type: nullable('string') },
    { name: 'fromName', type: nullable('string') },
    { name: 'toName', type: nullable('string') },
    { name: 'flow', type: 'string' },
    { name: 'status', type: 'string' },
    { name: 'txHash', type: 'string' },
    { name: 'severity', type: 'int', doc: '0..100' },
    { name: 'confidence', type: nullable('double'), doc: '0..1; null while uncalibrated' },
    { name: 'direction', type: 'double', doc: '-1..1; positive: bullish' },
    { name: 'logOdds', type: 'double' },
    { name: 'components', type: { type: 'array', items: component } },
    { name: 'version', type: 'string', doc: 'of weights and definition' },
  ],
} as const;

export type Score = ValueOf<typeof score>;
export type Component = ValueOf<typeof component>;
