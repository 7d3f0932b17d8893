import { describe, expect, test } from 'vitest';
import { memoryConnectorContext } from '#pipeline/testing/connector-context.ts';
import { factsRules } from '#schemas/topics.ts';
import rules from './index.ts';

const running = new AbortController().signal;
const row = { id: 'big', chain: 'ethereum', asset: 'native', overRaw: '5', text: 'more than 5 wei' };

describe('rules', () => {
  test('publishes the defaults with exact thresholds', async () => {
    const memory = memoryConnectorContext();
    const connector = rules.create(rules.config.parse({}), memory.context);
    await connector.run(running);
    expect(connector.status().isIdle).toBe(true);
    const byKey = new Map(memory.records(factsRules).map(({ key, value }) => [key, value]));
    expect(byKey.get('eth-over-100')).toEqual({
      id: 'eth-over-100',
      chain: 'ethereum',
      asset: 'native',
      overRaw: 100_000_000_000_000_000_000n,
      overUsd: null,
      text: 'more than 100 ETH in one transfer',
    });
    expect(byKey.get('sol-usd-over-250k')).toMatchObject({ overRaw: null, overUsd: '250000' });
  });

  test('withdraws a rule that is no longer configured, and publishes a changed one again', async () => {
    const memory = memoryConnectorContext();
    const other = { ...row, id: 'other' };
    await rules.create(rules.config.parse({ rules: [row, other] }), memory.context).run(running);
    await rules
      .create(rules.config.parse({ rules: [{ ...row, overRaw: '6' }] }), memory.context)
      .run(running);
    expect(memory.records(factsRules).slice(2)).toMatchObject([
      { key: 'big', value: { overRaw: 6n } },
      { key: 'other', value: null },
    ]);
  });

  test.each([
    ['both thresholds', { overUsd: '1' }],
    ['no threshold', { overRaw: undefined }],
    ['an amount with a sign', { overRaw: '-5' }],
    ['an amount as a float', { overRaw: '1e18' }],
    ['an unknown field', { colour: 'red' }],
  ])('refuses %s', (_, change) => {
    expect(rules.config.safeParse({ rules: [row] }).success).toBe(true);
    expect(rules.config.safeParse({ rules: [{ ...row, ...change }] }).success).toBe(false);
  });
});
