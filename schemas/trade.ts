import { NAMESPACE, timestampMs, type ValueOf } from './avro.ts';

/** A trade on a venue. Value of `market.trades`. */
export const trade = {
  type: 'record',
  name: 'Trade',
  namespace: NAMESPACE,
  fields: [
    { name: 'id', type: 'string', doc: '<venue>:<category>:<symbol>:<trade id>' },
    { name: 'op', type: { type: 'enum', name: 'Op', symbols: ['assert', 'retract'] } },
    { name: 'eventTimeMs', type: timestampMs },
    { name: 'receivedAtMs', type: timestampMs },
    { name: 'source', type: 'string' },
    { name: 'causes', type: { type: 'array', items: 'string' } },
    { name: 'venue', type: 'string', doc: 'bybit' },
    { name: 'category', type: 'string', doc: 'spot, linear' },
    { name: 'symbol', type: 'string' },
    { name: 'tradeId', type: 'string' },
    { name: 'takerSide', type: { type: 'enum', name: 'Side', symbols: ['buy', 'sell'] } },
    { name: 'price', type: 'string', doc: 'decimal text as received, quote currency' },
    { name: 'size', type: 'string', doc: 'decimal text as received, base currency (spot, linear)' },
    { name: 'isBlockTrade', type: 'boolean' },
  ],
} as const;

export type Trade = ValueOf<typeof trade>;
