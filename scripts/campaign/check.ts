/**
 * Compares what is in the topics with what must be there. Every stream (topic, partition, writer) has each position once,
 * in order, with the expected record; whatever else was written under a position (by a copy, after a crash) has the same
 * bytes.
 */
import { crc32 } from 'node:zlib';
import { createModel, type Model, type ModelSettings } from './model.ts';
import { digestAfter, type Fields, fieldsOf, isTick, positionOf, type Seen } from './wire.ts';

/** Derived topics with the types of their fields; see `wire.ts`. */
export const OUTPUTS: Readonly<Record<string, string>> = {
  scaled: 'lsll',
  'internal.total.scaled': 'lsll',
  tallies: 'lll',
  hushes: 'l',
  totals: 'lll',
};
export const INPUT = 'readings';
export const DEAD_LETTERS = 'dlq.v1';
const INPUT_FIELDS = 'lsll';

interface Line {
  readonly logTimeMs: number;
  readonly text: string;
}

interface Stream {
  /** First occurrences so far. */
  sequence: number;
  digest: string;
  /** Two checksums of each first occurrence, for comparing with later ones. */
  readonly sums: number[];
  /** Not compared yet: at most one of the two lists has lines. */
  found: Line[];
  expected: Line[];
}

export interface Counts {
  readonly inputs: number;
  /** Inputs that are in the raw log more than once: sent again without an answer. */
  readonly inputsResent: number;
  /** First occurrences. */
  readonly outputs: number;
  /** Further occurrences of positions, all with the same bytes. */
  readonly duplicates: number;
  /** Outputs that were compared with what was expected. */
  readonly compared: number;
}

export interface Check {
  /** In offset order for each partition; names are logical. */
  take(topic: string, partition: number, offset: number, record: Seen): void;
  /** Outputs of before this log time that are still missing; null: the raw log does not reach so far yet. */
  missing(beforeMs: number): number | null;
  /** Whether an input is in the raw log. */
  hasInput(number: number): boolean;
  /** At the end: outputs that nothing can explain. Only right when the raw log is read to its end. */
  unexpected(): number;
  counts(): Counts;
}

const MAX_REPORTED = 50;

