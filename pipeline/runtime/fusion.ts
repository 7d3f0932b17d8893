/**
 * Which processors share a task. Records that keep their key stay in one; a hop through Kafka is made only where the
 * key changes. Follows from the declarations alone, so every process and every version of equal declarations agrees.
 */
import { PipelineError } from '#pipeline/errors.ts';
import {
  defineProcessor,
  type InputDeclaration,
  keyed,
  type ProcessorDefinition,
} from '#pipeline/processor.ts';
import type { Topic } from '#schemas/topics.ts';

/** Processors of one task, in the order of the flow. */
export interface SubTopology {
  readonly name: string;
  readonly processors: readonly ProcessorDefinition[];
}

/**
 * A processor joins the one that writes its keyed input, where that is the only writer, keeps keys, and has as many
 * partitions. The group is named after its first processor, or as `names` says: the name stands in positions, control
 * and changelog topics, and stays stable when processors are added behind the first.
 */
export function fuse(
  processors: readonly ProcessorDefinition[],
  names: Readonly<Record<string, string>> = {},
): readonly SubTopology[] {
  const all = processors.flatMap((processor) => withRekeying(processor));
  const writersOf = Map.groupBy(
    all.flatMap((processor) => processor.outputs.map((topic) => ({ topic: topic.name, processor }))),
    ({ topic }) => topic,
  );
  const groups: ProcessorDefinition[][] = [];
  const groupOf = new Map<string, ProcessorDefinition[]>();
  for (const processor of all) {
    const upstream = upstreamGroups(processor);
    const [only] = upstream;
    const joined = upstream.size === 1 && only != null && canJoin(processor, only, all) ? only : [];
    if (joined.length === 0) groups.push(joined);
    joined.push(processor);
    groupOf.set(processor.name, joined);
  }
  return groups.map((group) => {
    const first = group[0]?.name ?? '';
    return { name: names[first] ?? first, processors: group };
  });

  /** Groups that a processor could stay in; null: an input that comes through Kafka whatever is done. */
  function upstreamGroups(processor: ProcessorDefinition): ReadonlySet<ProcessorDefinition[] | null> {
    const derived = processor.inputs.filter(
      ({ topic, mode }) => mode === 'keyed' && topic.layer === 'derived',
    );
    return new Set(
      derived.map(({ topic }) => {
        const writers = writersOf.get(topic.name) ?? [];
        const writer = writers[0]?.processor;
        const isAlone = writers.length === 1 && writer?.keepsKey === true;
        return isAlone && partitionsOf(writer) === topic.partitions
          ? (groupOf.get(writer.name) ?? null)
          : null;
      }),
    );
  }
}

function canJoin(
  processor: ProcessorDefinition,
  group: readonly ProcessorDefinition[],
  all: readonly ProcessorDefinition[],
): boolean {
  const [first] = group;
  if (first === undefined || partitionsOf(processor) !== partitionsOf(first)) return false;
  // A task cannot read all partitions of what it writes itself, or of what others make of that: it would wait for its
  // own future.
  const made = madeFrom(first, all);
  if (processor.inputs.some(({ topic, mode }) => mode === 'broadcast' && made.has(topic.name))) return false;
  // Nor can it read a topic in both ways.
  const own = modesOf([processor]);
  return [...modesOf(group)].every(([topic, mode]) => mode === (own.get(topic) ?? mode));
}

/** Names of the topics that a processor writes or that others, on whatever way, make of them. */
function madeFrom(first: ProcessorDefinition, all: readonly ProcessorDefinition[]): ReadonlySet<string> {
  const made = new Set(first.outputs.map(({ name }) => name));
  // A set also gives what is added to it meanwhile.
  for (const name of made) {
    for (const { inputs, outputs } of all)
      if (inputs.some(({ topic }) => topic.name === name)) for (const topic of outputs) made.add(topic.name);
  }
  return made;
}

const modesOf = (processors: readonly ProcessorDefinition[]): ReadonlyMap<string, InputDeclaration['mode']> =>
  new Map(processors.flatMap(({ inputs }) => inputs.map(({ topic, mode }) => [topic.name, mode] as const)));

const partitionsOf = ({ inputs }: ProcessorDefinition): number =>
  inputs.find(({ mode }) => mode === 'keyed')?.topic.partitions ?? 1;

/** Name of the topic through which a processor reads another one under its own key. */
export const internalTopicName = (processor: string, topic: string): string =>
  `internal.${processor}.${topic}`;

/** Puts a small processor and an internal topic before each rekeyed input. */
function withRekeying(processor: ProcessorDefinition): readonly ProcessorDefinition[] {
  if (processor.inputs.every(({ rekey }) => rekey === null)) return [processor];
  const others = processor.inputs.find(({ mode, rekey }) => mode === 'keyed' && rekey === null);
  const rekeying: ProcessorDefinition[] = [];
  const inputs = processor.inputs.map((input): InputDeclaration => {
    const { topic, rekey } = input;
    if (rekey === null) return input;
    const internal: Topic = {
      name: internalTopicName(processor.name, topic.name),
      layer: 'derived',
      key: `key of ${processor.name}`,
      schema: topic.schema,
      partitions: others?.topic.partitions ?? topic.partitions,
    };
    rekeying.push(
      defineProcessor({
        name: `${processor.name}-rekey-${topic.name.replaceAll(/\.v\d+$|[^a-z0-9]+/g, '-').replace(/-$/, '')}`,
        summary: `${topic.name} by the key of ${processor.name}`,
        inputs: [
          keyed(
            topic,
            ({ key, value }, context) => {
              if (value === null) {
                throw new PipelineError(
                  'VALUE_UNREADABLE',
                  `${topic.name}, key ${key}: a tombstone has no value to take another key from; read the topic as broadcast`,
                );
              }
              // `rekeyed` tied the function to the topic of this very input.
              context.emit(internal, rekey(value as never), value);
            },
            // The processor itself checks it, by its own rule.
            { maxAheadMs: Number.POSITIVE_INFINITY },
          ),
        ],
        outputs: [internal],
        onError: processor.onError,
      }),
    );
    return { ...input, topic: internal, rekey: null };
  });
  return [...rekeying, { ...processor, inputs }];
}
