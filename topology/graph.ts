/** The graph of the application, and how it is drawn. */

import { connectors } from '#connectors/registry.ts';
import type { ConnectorDefinition, SinkDefinition } from '#pipeline/rooms.ts';
import { buildGraph, type Graph } from '#pipeline/runtime/graph.ts';
import { dlq, planTopic, type Topic, topics } from '#schemas/topics.ts';
import { sinks } from '#sinks/registry.ts';
import { processors } from './processors/registry.ts';

export const graph: Graph = buildGraph({
  processors,
  names: { enrich: 'detect' },
  planTopic,
  dlqTopic: dlq,
});

/** Every topic whose values have a schema: those of the application, and the internal ones that rekeyed inputs need. */
export const allTopics: readonly Topic[] = [...new Set<Topic>([...topics, ...graph.topics])];

/** One box of the drawing: a room with what it reads and writes. */
export interface Box {
  readonly kind: 'connector' | 'sub-topology' | 'sink';
  readonly name: string;
  readonly reads: readonly string[];
  readonly writes: readonly string[];
  readonly detail: string;
}

const names = (topics: readonly Topic[]): readonly string[] => topics.map(({ name }) => name);

export function boxes(): readonly Box[] {
  const connector = ({ name, summary, outputs }: ConnectorDefinition): Box => ({
    kind: 'connector',
    name,
    reads: [],
    writes: names(outputs),
    detail: summary,
  });
  const sink = ({ name, summary, inputs }: SinkDefinition): Box => ({
    kind: 'sink',
    name,
    reads: names(inputs),
    writes: [],
    detail: summary,
  });
  return [
    ...connectors.map(connector),
    ...graph.nodes.map(
      (node): Box => ({
        kind: 'sub-topology',
        name: node.name,
        reads: names([...node.keyedInputs, ...node.broadcastInputs]),
        writes: names(node.outputs.filter((topic) => topic !== graph.dlqTopic)),
        detail: `${node.partitions} tasks: ${node.processors.map(({ name }) => name).join(' -> ')}`,
      }),
    ),
    ...sinks.map(sink),
  ];
}

export type GraphForm = 'text' | 'mermaid' | 'json';

/** The drawing on one screen. */
export function drawGraph(form: GraphForm): string {
  const all = boxes();
  if (form === 'json') return `${JSON.stringify(all, null, 2)}\n`;
  if (form === 'text') return `${all.map(drawBox).join('\n')}\n`;
  const id = (name: string) => name.replaceAll(/[^a-z0-9]/g, '_');
  const shape = ({ kind, name }: Box) =>
    kind === 'sub-topology'
      ? `${id(name)}["${name}"]`
      : kind === 'connector'
        ? `${id(name)}(["${name}"])`
        : `${id(name)}[/"${name}"/]`;
  const topics = [...new Set(all.flatMap(({ reads, writes }) => [...reads, ...writes]))].sort();
  const lines = [
    'flowchart LR',
    ...all.map((box) => `  ${shape(box)}`),
    ...topics.map((topic) => `  ${id(topic)}[("${topic}")]`),
    ...all.flatMap(({ name, reads, writes }) => [
      ...reads.map((topic) => `  ${id(topic)} --> ${id(name)}`),
      ...writes.map((topic) => `  ${id(name)} --> ${id(topic)}`),
    ]),
  ];
  return `${lines.join('\n')}\n`;
}

const drawBox = ({ kind, name, reads, writes, detail }: Box): string =>
  [
    `${kind} ${name}: ${detail}`,
    ...(reads.length > 0 ? [`  reads  ${reads.join(' ')}`] : []),
    ...(writes.length > 0 ? [`  writes ${writes.join(' ')}`] : []),
  ].join('\n');
