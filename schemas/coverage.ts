import { NAMESPACE, nullable, timestampMs, type ValueOf } from './avro.ts';

/** What a connector knows that it has, lacks, or has repaired. Value of `ledger.coverage`; key: source. */
export const coverage = {
  type: 'record',
  name: 'Coverage',
  namespace: NAMESPACE,
  fields: [
    { name: 'source', type: 'string', doc: 'such as evm:1, bybit:spot:orderbook.200.ETHUSDT' },
    {
      name: 'state',
      type: { type: 'enum', name: 'CoverageState', symbols: ['seen', 'missing', 'repaired', 'unavailable'] },
      doc: 'missing may be repaired later; unavailable: the provider has no such data',
    },
    { name: 'what', type: 'string', doc: 'blocks, receipts, updates' },
    { name: 'first', type: 'long', doc: 'first number of the range' },
    { name: 'last', type: 'long', doc: 'last number of the range, included' },
    { name: 'hash', type: nullable('string'), doc: 'block hash when the range is one block' },
    { name: 'atMs', type: timestampMs, doc: 'wall clock of the connector' },
  ],
} as const;

export type Coverage = ValueOf<typeof coverage>;
