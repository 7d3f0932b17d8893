/** Fences behind what tasks of the version before wrote, and how far they came there (`pipeline/merge/fence.ts`). */
import type { Kafka, Producer } from '#pipeline/kafka/types.ts';
import { createFences, fenceEntry, isFence } from '#pipeline/merge/fence.ts';
import { nextDigest, readPosition, writerName } from '#pipeline/merge/position.ts';
import type { Graph, TaskId } from '#pipeline/runtime/graph.ts';
import { readPartition } from '#pipeline/runtime/read-topic.ts';
import type { Version } from './versions.ts';

/** A writer in one partition, as of the fence. */
export interface FencedWriter {
  /** `topic/partition`, by logical name. */
  readonly name: string;
  /** Of the fence. */
  readonly offset: number;
  /** Last record before the fence; 0: none. */
  readonly sequence: number;
  readonly digest: number;
}

/**
 * Appends a fence to each partition that a task writes to, and reads where it came to lie: by task. Of several, as after an
 * attempt that was cut short, the first counts.
 */
export async function putFences(
  options: {
    readonly kafka: Kafka;
    readonly producer: Producer;
    readonly physicalName: (topic: string) => string;
    readonly graph: Graph;
  },
  cut: { readonly before: Version; readonly version: Version; readonly late: readonly TaskId[] },
): Promise<ReadonlyMap<string, readonly FencedWriter[]>> {
  const { kafka, producer, physicalName, graph } = options;
  const { before, version, late } = cut;
  const writers = new Map<string, Set<string>>();
  for (const { subTopology, partition } of late) {
    const writer = writerName(subTopology, partition);
    for (const topic of outputsOf(before, subTopology, graph.dlqTopic.name))
      writers.set(topic, (writers.get(topic) ?? new Set()).add(writer));
  }
  const places: { topic: string; partition: number; writers: ReadonlySet<string> }[] = [];
  const admin = kafka.admin();
  try {
    for (const [topic, names] of writers)
      for (const { partition } of await admin.offsets(physicalName(topic)))
        places.push({ topic, partition, writers: names });
  } finally {
    await admin.close();
  }
  const logTimeMs = version.cut?.logTimeMs ?? 0;
  for (const { topic, partition, writers: names } of places)
    for (const writer of names)
      producer.append(physicalName(topic), partition, fenceEntry(writer, version.epoch, logTimeMs));
  await producer.acknowledged();
  const found = new Map<string, FencedWriter[]>();
  for (const place of places) {
    for (const [writer, fenced] of await readTails(options, place, version.epoch))
      found.set(writer, [...(found.get(writer) ?? []), fenced]);
  }
  return found;
}

/** Reads a partition up to the first fence of each of its writers. */
async function readTails(
  { kafka, physicalName }: { readonly kafka: Kafka; readonly physicalName: (topic: string) => string },
  place: { readonly topic: string; readonly partition: number; readonly writers: ReadonlySet<string> },
  epoch: number,
): Promise<ReadonlyMap<string, FencedWriter>> {
  const { topic, partition, writers } = place;
  const name = `${topic}/${partition}`;
  const tails = new Map([...writers].map((writer) => [writer, { sequence: 0, digest: 0 }]));
  const fences = createFences();
  const found = new Map<string, FencedWriter>();
  for await (const record of readPartition(kafka, physicalName(topic), partition)) {
    const position = readPosition(record.headers, `${name}/${record.offset}`);
    const { writer, sequence, previousDigest } = position;
    const tail = tails.get(writer);
    if (tail === undefined || found.has(writer)) continue;
    const { offset } = record;
    const isHeard = fences.hears(writer, position, offset);
    if (isFence(position) && position.epoch === epoch) found.set(writer, { name, offset, ...tail });
    else if (isHeard && sequence > tail.sequence) {
      tail.sequence = sequence;
      tail.digest = nextDigest(previousDigest, record.timestampMs, record.key, record.value);
    }
  }
  return found;
}

/** Topics that the tasks of a sub-topology wrote to in a version. */
function outputsOf({ description }: Version, subTopology: string, dlqTopic: string): readonly string[] {
  const node = description?.subTopologies.find(({ name }) => name === subTopology);
  return [...new Set([...(node?.processors.flatMap(({ outputs }) => outputs) ?? []), dlqTopic])];
}
