import { NAMESPACE, nullable, rawAmount, timestampMs, type ValueOf } from './avro.ts';
import { component } from './score.ts';

/** A rule that fired, with its evidence. Value of `alerts`. */
export const alert = {
  type: 'record',
  name: 'Alert',
  namespace: NAMESPACE,
  fields: [
    { name: 'id', type: 'string', doc: '<rule id>:<transfer id>' },
    { name: 'op', type: { type: 'enum', name: 'Op', symbols: ['assert', 'retract'] } },
    { name: 'eventTimeMs', type: timestampMs },
    { name: 'receivedAtMs', type: timestampMs },
    { name: 'source', type: 'string' },
    { name: 'causes', type: { type: 'array', items: 'string' } },
    { name: 'ruleId', type: 'string' },
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
    { name: 'severity', type: 'int' },
    { name: 'confidence', type: nullable('double') },
    { name: 'direction', type: 'double' },
    { name: 'evidence', type: { type: 'array', items: component } },
    { name: 'text', type: 'string', doc: 'one line for people; names in it are hostile text' },
  ],
} as const;

export type Alert = ValueOf<typeof alert>;
