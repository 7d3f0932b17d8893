import { NAMESPACE, nullable, rawAmount, type ValueOf } from './avro.ts';

/** When to alert. Value of `facts.rules`; a null value on the topic withdraws the rule. */
export const rule = {
  type: 'record',
  name: 'Rule',
  namespace: NAMESPACE,
  fields: [
    { name: 'id', type: 'string', doc: 'such as eth-over-100; also the key' },
    { name: 'chain', type: 'string' },
    { name: 'asset', type: 'string', doc: 'native, or the token address' },
    { name: 'overRaw', type: nullable(rawAmount), doc: 'fires when the raw amount is strictly greater' },
    {
      name: 'overUsd',
      type: nullable('string'),
      doc: 'decimal text; fires when the USD value is strictly greater',
    },
    { name: 'text', type: 'string', doc: 'what it looks for, for people' },
  ],
} as const;

export type Rule = ValueOf<typeof rule>;
