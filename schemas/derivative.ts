import { NAMESPACE, nullable, timestampMs, type ValueOf } from './avro.ts';

/** Mark, funding and open interest after each ticker update, merged from deltas. Value of `market.derivatives`. */
export const derivative = {
  type: 'record',
  name: 'Derivative',
  namespace: NAMESPACE,
  fields: [
    { name: 'id', type: 'string', doc: '<venue>:<category>:<symbol>:ticker:<ts>:<cs>' },
    { name: 'op', type: { type: 'enum', name: 'Op', symbols: ['assert', 'retract'] } },
    { name: 'eventTimeMs', type: timestampMs },
    { name: 'receivedAtMs', type: timestampMs },
    { name: 'source', type: 'string' },
    { name: 'causes', type: { type: 'array', items: 'string' } },
    { name: 'venue', type: 'string' },
    { name: 'symbol', type: 'string' },
    { name: 'markPrice', type: nullable('string') },
    { name: 'indexPrice', type: nullable('string') },
    { name: 'lastPrice', type: nullable('string') },
    { name: 'openInterest', type: nullable('string'), doc: 'base currency' },
    { name: 'fundingRate', type: nullable('string'), doc: 'per funding interval' },
    { name: 'nextFundingTimeMs', type: nullable(timestampMs) },
  ],
} as const;

export type Derivative = ValueOf<typeof derivative>;
