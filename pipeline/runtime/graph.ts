/** The graph derives from what processors declare: tasks, writers and channels. The engine knows no domain. */
import { PipelineError } from '#pipeline/errors.ts';
import { type Channel, createChannel, rankChannels } from '#pipeline/merge/channel.ts';
import { writerName } from '#pipeline/merge/position.ts';
import type { ProcessorDefinition } from '#pipeline/processor.ts';
import type { Layer, Topic } from '#schemas/topics.ts';
import { fuse, type SubTopology } from './fusion.ts';

export interface TaskId {
  readonly subTopology: string;
  readonly partition: number;
}

/** As the writer of what it emits, such as `detect-2`. */
export const taskName = ({ subTopology, partition }: TaskId): string => writerName(subTopology, partition);

export interface GraphNode {
  readonly name: string;
  readonly processors: readonly ProcessorDefinition[];
  /** Topics read from Kafka; what an earlier processor of the same sub-topology writes is taken in the task. */
  readonly keyedInputs: readonly Topic[];
  readonly broadcastInputs: readonly Topic[];
  readonly outputs: readonly Topic[];
  readonly partitions: number;
  readonly controlTopic: string;
  readonly changelogTopic: string;
}

export interface Graph {
  readonly nodes: readonly GraphNode[];
  readonly planTopic: Topic;
  readonly dlqTopic: Topic;
  /** Topics read or written, in the order of the flow; each once. Their values are encoded by a schema. */
  readonly topics: readonly Topic[];
  /** Topics of the engine itself, with what each must be: progress and changelogs. */
  readonly engineTopics: ReadonlyMap<string, { readonly layer: Layer; readonly partitions: number }>;
  writers(topic: Topic): readonly string[];
  /** All channels of a task, ranked. */
  channels(task: TaskId): readonly Channel[];
  tasks(): readonly TaskId[];
}

/** With the partition it is the name of a writer (`merge/position.ts`). */
const NODE_NAME = /^[a-z0-9-]{1,58}$/;

/** Progress of the tasks of a sub-topology. */
export const controlTopicName = (subTopology: string): string => `control.${subTopology}.v1`;
/** State of the tasks of a sub-topology; one partition each. */
export const changelogTopicName = (subTopology: string): string => `changelog.${subTopology}.v1`;

/**
 * Builds the graph. Throws GRAPH_INVALID with every problem: a topic that nobody writes, inputs that are not
 * co-partitioned, two processors of one name, a cycle.
 */
export function buildGraph(options: {
  processors: readonly ProcessorDefinition[];
  /** Names of sub-topologies, by their first processor; default: its own. */
  names?: Readonly<Record<string, string>>;
  planTopic: Topic;
  dlqTopic: Topic;
}): Graph {
  const { planTopic, dlqTopic } = options;
  const problems: string[] = [];
  const nodes = fuse(options.processors, options.names).map((subTopology) =>
    toNode(subTopology, dlqTopic, problems),
  );
  const writersOf = new Map<string, readonly string[]>();
  for (const node of nodes) {
    const own = Array.from({ length: node.partitions }, (_, partition) => writerName(node.name, partition));
    for (const topic of node.outputs) {
      writersOf.set(topic.name, [...(writersOf.get(topic.name) ?? []), ...own]);
      if (topic.layer !== 'derived')
        problems.push(`${node.name} writes ${topic.name}: expected a derived topic, found ${topic.layer}`);
    }
  }
  for (const [index, node] of nodes.entries()) {
    if (nodes.findIndex(({ name }) => name === node.name) < index)
      problems.push(`${node.name}: two sub-topologies of this name; rename one`);
    if (!NODE_NAME.test(node.name))
      problems.push(
        `${node.name}: expected a name of a-z, 0-9 and -, at most 58 characters, as it stands in positions; name the sub-topology`,
      );
  }
  const names = nodes.flatMap((node) => node.processors.map(({ name }) => name));
  for (const name of names.filter((name, index) => names.indexOf(name) !== index)) {
    problems.push(`${name}: two processors of this name; rename one`);
  }
  for (const node of nodes) {
    for (const topic of [...node.keyedInputs, ...node.broadcastInputs]) {
      if (topic.layer === 'derived' && !writersOf.has(topic.name)) {
        problems.push(
          `${node.name} reads ${topic.name}: nobody writes it; add a processor that does, or drop the input`,
        );
      }
    }
  }
  problems.push(...cycles(nodes));
  if (problems.length > 0) throw new PipelineError('GRAPH_INVALID', problems.join('; '));

  const topics = [
    ...new Set(nodes.flatMap((node) => [...node.keyedInputs, ...node.broadcastInputs, ...node.outputs])),
  ];
  const engineTopics = new Map(
    nodes.flatMap(({ controlTopic, changelogTopic, partitions }) => [
      [controlTopic, { layer: 'derived' as const, partitions: 1 }],
      [changelogTopic, { layer: 'derived' as const, partitions }],
    ]),
  );
  const writers = (topic: Topic) => writersOf.get(topic.name) ?? [];
  const channelsOf = (topic: Topic, partition: number): Channel[] =>
    topic.layer === 'derived'
      ? writers(topic).map((writer) => createChannel(topic.name, partition, writer))
      : [createChannel(topic.name, partition, '')];
  return {
    nodes,
    planTopic,
    dlqTopic,
    topics: [planTopic, ...topics],
    engineTopics,
    writers,
    channels: ({ subTopology, partition }) => {
      const node = nodes.find(({ name }) => name === subTopology);
      if (node === undefined) throw new PipelineError('INVARIANT_BROKEN', `no sub-topology ${subTopology}`);
      const channels = [
        ...channelsOf(planTopic, 0),
        ...node.keyedInputs.flatMap((topic) => channelsOf(topic, partition)),
        ...node.broadcastInputs.flatMap((topic) =>
          Array.from({ length: topic.partitions }, (_, index) => channelsOf(topic, index)).flat(),
        ),
      ];
      return rankChannels(channels, planTopic.name);
    },
    tasks: () =>
      nodes.flatMap((node) =>
        Array.from({ length: node.partitions }, (_, partition) => ({ subTopology: node.name, partition })),
      ),
  };
}

