/** Nothing lasting may rest on records that are not in the log: holds every checkpoint in a changelog against it. */
import type { KafkaRecord } from '#pipeline/kafka/types.ts';
import { readPosition, writerName } from '#pipeline/merge/position.ts';
import type { CheckpointContents } from '#pipeline/runtime/checkpoint.ts';
import { GroupAssembler } from '#pipeline/state/changelog.ts';
import type { SimulatedLog } from './log.ts';
import { graphs } from './topology.ts';

/** Calls `violated` with what a checkpoint says that the log does not have at the moment at which it is complete. */
export function watchFooting(log: SimulatedLog, violated: (message: string) => void): void {
  const derived = new Set(
    graphs.flatMap(({ topics }) => topics.filter(({ layer }) => layer === 'derived').map(({ name }) => name)),
  );
  const taskOf = new Map(
    graphs.flatMap(({ nodes }) => nodes.map(({ name, changelogTopic }) => [changelogTopic, name] as const)),
  );
  /** `topic/partition/writer` -> highest sequence. */
  const written = new Map<string, number>();
  const assemblers = new Map<string, GroupAssembler>();
  const last = new Map<string, CheckpointContents>();

  const complete = (topic: string, partition: number, record: KafkaRecord): CheckpointContents | null => {
    const name = `${topic}/${partition}`;
    const assembler = assemblers.get(name) ?? new GroupAssembler();
    assemblers.set(name, assembler);
    const group = assembler.add(record, name);
    return group === null ? null : (JSON.parse(group.meta) as CheckpointContents);
  };
  const check = (task: string, contents: CheckpointContents): void => {
    const said = [
      ...Object.entries(contents.channels).filter(([name]) => !name.endsWith('/')),
      ...Object.entries(contents.destinations).map(([name, last]) => [`${name}/${task}`, last] as const),
    ];
    for (const [name, { sequence }] of said) {
      const highest = written.get(name) ?? 0;
      if (sequence > highest)
        violated(`a checkpoint of ${task} rests on ${name}:${sequence}, the log ends at ${highest}`);
    }
  };

  /** A version that goes on, with or without some of its inputs, keeps its place in all of them. */
  const checkPlaces = (task: string, contents: CheckpointContents): void => {
    const before = last.get(task);
    last.set(task, contents);
    if (before?.fingerprint !== contents.fingerprint) return;
    const lost = Object.keys(before.inputs).find((name) => contents.inputs[name] === undefined);
    if (lost !== undefined) violated(`a checkpoint of ${task} has lost its place in ${lost}`);
  };

  log.onAppend((topic, partition) => {
    const record = log.partition(topic, partition).records.at(-1);
    if (record === undefined) return;
    if (derived.has(topic)) {
      const { writer, sequence } = readPosition(record.headers, topic);
      const name = `${topic}/${partition}/${writer}`;
      written.set(name, Math.max(sequence, written.get(name) ?? 0));
      return;
    }
    const subTopology = taskOf.get(topic);
    if (subTopology === undefined) return;
    const contents = complete(topic, partition, record);
    if (contents === null) return;
    const task = writerName(subTopology, partition);
    check(task, contents);
    checkPlaces(task, contents);
  });
}
