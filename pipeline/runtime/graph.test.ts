import { describe, expect, test } from 'vitest';
import { isPipelineError } from '#pipeline/errors.ts';
import { broadcast, defineProcessor, keyed, type ProcessorDefinition } from '#pipeline/rooms.ts';
import { price } from '#schemas/price.ts';
import type { Layer, Topic } from '#schemas/topics.ts';
import { buildGraph, type SubTopology } from './graph.ts';

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
    stores: {},
    inputs: [
      ...inputs.map((input) => keyed(input, () => {})),
      ...tables.map((table) => broadcast(table, () => {})),
    ],
    outputs,
  });

const build = (...subTopologies: SubTopology[]) =>
  buildGraph({ subTopologies, planTopic: plan, dlqTopic: dlq });
const alone = (definition: ProcessorDefinition): SubTopology => ({
  name: definition.name,
  processors: [definition],
});

const problemOf = (...subTopologies: SubTopology[]): string => {
  try {
    build(...subTopologies);
  } catch (error) {
    if (isPipelineError(error, 'GRAPH_INVALID')) return error.message;
    throw error;
  }
  return '';
};

const read = processor('read', [raw], [first]);

describe('buildGraph', () => {
  test('derives tasks, writers and channels from what processors declare', () => {
    const graph = build(alone(read), alone(processor('count', [first], [second], [facts])));
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
    const graph = build(alone(read), alone(processor('join', [raw], [second], [first])));
    const channels = graph.channels({ subTopology: 'join', partition: 0 });
    expect(
      channels
        .filter(({ topic: name }) => name === 'first')
        .map(({ partition, writer }) => `${partition}/${writer}`),
    ).toEqual(['0/read-0', '0/read-1', '1/read-0', '1/read-1']);
  });

  test('what a fused processor writes for the next one is not read from Kafka', () => {
    const graph = build({ name: 'both', processors: [read, processor('count', [first], [second])] });
    expect(graph.nodes[0]).toMatchObject({
      keyedInputs: [raw],
      outputs: [first, second, dlq],
      partitions: 2,
    });
  });

  test('refuses keyed inputs that are not co-partitioned', () => {
    const problem = problemOf(alone(processor('join', [raw, topic('wide', 'raw', 3)], [first])));
    expect(problem).toContain('raw 2, wide 3');
  });

  test('refuses a processor without a keyed input', () => {
    expect(problemOf(alone(processor('idle', [], [first], [facts])))).toContain('found none');
  });

  test('refuses a fused topic with another number of partitions', () => {
    const wide = topic('wide', 'derived', 8);
    expect(
      problemOf({
        name: 'both',
        processors: [processor('read', [raw], [wide]), processor('count', [wide], [second])],
      }),
    ).toContain('needs 2 partitions, found 8');
  });

  test('refuses a derived topic that nobody writes', () => {
    expect(problemOf(alone(processor('count', [first], [second])))).toContain(
      'count reads first: nobody writes it',
    );
  });

  test('refuses a cycle and names its way', () => {
    const problem = problemOf(
      alone(processor('there', [second], [first])),
      alone(processor('back', [first], [second])),
    );
    expect(problem).toContain('cycle: there -> back -> there');
  });

  test('refuses processors of one name, and outputs that are not derived', () => {
    expect(problemOf(alone(read), { name: 'again', processors: [read] })).toContain(
      'two processors of this name',
    );
    expect(problemOf(alone(processor('loop', [raw], [facts])))).toContain(
      'expected a derived topic, found fact',
    );
  });

  test('lists every problem at once', () => {
    expect(
      problemOf(alone(processor('a', [first], [])), alone(processor('b', [second], []))).split('; ').length,
    ).toBeGreaterThan(2);
  });
});