function toNode({ name, processors }: SubTopology, dlqTopic: Topic, problems: string[]): GraphNode {
  const outputs = [...new Set([...processors.flatMap((processor) => processor.outputs), dlqTopic])];
  const made = new Set(processors.flatMap((processor) => processor.outputs));
  const read = processors
    .flatMap((processor) => processor.inputs)
    .filter(({ topic, mode }) => mode === 'broadcast' || !made.has(topic));
  const keyedInputs = [...new Set(read.filter(({ mode }) => mode === 'keyed').map(({ topic }) => topic))];
  const broadcastInputs = [
    ...new Set(read.filter(({ mode }) => mode === 'broadcast').map(({ topic }) => topic)),
  ];
  const counts = new Set(keyedInputs.map(({ partitions }) => partitions));
  if (counts.size !== 1) {
    problems.push(
      `${name}: keyed inputs must have one partition count, found ${keyedInputs.map((topic) => `${topic.name} ${topic.partitions}`).join(', ') || 'none'}; read the smaller one as broadcast, or give both the same count`,
    );
  }
  const partitions = keyedInputs[0]?.partitions ?? 1;
  for (const { topic, mode } of processors.flatMap((processor) => processor.inputs)) {
    if (mode === 'keyed' && made.has(topic) && topic.partitions !== partitions) {
      problems.push(
        `${name}: ${topic.name} stays in the task, so it needs ${partitions} partitions, found ${topic.partitions}`,
      );
    }
  }
  for (const topic of keyedInputs.filter((topic) => broadcastInputs.includes(topic))) {
    problems.push(
      `${name}: ${topic.name} is read both by key and as broadcast; read it as broadcast alone, and pass over what is not yours`,
    );
  }
  problems.push(...cyclesWithin(processors));
  return {
    name,
    processors,
    keyedInputs,
    broadcastInputs,
    outputs,
    partitions,
    controlTopic: controlTopicName(name),
    changelogTopic: changelogTopicName(name),
  };
}

/** In a task a processor takes what those before it made; what it or one behind it makes would come round again. */
function cyclesWithin(processors: readonly ProcessorDefinition[]): string[] {
  return processors.flatMap(({ name, inputs }, index) =>
    processors
      .slice(index)
      .filter(({ outputs }) => inputs.some(({ topic, mode }) => mode === 'keyed' && outputs.includes(topic)))
      .map((writer) => {
        const way = writer.name === name ? [name, name] : [name, writer.name, name];
        return `cycle: ${way.join(' -> ')}; go through a connector instead`;
      }),
  );
}

/** All loops go through the outside: between processors the graph is acyclic. */
function cycles(nodes: readonly GraphNode[]): string[] {
  const problems: string[] = [];
  const readersOf = (topic: Topic) =>
    nodes.filter((node) => node.keyedInputs.includes(topic) || node.broadcastInputs.includes(topic));
  const visit = (node: GraphNode, path: readonly string[]): void => {
    if (path.includes(node.name)) {
      problems.push(
        `cycle: ${[...path.slice(path.indexOf(node.name)), node.name].join(' -> ')}; go through a connector instead`,
      );
      return;
    }
    for (const topic of node.outputs)
      for (const reader of readersOf(topic)) visit(reader, [...path, node.name]);
  };
  for (const node of nodes) visit(node, []);
  return [...new Set(problems)];
}
