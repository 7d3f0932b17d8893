import { NAMESPACE, timestampMs, type ValueOf } from './avro.ts';

/** A block of a chain, in order of arrival. Value of `chain.blocks`. */
export const block = {
  type: 'record',
  name: 'Block',
  namespace: NAMESPACE,
  fields: [
    { name: 'id', type: 'string', doc: '<chain>:<hash>' },
    { name: 'op', type: { type: 'enum', name: 'Op', symbols: ['assert', 'retract'] } },
    { name: 'eventTimeMs', type: timestampMs },
    { name: 'receivedAtMs', type: timestampMs },
    { name: 'source', type: 'string' },
    { name: 'causes', type: { type: 'array', items: 'string' } },
    { name: 'chain', type: 'string' },
    { name: 'number', type: 'long' },
    { name: 'hash', type: 'string' },
    { name: 'parentHash', type: 'string' },
    { name: 'transactionCount', type: 'int' },
    { name: 'receiptsKnown', type: 'boolean' },
  ],
} as const;

export type Block = ValueOf<typeof block>;
