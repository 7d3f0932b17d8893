/** Tokens: curated assets from configuration, published once as facts. Fails only when Kafka does. */
import { z } from 'zod';
import { defineConnector } from '#pipeline/rooms.ts';
import { publishFacts } from '#pipeline/runtime/facts.ts';
import type { Token } from '#schemas/token.ts';
import { factsTokens } from '#schemas/topics.ts';
import { DEFAULT_TOKENS } from './defaults.ts';

const token = z.strictObject({
  chain: z.string().regex(/^[a-z][a-z0-9-]{0,31}$/),
  asset: z.string().regex(/^(native|0x[0-9a-f]{40}|[1-9A-HJ-NP-Za-km-z]{32,44})$/, {
    error: 'expected native, a lower-case 0x address or a base58 mint',
  }),
  symbol: z.string().regex(/^[\w.$-]{1,32}$/),
  decimals: z.int().min(0).max(255),
  priceAsset: z
    .string()
    .regex(/^[A-Z0-9]{1,32}$/)
    .nullable(),
});

const config = z.strictObject({
  tokens: z
    .array(token)
    .refine((rows) => new Set(rows.map(keyOf)).size === rows.length, {
      error: 'expected each chain and asset once; remove the second row',
    })
    .default(DEFAULT_TOKENS),
});

/** Publishes the configured tokens and withdraws those that were configured before; ends by itself. */
export default defineConnector({
  name: 'tokens',
  summary: 'Publishes curated tokens: symbol, decimals and the asset that prices them.',
  config,
  outputs: [factsTokens],
  isFinite: true,
  create({ tokens }, context) {
    const facts = new Map(tokens.map((row): [string, Token] => [keyOf(row), factOf(row)]));
    let isDone = false;
    let detail = `${facts.size} tokens to publish`;
    return {
      check: async () => {},
      async run(signal) {
        const done = await publishFacts({
          context,
          connector: 'tokens',
          topic: factsTokens,
          facts,
          withdraw: true,
          signal,
        });
        isDone = done.isComplete;
        detail = `${facts.size} tokens; ${done.written} written, ${done.withdrawn} withdrawn`;
        context.log.info('tokens published', { ...done });
      },
      status: () => ({ isIdle: isDone, detail }),
    };
  },
});

function keyOf(row: { readonly chain: string; readonly asset: string }): string {
  return `${row.chain}:${row.asset}`;
}

function factOf(row: z.infer<typeof token>): Token {
  return { id: `token:${keyOf(row)}`, ...row, source: 'configuration' };
}
