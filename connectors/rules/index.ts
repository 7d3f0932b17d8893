/** Rules: when to alert, from configuration, published once as facts. Fails only when Kafka does. */
import { z } from 'zod';
import { defineConnector } from '#pipeline/rooms.ts';
import { publishFacts } from '#pipeline/runtime/facts.ts';
import type { Rule } from '#schemas/rule.ts';
import { factsRules } from '#schemas/topics.ts';
import { DEFAULT_RULES } from './defaults.ts';

const rule = z
  .strictObject({
    id: z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/),
    chain: z.string().regex(/^[a-z][a-z0-9-]{0,31}$/),
    asset: z.string().regex(/^(native|0x[0-9a-f]{40}|[1-9A-HJ-NP-Za-km-z]{32,44})$/, {
      error: 'expected native, a lower-case 0x address or a base58 mint',
    }),
    overRaw: z
      .string()
      .regex(/^(0|[1-9]\d{0,77})$/, { error: 'expected digits in the smallest unit' })
      .optional(),
    overUsd: z
      .string()
      .regex(/^(0|[1-9]\d{0,29})(\.\d{1,18})?$/, { error: 'expected decimal text, such as 250000 or 0.5' })
      .optional(),
    text: z.string().min(1).max(200),
  })
  .refine(({ overRaw, overUsd }) => (overRaw === undefined) !== (overUsd === undefined), {
    error: 'expected exactly one of overRaw and overUsd',
  });

const config = z.strictObject({
  rules: z
    .array(rule)
    .refine((rows) => new Set(rows.map(({ id }) => id)).size === rows.length, {
      error: 'expected each id once; rename the second row',
    })
    .default(DEFAULT_RULES),
});

/** Publishes the configured rules and withdraws those that were configured before; ends by itself. */
export default defineConnector({
  name: 'rules',
  summary: 'Publishes the rules that alerts follow.',
  config,
  outputs: [factsRules],
  isFinite: true,
  create({ rules }, context) {
    const facts = new Map(rules.map((row): [string, Rule] => [row.id, factOf(row)]));
    let isDone = false;
    let detail = `${facts.size} rules to publish`;
    return {
      check: async () => {},
      async run(signal) {
        const done = await publishFacts({
          context,
          connector: 'rules',
          topic: factsRules,
          facts,
          withdraw: true,
          signal,
        });
        isDone = done.isComplete;
        detail = `${facts.size} rules; ${done.written} written, ${done.withdrawn} withdrawn`;
        context.log.info('rules published', { ...done });
      },
      status: () => ({ isIdle: isDone, detail }),
    };
  },
});

function factOf({ id, chain, asset, overRaw, overUsd, text }: z.infer<typeof rule>): Rule {
  return {
    id,
    chain,
    asset,
    overRaw: overRaw === undefined ? null : BigInt(overRaw),
    overUsd: overUsd ?? null,
    text,
  };
}
