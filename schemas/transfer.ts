import { NAMESPACE, nullable, rawAmount, timestampMs, type ValueOf } from './avro.ts';

/** Fields shared by `chain.transfers` and `enriched.transfers`. */
export const transferFields = [
  { name: 'id', type: 'string', doc: '<chain>:<tx hash>:<native or log index or leg>' },
  { name: 'op', type: { type: 'enum', name: 'Op', symbols: ['assert', 'retract'] } },
  { name: 'eventTimeMs', type: timestampMs, doc: 'block time' },
  { name: 'receivedAtMs', type: timestampMs, doc: 'wall clock of the connector at receipt' },
  { name: 'source', type: 'string' },
  {
    name: 'causes',
    type: { type: 'array', items: 'string' },
    doc: 'topic/partition/offset of the raw record',
  },
  { name: 'chain', type: 'string' },
  { name: 'asset', type: 'string', doc: 'native, or the token address or mint' },
  { name: 'txHash', type: 'string' },
  { name: 'blockNumber', type: 'long', doc: 'EVM: height; Solana: slot' },
  {
    name: 'index',
    type: 'int',
    doc: 'log index; transaction index for native EVM transfers; leg for Solana',
  },
  { name: 'from', type: nullable('string'), doc: 'null: unknown, or none (mint)' },
  { name: 'to', type: nullable('string'), doc: 'null: unknown, or none (burn)' },
  { name: 'amountRaw', type: rawAmount, doc: 'smallest unit' },
  { name: 'decimals', type: nullable('int'), doc: 'null: unknown, never assumed' },
  { name: 'symbol', type: nullable('string'), doc: 'from curated tokens; null: unknown' },
  {
    name: 'status',
    type: { type: 'enum', name: 'TransferStatus', symbols: ['mined', 'unverified', 'confirmed', 'final'] },
    doc: 'unverified: the receipt is not known, the transaction may have failed',
  },
] as const;

/** A movement of value. Value of `chain.transfers`. */
export const transfer = {
  type: 'record',
  name: 'Transfer',
  namespace: NAMESPACE,
  fields: transferFields,
} as const;

export type Transfer = ValueOf<typeof transfer>;
