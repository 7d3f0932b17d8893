import { NAMESPACE, timestampMs, type ValueOf } from './avro.ts';

/** USD price of an asset as a source stated it. Value of `prices`. */
export const price = {
  type: 'record',
  name: 'Price',
  namespace: NAMESPACE,
  fields: [
    { name: 'id', type: 'string', doc: '<source>:<ts>' },
    { name: 'op', type: { type: 'enum', name: 'Op', symbols: ['assert', 'retract'] } },
    { name: 'eventTimeMs', type: timestampMs },
    { name: 'receivedAtMs', type: timestampMs },
    { name: 'source', type: 'string', doc: 'such as bybit:spot:ETHUSDT:usdIndexPrice' },
    { name: 'causes', type: { type: 'array', items: 'string' } },
    { name: 'asset', type: 'string', doc: 'such as ETH; also the key' },
    { name: 'usd', type: 'string', doc: 'decimal text, USD for one whole unit' },
  ],
} as const;

export type Price = ValueOf<typeof price>;
