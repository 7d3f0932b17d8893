/** What a golden case is: a processor, what it reads, and by hand what must come out of it. */
import type { ProcessorDefinition } from '#pipeline/processor.ts';
import { NAMESPACE, timestampMs, type ValueOf } from '#schemas/avro.ts';
import type { Layer, Topic } from '#schemas/topics.ts';

/** Input of all cases. */
export const move = {
  type: 'record',
  name: 'GoldenMove',
  namespace: NAMESPACE,
  fields: [
    { name: 'id', type: 'string' },
    { name: 'op', type: { type: 'enum', name: 'GoldenOp', symbols: ['assert', 'retract'] } },
    { name: 'eventTimeMs', type: timestampMs },
    { name: 'amount', type: 'int' },
    { name: 'group', type: 'string', doc: 'another key; mostly empty' },
  ],
} as const;

/** Output of all cases: text, so that what is expected can be read. */
export const line = {
  type: 'record',
  name: 'GoldenLine',
  namespace: NAMESPACE,
  fields: [{ name: 'text', type: 'string' }],
} as const;

/** Value of an input record. */
export type Move = ValueOf<typeof move>;
/** A topic of input. */
export type MoveTopic = Topic<typeof move>;
/** A topic of output. */
export type LineTopic = Topic<typeof line>;

/** An input record. Its log time is set here, so that on a real broker it is the same. */
export interface GoldenRecord {
  readonly topic: MoveTopic;
  readonly atMs: number;
  readonly key: string;
  /** Null: a tombstone. */
  readonly value: Move | null;
}

/** One processor with its input and its output. */
export interface GoldenCase {
  readonly processor: ProcessorDefinition;
  readonly lines: LineTopic;
  /** By log time. */
  readonly records: readonly GoldenRecord[];
  /** As `lineOf` writes them, in the order of a reader: log time, partition, sequence. */
  readonly expected: readonly string[];
}

/** Of keys, `a`, `b`, `c` and `k` are of the first, `d` and `g` of the second. */
const PARTITIONS = 2;

const define = <const S extends typeof move | typeof line>(
  layer: Layer,
  name: string,
  schema: S,
): Topic<S> => ({
  name: `golden.${name}`,
  layer,
  key: 'any',
  schema,
  partitions: PARTITIONS,
});

/** A topic `golden.<name>` that one loader writes, with the log times that it sets. */
export const inputTopic = (name: string): MoveTopic => define('history', name, move);
/** The topic `golden.<name>.lines` that a case writes. */
export const lineTopic = (name: string): LineTopic => define('derived', `${name}.lines`, line);

type Details = Pick<Move, 'id' | 'eventTimeMs'> & Partial<Pick<Move, 'amount' | 'group'>>;

const record = (
  topic: MoveTopic,
  atMs: number,
  key: string,
  op: Move['op'],
  details: Details,
): GoldenRecord => ({
  topic,
  atMs,
  key,
  value: { op, amount: 0, group: '', ...details },
});

/** A record that says something; what is left out of the details is 0 or empty. */
export const asserted = (topic: MoveTopic, atMs: number, key: string, details: Details): GoldenRecord =>
  record(topic, atMs, key, 'assert', details);
/** A record that takes one back: with the same details. */
export const retracted = (topic: MoveTopic, atMs: number, key: string, details: Details): GoldenRecord =>
  record(topic, atMs, key, 'retract', details);

/** `<log time> <key>: <text>` */
export const lineOf = (output: { logTimeMs: number; key: string; value: { text: string } }): string =>
  `${output.logTimeMs} ${output.key}: ${output.value.text}`;