/** `violated` gets one sentence for each wrong thing, up to a limit. */
export function createCheck(
  settings: ModelSettings & { readonly inputPartitions: number; readonly violated: (what: string) => void },
): Check {
  const model: Model = createModel(settings);
  const streams = new Map<string, Stream>();
  const reached = new Array<number>(settings.inputPartitions).fill(Number.NEGATIVE_INFINITY);
  const numbers = new Set<number>();
  const counts = { inputs: 0, inputsResent: 0, outputs: 0, duplicates: 0, compared: 0 };
  let reported = 0;
  const violated = (what: string): void => {
    reported += 1;
    if (reported <= MAX_REPORTED) settings.violated(what);
  };

  const streamOf = (name: string): Stream => {
    let stream = streams.get(name);
    if (stream === undefined) {
      stream = { sequence: 0, digest: '00000000', sums: [], found: [], expected: [] };
      streams.set(name, stream);
    }
    return stream;
  };

  const compare = (name: string, stream: Stream): void => {
    const ready = Math.min(stream.found.length, stream.expected.length);
    if (ready === 0) return;
    const first = stream.sequence - stream.found.length + 1;
    for (let index = 0; index < ready; index += 1) {
      const [found, expected] = [stream.found[index]?.text, stream.expected[index]?.text];
      if (found !== expected) violated(`${name}:${first + index}: expected ${expected}, found ${found}`);
    }
    counts.compared += ready;
    stream.found = stream.found.slice(ready);
    stream.expected = stream.expected.slice(ready);
  };

  const takeInput = (partition: number, offset: number, record: Seen): void => {
    const logTimeMs = Math.max(reached[partition] ?? 0, record.timestampMs);
    reached[partition] = logTimeMs;
    if (isTick(record) || record.value === null) return;
    const [number, sensor, value, eventTimeMs] = fieldsOf(record.value, INPUT_FIELDS).map(String);
    const fact = { number: Number(number), sensor: sensor ?? '', value: Number(value) };
    counts.inputs += 1;
    if (numbers.has(fact.number)) counts.inputsResent += 1;
    numbers.add(fact.number);
    model.add({ partition, offset, logTimeMs, ...fact, eventTimeMs: Number(eventTimeMs) });
  };

  const takeOutput = (topic: string, partition: number, offset: number, record: Seen): void => {
    const position = positionOf(record);
    const place = `${topic}/${partition}/${offset}`;
    if (position === null) {
      violated(`${place}: no position`);
      return;
    }
    const { writer, sequence, previousDigest } = position;
    const name = `${topic}/${partition}/${writer}`;
    const stream = streamOf(name);
    const sum = sumOf(record);
    if (sequence <= stream.sequence) {
      counts.duplicates += 1;
      if (stream.sums[sequence - 1] !== sum)
        violated(`${place}: ${name}:${sequence} has other bytes than before`);
      return;
    }
    if (sequence !== stream.sequence + 1)
      violated(`${place}: ${name}:${sequence} follows ${stream.sequence}: a gap`);
    if (previousDigest !== stream.digest)
      violated(`${place}: ${name}:${sequence} says ${previousDigest} was before it, found ${stream.digest}`);
    stream.sequence = sequence;
    stream.digest = digestAfter(stream.digest, record);
    stream.sums[sequence - 1] = sum;
    counts.outputs += 1;
    const text = lineOf(
      record.key?.toString() ?? '',
      fieldsOf(record.value ?? Buffer.alloc(5), OUTPUTS[topic] ?? ''),
    );
    stream.found.push({ logTimeMs: record.timestampMs, text: `${record.timestampMs} ${text}` });
    compare(name, stream);
  };

  const advance = (): number => {
    const boundMs = Math.min(...reached);
    if (boundMs === Number.NEGATIVE_INFINITY) return boundMs;
    for (const { stream: name, logTimeMs, key, fields } of model.advance(boundMs)) {
      const stream = streamOf(name);
      stream.expected.push({ logTimeMs, text: `${logTimeMs} ${lineOf(key, fields)}` });
    }
    for (const [name, stream] of streams) compare(name, stream);
    return boundMs;
  };

  return {
    take: (topic, partition, offset, record) => {
      if (topic === INPUT) takeInput(partition, offset, record);
      else if (topic === DEAD_LETTERS) violated(`${topic}/${partition}/${offset}: a dead letter`);
      else takeOutput(topic, partition, offset, record);
    },
    missing: (beforeMs) => {
      if (advance() < beforeMs) return null;
      return [...streams.values()].reduce(
        (sum, { expected }) => sum + expected.filter(({ logTimeMs }) => logTimeMs < beforeMs).length,
        0,
      );
    },
    hasInput: (number) => numbers.has(number),
    unexpected: () => {
      const boundMs = advance();
      const isBefore = ({ logTimeMs }: Line): boolean => logTimeMs < boundMs;
      return [...streams.values()].reduce((sum, { found }) => sum + found.filter(isBefore).length, 0);
    },
    counts: () => ({ ...counts }),
  };
}

const lineOf = (key: string, fields: Fields): string => `${key} ${fields.join(' ')}`;

/** Of everything that a reader can see but the offset. 53 bits. */
function sumOf({ timestampMs, key, value, headers }: Seen): number {
  const named = Object.entries(headers).flatMap(([name, bytes]) => [
    Buffer.from(name),
    bytes ?? Buffer.alloc(0),
  ]);
  let [low, high] = [timestampMs % 2 ** 32, 0];
  for (const bytes of [key ?? Buffer.alloc(0), value ?? Buffer.alloc(0), ...named]) {
    low = crc32(bytes, low);
    // Another sum: over the lengths and sums so far.
    high = crc32(`${bytes.length}:${low}`, high);
  }
  return (high % 2 ** 21) * 2 ** 32 + low;
}
