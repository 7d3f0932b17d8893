import { describe, expect, test } from 'vitest';
import { memoryConnectorContext } from '#pipeline/testing/connector-context.ts';
import { factsTokens } from '#schemas/topics.ts';
import tokens from './index.ts';

const running = new AbortController().signal;

describe('tokens', () => {
  test('publishes the defaults and is idle afterwards', async () => {
    const memory = memoryConnectorContext();
    const connector = tokens.create(tokens.config.parse({}), memory.context);
    expect(connector.status().isIdle).toBe(false);
    await connector.run(running);
    expect(connector.status().isIdle).toBe(true);
    const ether = memory.records(factsTokens).find(({ key }) => key === 'ethereum:native');
    expect(ether?.value).toEqual({
      id: 'token:ethereum:native',
      chain: 'ethereum',
      asset: 'native',
      symbol: 'ETH',
      decimals: 18,
      priceAsset: 'ETH',
      source: 'configuration',
    });
  });

  test('writes nothing on a restart, and a tombstone for a token that was removed', async () => {
    const memory = memoryConnectorContext();
    const all = tokens.config.parse({});
    await tokens.create(all, memory.context).run(running);
    const before = memory.records(factsTokens).length;
    await tokens.create(all, memory.context).run(running);
    expect(memory.records(factsTokens)).toHaveLength(before);
    await tokens.create({ tokens: all.tokens.slice(1) }, memory.context).run(running);
    expect(memory.records(factsTokens).slice(before)).toMatchObject([
      { key: 'ethereum:native', value: null },
    ]);
  });

  test.each([
    ['an address in mixed case', { asset: '0xC02aaa39b223fe8d0a0e5c4f27ead9083c756cc2' }],
    ['negative decimals', { decimals: -1 }],
    ['an unknown field', { colour: 'red' }],
  ])('refuses %s', (_, change) => {
    const row = { chain: 'ethereum', asset: 'native', symbol: 'ETH', decimals: 18, priceAsset: null };
    expect(tokens.config.safeParse({ tokens: [row] }).success).toBe(true);
    expect(tokens.config.safeParse({ tokens: [{ ...row, ...change }] }).success).toBe(false);
    expect(tokens.config.safeParse({ tokens: [row, row] }).success).toBe(false);
  });
});
