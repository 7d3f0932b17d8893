import { NAMESPACE, nullable, type ValueOf } from './avro.ts';

/** What is known of an asset. Value of `facts.tokens`. */
export const token = {
  type: 'record',
  name: 'Token',
  namespace: NAMESPACE,
  fields: [
    { name: 'id', type: 'string', doc: 'token:<chain>:<asset>' },
    { name: 'chain', type: 'string' },
    { name: 'asset', type: 'string', doc: 'native, or the token address (EVM: lower case)' },
    { name: 'symbol', type: 'string' },
    { name: 'decimals', type: 'int' },
    {
      name: 'priceAsset',
      type: nullable('string'),
      doc: 'key in prices, such as ETH; null when it has no price of its own',
    },
    { name: 'source', type: 'string' },
  ],
} as const;

export type Token = ValueOf<typeof token>;
