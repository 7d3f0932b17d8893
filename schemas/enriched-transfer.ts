import { NAMESPACE, nullable, timestampMs, type ValueOf } from './avro.ts';
import { transferFields } from './transfer.ts';

const party = (name: string) =>
  ({
    type: 'record',
    name,
    fields: [
      { name: 'name', type: 'string' },
      { name: 'kind', type: 'string' },
      { name: 'entity', type: nullable('string') },
      { name: 'confidence', type: 'double' },
      { name: 'labelId', type: 'string' },
    ],
  }) as const;

/** A transfer with what was known at its log time. Value of `enriched.transfers`. */
export const enrichedTransfer = {
  type: 'record',
  name: 'EnrichedTransfer',
  namespace: NAMESPACE,
  fields: [
    ...transferFields,
    { name: 'units', type: nullable('string'), doc: 'exact decimal text; null when decimals are unknown' },
    { name: 'usd', type: nullable('string'), doc: 'exact decimal text; null without price or decimals' },
    { name: 'priceUsd', type: nullable('string'), doc: 'price as of eventTimeMs' },
    { name: 'priceTimeMs', type: nullable(timestampMs) },
    { name: 'priceSource', type: nullable('string') },
    { name: 'fromLabel', type: ['null', party('FromLabel')] },
    { name: 'toLabel', type: ['null', party('ToLabel')] },
    {
      name: 'flow',
      type: {
        type: 'enum',
        name: 'Flow',
        symbols: ['inflow', 'outflow', 'internal', 'cross', 'mint', 'burn', 'self', 'transfer'],
      },
      doc: 'analytics, section 4; transfer: no exchange on either side',
    },
  ],
} as const;

export type EnrichedTransfer = ValueOf<typeof enrichedTransfer>;
