import { NAMESPACE, nullable, timestampMs, type ValueOf } from './avro.ts';

/** What is known of an address. Value of `facts.labels`; a later record for the same key replaces it. */
export const label = {
  type: 'record',
  name: 'Label',
  namespace: NAMESPACE,
  fields: [
    { name: 'id', type: 'string', doc: 'label:<chain>:<address>' },
    { name: 'chain', type: 'string', doc: 'ethereum, solana' },
    { name: 'address', type: 'string', doc: 'EVM: lower case; Solana: base58' },
    { name: 'name', type: 'string', doc: 'as the source writes it: hostile text' },
    {
      name: 'kind',
      type: {
        type: 'enum',
        name: 'LabelKind',
        symbols: ['exchange', 'bridge', 'fund', 'mev', 'sanctioned', 'rollup', 'oracle', 'other'],
        default: 'other',
      },
    },
    {
      name: 'entity',
      type: nullable('string'),
      doc: 'owner, lower case, such as binance; null when unknown',
    },
    { name: 'validFromMs', type: nullable(timestampMs), doc: 'null when unknown' },
    { name: 'confidence', type: 'double', doc: '0..1' },
    { name: 'source', type: 'string', doc: 'file that it came from' },
  ],
} as const;

export type Label = ValueOf<typeof label>;
