import { describe, expect, test } from 'vitest';
import { isPipelineError } from '#pipeline/errors.ts';
import {
  broadcast,
  defineProcessor,
  type InputDeclaration,
  keyed,
  type ProcessorDefinition,
  rekeyed,
} from '#pipeline/processor.ts';
import { type Price, price } from '#schemas/price.ts';
import type { Layer, Topic } from '#schemas/topics.ts';
import { fuse, internalTopicName } from './fusion.ts';
import { buildGraph } from './graph.ts';

const topic = (name: string, layer: Layer = 'derived', partitions = 2): Topic<typeof price> => ({
  name,
  layer,
  key: 'asset',
  schema: price,
  partitions,
});
const raw = topic('raw', 'raw');
const [a, b, c] = [topic('a'), topic('b'), topic('c')];

const reads = (...topics: Topic[]): readonly InputDeclaration[] => topics.map((one) => keyed(one, () => {}));
const whole = (one: Topic): InputDeclaration => broadcast(one, () => {});

const keeping = (
  name: string,
  inputs: readonly InputDeclaration[],
  outputs: readonly Topic[],
): ProcessorDefinition => defineProcessor({ name, summary: name, inputs, outputs, keepsKey: true });
const changing = (...[name, inputs, outputs]: Parameters<typeof keeping>): ProcessorDefinition =>
  defineProcessor({ name, summary: name, inputs, outputs });

/** `name: processors` of each sub-topology. */
const groups = (processors: readonly ProcessorDefinition[], names?: Record<string, string>): string[] =>
  fuse(processors, names).map(
    (group) => `${group.name}: ${group.processors.map(({ name }) => name).join(' ')}`,
  );

describe('processors share a task', () => {
  test('where each keeps the keys of the one before it', () => {
    const chain = [
      keeping('one', reads(raw), [a]),
      keeping('two', reads(a), [b]),
      changing('three', reads(b), [c]),
      keeping('four', reads(c), []),
    ];
    expect(groups(chain)).toEqual(['one: one two three', 'four: four']);
  });

  test('also those of two branches, and those that join them again', () => {
    const diamond = [
      keeping('top', reads(raw), [a, b]),
      keeping('left', reads(a), [c]),
      keeping('join', reads(b, c), []),
      keeping('beside', reads(raw, a), []),
    ];
    expect(groups(diamond)).toEqual(['top: top left join beside']);
  });

  test('and the name of the first, or the one that is given', () => {
    const two = [keeping('one', reads(raw), [a]), keeping('two', reads(a), [])];
    expect(groups(two, { one: 'base', two: 'unused' })).toEqual(['base: one two']);
  });
});

describe('processors are kept apart by Kafka', () => {
  test('where the keys change', () => {
    expect(groups([changing('one', reads(raw), [a]), keeping('two', reads(a), [])])).toEqual([
      'one: one',
      'two: two',
    ]);
  });

  test('where two write the topic that is read', () => {
    const processors = [
      keeping('one', reads(raw), [a]),
      keeping('other', reads(raw), [a]),
      keeping('two', reads(a), []),
    ];
    expect(groups(processors)).toEqual(['one: one', 'other: other', 'two: two']);
  });

  test('where a second input comes from another task', () => {
    const processors = [
      keeping('one', reads(raw), [a]),
      keeping('other', reads(raw), [b]),
      keeping('two', reads(a, b), []),
    ];
    expect(groups(processors)).toEqual(['one: one', 'other: other', 'two: two']);
  });

  test('where the partition counts of the topic or of the task differ', () => {
    const wide = topic('wide', 'derived', 4);
    const wideRaw = topic('wide-raw', 'raw', 4);
    expect(groups([keeping('one', reads(raw), [wide]), keeping('two', reads(wide), [])])).toEqual([
      'one: one',
      'two: two',
    ]);
    const processors = [keeping('one', reads(raw), [a]), keeping('two', reads(wideRaw, a), [])];
    expect(groups(processors)).toEqual(['one: one', 'two: two']);
  });

  test('where one reads all partitions of what the task itself writes', () => {
    const processors = [keeping('one', reads(raw), [a, b]), keeping('two', [...reads(a), whole(b)], [c])];
    expect(groups(processors)).toEqual(['one: one', 'two: two']);
  });

  test('where one reads all partitions of what others make of the task: it would wait for itself', () => {
    const processors = [
      keeping('one', reads(raw), [a, b]),
      changing('summary', reads(b), [c]),
      changing('summary-of-summary', reads(c), [topic('d')]),
      keeping('two', [...reads(a), whole(topic('d'))], []),
    ];
    // `summary` may stay with `one`; `two` may not.
    expect(groups(processors)).toEqual([
      'one: one summary',
      'summary-of-summary: summary-of-summary',
      'two: two',
    ]);
  });

  test('where one reads all of a topic that the other reads by key', () => {
    const processors = [keeping('one', reads(raw), [a]), keeping('two', [...reads(a), whole(raw)], [])];
    expect(groups(processors)).toEqual(['one: one', 'two: two']);
  });

  test('where the reader is declared before the writer', () => {
    expect(groups([keeping('two', reads(a), []), keeping('one', reads(raw), [a])])).toEqual([
      'two: two',
      'one: one',
    ]);
  });
});

