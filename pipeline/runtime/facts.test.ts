import { describe, expect, test } from 'vitest';
import type { Rule } from '#schemas/rule.ts';
import { factsRules } from '#schemas/topics.ts';
import type { ConnectorContext } from '../rooms.ts';
import { memoryConnectorContext } from '../testing/connector-context.ts';
import { comparableText, publishFacts } from './facts.ts';

const rule = (id: string, overRaw: bigint): Rule => ({
  id,
  chain: 'ethereum',
  asset: 'native',
  overRaw,
  overUsd: null,
  text: `rule ${id}`,
});

const table = (...rules: Rule[]) => new Map(rules.map((value) => [value.id, value]));

describe('publishFacts', () => {
  test('writes every key once, in sorted order, whatever the order of the table', async () => {
    const memory = memoryConnectorContext();
    const done = await publishFacts({
      context: memory.context,
      connector: 'test',
      topic: factsRules,
      facts: table(rule('b', 2n), rule('a', 1n), rule('c', 3n)),
    });
    expect(done).toEqual({ written: 3, withdrawn: 0, unchanged: 0, isComplete: true });
    expect(memory.records(factsRules).map(({ key }) => key)).toEqual(['a', 'b', 'c']);
  });

  test('writes only what is new or changed when it runs again', async () => {
    const memory = memoryConnectorContext();
    const { context } = memory;
    await publishFacts({
      context,
      connector: 'test',
      topic: factsRules,
      facts: table(rule('a', 1n), rule('b', 2n)),
    });
    const again = {
      context,
      connector: 'test',
      topic: factsRules,
      facts: table(rule('a', 1n), rule('b', 9n), rule('c', 3n)),
    };
    expect(await publishFacts(again)).toMatchObject({ written: 2, unchanged: 1 });
    expect(memory.records(factsRules).map(({ key }) => key)).toEqual(['a', 'b', 'b', 'c']);
    expect(await publishFacts(again)).toMatchObject({ written: 0, unchanged: 3 });
  });

  test('withdraws missing keys only when it is asked to, and only once', async () => {
    const memory = memoryConnectorContext();
    const { context } = memory;
    await publishFacts({
      context,
      connector: 'test',
      topic: factsRules,
      facts: table(rule('a', 1n), rule('b', 2n)),
    });
    const fewer = { context, connector: 'test', topic: factsRules, facts: table(rule('a', 1n)) };
    expect(await publishFacts(fewer)).toMatchObject({ withdrawn: 0 });
    expect(await publishFacts({ ...fewer, withdraw: true })).toMatchObject({ withdrawn: 1 });
    expect(await publishFacts({ ...fewer, withdraw: true })).toMatchObject({ withdrawn: 0 });
    expect(memory.records(factsRules).at(-1)).toMatchObject({ key: 'b', value: null });
  });

  test('rejects with the error of an emit that failed', async () => {
    const context: ConnectorContext = {
      ...memoryConnectorContext().context,
      emit: () => Promise.reject(new Error('refused')),
    };
    await expect(
      publishFacts({ context, connector: 'test', topic: factsRules, facts: table(rule('a', 1n)) }),
    ).rejects.toThrow('refused');
  });

  test('stops between keys when it is aborted', async () => {
    const { context } = memoryConnectorContext();
    const done = await publishFacts({
      context,
      connector: 'test',
      topic: factsRules,
      facts: table(rule('a', 1n)),
      signal: AbortSignal.abort(),
    });
    expect(done).toMatchObject({ written: 0, isComplete: false });
  });
});

test('comparable texts ignore the order of fields and tell types apart', () => {
  expect(comparableText({ a: 1n, b: null })).toBe(comparableText({ b: null, a: 1n }));
  expect(comparableText({ a: 1n })).not.toBe(comparableText({ a: 1 }));
  expect(comparableText({ a: '1' })).not.toBe(comparableText({ a: 1 }));
  expect(comparableText(Buffer.from([1]))).toBe('0x01');
});
