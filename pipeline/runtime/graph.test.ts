import { describe, expect, test } from 'vitest';
import { isPipelineError } from '#pipeline/errors.ts';
import { broadcast, defineProcessor, keyed, type ProcessorDefinition } from '#pipeline/processor.ts';
import { price } from '#schemas/price.ts';
import type { Layer, Topic } from '#schemas/topics.ts';
import { buildGraph } from './graph.ts';

const topic = (name: string, layer: Layer, partitions = 2): Topic => ({
  name,
  layer,
  key: 'asset',
  schema: price,
  partitions,
});

const plan = topic('plan', 'plan', 1);
const dlq = topic('dlq', 'derived', 1);
const raw = topic('raw', 'raw');
const facts = topic('facts', 'fact', 1);
const first = topic('first', 'derived');
const second = topic('second', 'derived');

const processor = (
  name: string,
  inputs: readonly Topic[],
  outputs: readonly Topic[],
  tables: readonly Topic[] = [],
): ProcessorDefinition =>
  defineProcessor({
    name,
    summary: name,
    inputs: [
      ...inputs.map((input) => keyed(input, () => {})),
      ...tables.map((table) => broadcast(table, () => {})),
    ],
    outputs,
  });

/** The same, and readers of its outputs may share its task. */
const keeping = (...args: Parameters<typeof processor>): ProcessorDefinition => ({
  ...processor(...args),
  keepsKey: true,
});

const build = (...processors: ProcessorDefinition[]) =>
  buildGraph({ processors, planTopic: plan, dlqTopic: dlq });

const problemOf = (
  processors: readonly ProcessorDefinition[],
  names: Record<string, string> = {},
): string => {
  try {
    buildGraph({ processors, names, planTopic: plan, dlqTopic: dlq });
  } catch (error) {
    if (isPipelineError(error, 'GRAPH_INVALID')) return error.message;
    throw error;
  }
  return '';
};

const read = processor('read', [raw], [first]);

describe('buildGraph', () => {
  test('derives tasks, writers and channels from what processors declare', () => {
    const graph = build(read, processor('count', [first], [second], [facts]));
    expect(graph.tasks().map(({ subTopology, partition }) => `${subTopology}-${partition}`)).toEqual([
      'read-0',
      'read-1',
      'count-0',
      'count-1',
    ]);
    expect(graph.writers(first)).toEqual(['read-0', 'read-1']);
    expect(graph.writers(dlq)).toEqual(['read-0', 'read-1', 'count-0', 'count-1']);
    const channels = graph.channels({ subTopology: 'count', partition: 1 });
    expect(
      channels.map(({ topic: name, partition, writer, rank }) => `${rank} ${name}/${partition}/${writer}`),
    ).toEqual(['0 plan/0/', '1 facts/0/', '2 first/1/read-0', '3 first/1/read-1']);
    expect(graph.topics[0]).toBe(plan);
  });

  test('a broadcast topic is read whole by every task', () => {
    const graph = build(read, processor('join', [raw], [second], [first]));
    const channels = graph.channels({ subTopology: 'join', partition: 0 });
    expect(
      channels
        .filter(({ topic: name }) => name === 'first')
        .map(({ partition, writer }) => `${partition}/${writer}`),
    ).toEqual(['0/read-0', '0/read-1', '1/read-0', '1/read-1']);
  });

  test('what a fused processor writes for the next one is not read from Kafka', () => {
    const graph = build(keeping('read', [raw], [first]), processor('count', [first], [second]));
    expect(graph.nodes.length).toBe(1);
    expect(graph.nodes[0]).toMatchObject({
      name: 'read',
      keyedInputs: [raw],
      outputs: [first, second, dlq],
      partitions: 2,
    });
  });

  test('refuses keyed inputs that are not co-partitioned', () => {
    const problem = problemOf([processor('join', [raw, topic('wide', 'raw', 3)], [first])]);
    expect(problem).toContain('raw 2, wide 3');
  });

  test('refuses a processor without a keyed input', () => {
    expect(problemOf([processor('idle', [], [first], [facts])])).toContain('found none');
  });

  test('a topic with another number of partitions than its writer goes through Kafka', () => {
    const wide = topic('wide', 'derived', 8);
    const graph = build(keeping('read', [raw], [wide]), processor('count', [wide], [second]));
    expect(graph.nodes.map(({ name, partitions, keyedInputs }) => [name, partitions, keyedInputs])).toEqual([
      ['read', 2, [raw]],
      ['count', 8, [wide]],
    ]);
  });

  test('refuses a derived topic that nobody writes', () => {
    expect(problemOf([processor('count', [first], [second])])).toContain(
      'count reads first: nobody writes it',
    );
  });

  test('refuses a cycle and names its way', () => {
    const problem = problemOf([processor('there', [second], [first]), processor('back', [first], [second])]);
    expect(problem).toContain('cycle: there -> back -> there');
  });

  test('refuses a cycle within one task', () => {
    expect(problemOf([keeping('again', [raw, first], [first])])).toContain('cycle: again -> again');
    expect(problemOf([processor('again', [raw, first], [first])])).toContain('cycle: again -> again');
    const problem = problemOf([keeping('there', [raw, second], [first]), keeping('back', [first], [second])]);
    expect(problem).toContain('cycle: there -> back -> there');
  });

  test('refuses a task that reads all of what it writes', () => {
    expect(problemOf([processor('again', [raw], [first], [first])])).toContain('cycle: again -> again');
  });

  test('refuses a topic that is read by key and as broadcast', () => {
    expect(problemOf([processor('both', [raw], [first], [raw])])).toContain(
      'both: raw is read both by key and as broadcast',
    );
  });

  test('refuses processors of one name, and outputs that are not derived', () => {
    expect(problemOf([read, read])).toContain('two processors of this name');
    expect(problemOf([processor('loop', [raw], [facts])])).toContain('expected a derived topic, found fact');
  });

  test('refuses two sub-topologies of one name, and names that no position could hold', () => {
    const other = processor('other', [raw], [second]);
    expect(problemOf([read, other], { other: 'read' })).toBe(
      'read: two sub-topologies of this name; rename one',
    );
    for (const name of ['Read', 'read_all', 'r'.repeat(59)])
      expect(problemOf([read], { read: name })).toContain('expected a name of a-z, 0-9 and -');
    expect(problemOf([read], { read: 'r'.repeat(58) })).toBe('');
  });

  test('lists every problem at once', () => {
    expect(
      problemOf([processor('a', [first], []), processor('b', [second], [])]).split('; ').length,
    ).toBeGreaterThan(2);
  });

  test('has a control topic and a changelog for each sub-topology, under its given name', () => {
    const graph = buildGraph({ processors: [read], names: { read: 'base' }, planTopic: plan, dlqTopic: dlq });
    expect([...graph.engineTopics]).toEqual([
      ['control.base.v1', { layer: 'derived', partitions: 1 }],
      ['changelog.base.v1', { layer: 'derived', partitions: 2 }],
    ]);
    expect(graph.writers(first)).toEqual(['base-0', 'base-1']);
  });
});