describe('a rekeyed input', () => {
  const by = ({ source }: Price): string => source;
  const trades = topic('market.trades.v1', 'raw', 3);

  test('comes through an internal topic of as many partitions as the other inputs have', () => {
    const processor = defineProcessor({
      name: 'rank',
      summary: 'rank',
      inputs: [keyed(raw, () => {}), rekeyed(trades, by, () => {})],
      outputs: [a],
    });
    const [rekeying, own] = fuse([processor]);
    expect(rekeying?.name).toBe('rank-rekey-market-trades');
    expect(rekeying?.processors[0]?.inputs[0]?.topic).toBe(trades);
    const internal = own?.processors[0]?.inputs[1]?.topic;
    expect(internal).toMatchObject({
      name: internalTopicName('rank', 'market.trades.v1'),
      layer: 'derived',
      schema: price,
      partitions: 2,
    });
    expect(rekeying?.processors[0]?.outputs[0]).toBe(internal);
    const planTopic = topic('plan', 'plan', 1);
    const graph = buildGraph({ processors: [processor], planTopic, dlqTopic: topic('dlq') });
    expect(graph.nodes.map(({ name, partitions }) => [name, partitions])).toEqual([
      ['rank-rekey-market-trades', 3],
      ['rank', 2],
    ]);
    expect(graph.topics).toContainEqual(internal);
    const channels = graph.channels({ subTopology: 'rank', partition: 1 });
    expect(channels.filter(({ topic: name }) => name === internal?.name).map(({ writer }) => writer)).toEqual(
      ['rank-rekey-market-trades-0', 'rank-rekey-market-trades-1', 'rank-rekey-market-trades-2'],
    );
  });

  test('alone has as many partitions as the topic', () => {
    const processor = defineProcessor({
      name: 'rank',
      summary: 'rank',
      inputs: [rekeyed(trades, by, () => {})],
      outputs: [],
    });
    expect(fuse([processor])[1]?.processors[0]?.inputs[0]?.topic.partitions).toBe(3);
  });

  test('is handled as the processor declares: its errors and its bound of event time are not weakened', () => {
    const onError = { decode: 'stop', logic: 'fail', output: 'stop' } as const;
    const processor = defineProcessor({
      name: 'rank',
      summary: 'rank',
      inputs: [rekeyed(trades, by, () => {}, { maxAheadMs: 86_400_000 })],
      outputs: [],
      onError,
    });
    const [rekeying, own] = fuse([processor]).map(({ processors }) => processors[0]);
    expect(rekeying?.onError).toEqual(onError);
    expect(rekeying?.inputs[0]?.maxAheadMs).toBe(Number.POSITIVE_INFINITY);
    expect(own?.inputs[0]).toMatchObject({ maxAheadMs: 86_400_000, rekey: null });
  });

  test('passes values on under their new key, and refuses a tombstone, which has none', () => {
    const processor = defineProcessor({
      name: 'rank',
      summary: 'rank',
      inputs: [rekeyed(trades, by, () => {})],
      outputs: [],
    });
    const input = fuse([processor])[0]?.processors[0]?.inputs[0];
    const emitted: unknown[] = [];
    const run = (value: Pick<Price, 'source'> | null): void => {
      const record = { key: 'k', value, logTimeMs: 0, eventTimeMs: 0, place: '' };
      const context = { emit: (to: Topic, key: string, it: unknown) => emitted.push([to.name, key, it]) };
      // Only what the handler uses.
      input?.process(record as never, context as never);
    };
    run({ source: 'bybit' });
    expect(emitted).toEqual([['internal.rank.market.trades.v1', 'bybit', { source: 'bybit' }]]);
    let error: unknown;
    try {
      run(null);
    } catch (caught) {
      error = caught;
    }
    expect(isPipelineError(error, 'VALUE_UNREADABLE')).toBe(true);
  });
});
