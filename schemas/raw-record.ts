import { NAMESPACE, timestampMs, type ValueOf } from './avro.ts';

/** What a connector received, byte for byte, before anything is made of it. Value of every `raw.*` topic. */
export const rawRecord = {
  type: 'record',
  name: 'RawRecord',
  namespace: NAMESPACE,
  fields: [
    { name: 'source', type: 'string', doc: 'connector and stream, such as evm:1, bybit:linear, helius' },
    { name: 'kind', type: 'string', doc: 'what the body is, such as block, frame, enhanced-transactions' },
    { name: 'receivedAtMs', type: timestampMs, doc: 'wall clock of the connector at receipt' },
    { name: 'body', type: 'bytes', doc: 'bytes as received' },
  ],
} as const;

export type RawRecord = ValueOf<typeof rawRecord>;
