/**
 * Derived topics that a processor reads and nobody in the driver writes: the test writes them. Their records need the
 * position of a task, so a small task of one partition passes on what the test gives.
 */
import { PipelineError } from '#pipeline/errors.ts';
import { writerName } from '#pipeline/merge/position.ts';
import { defineProcessor, keyed, type ProcessorDefinition } from '#pipeline/processor.ts';
import { partitionOf } from '#pipeline/runtime/partitioner.ts';
import type { Topic } from '#schemas/topics.ts';

export interface Upstream {
  readonly processor: ProcessorDefinition;
  /** Where the test's records go in truth. */
  readonly source: Topic;
  /** Place of the next record with this key, `topic/partition/writer:sequence`. Each call counts one on. */
  nextPlace(key: string): string;
}

/** By name of the topic. */
export function createUpstreams(
  processors: readonly ProcessorDefinition[],
  dlqTopic: Topic,
): ReadonlyMap<string, Upstream> {
  const written = new Set(processors.flatMap(({ outputs }) => outputs.map(({ name }) => name)));
  const upstreams = new Map<string, Upstream>();
  for (const { topic } of processors.flatMap(({ inputs }) => inputs)) {
    if (topic.layer !== 'derived' || written.has(topic.name) || topic.name === dlqTopic.name) continue;
    if (!upstreams.has(topic.name)) upstreams.set(topic.name, createUpstream(topic));
  }
  return upstreams;
}

function createUpstream(topic: Topic): Upstream {
  const name = `driver-${topic.name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}`;
  const source: Topic = { ...topic, name: `driver.${topic.name}`, layer: 'raw', partitions: 1 };
  const sequences = new Map<number, number>();
  return {
    source,
    nextPlace: (key) => {
      const partition = partitionOf(Buffer.from(key), topic.partitions);
      const sequence = (sequences.get(partition) ?? 0) + 1;
      sequences.set(partition, sequence);
      return `${topic.name}/${partition}/${writerName(name, 0)}:${sequence}`;
    },
    processor: defineProcessor({
      name,
      summary: `${topic.name}, as the test writes it`,
      inputs: [
        keyed(source, ({ key, value }, { emit }) => {
          if (value === null)
            throw new PipelineError('INVARIANT_BROKEN', `${topic.name}: derived topics have no tombstones`);
          emit(topic, key, value);
        }),
      ],
      outputs: [topic],
    }),
  };
}
