/** What stands in the derived topics of a simulated log, stream by stream, to be compared. */
import type { KafkaRecord } from '#pipeline/kafka/types.ts';
import { readPosition } from '#pipeline/merge/position.ts';
import type { SimulatedLog } from './log.ts';
import type { Value } from './logic.ts';
import { decodeValue } from './topology.ts';

export const DERIVED = ['mid', 'dev', 'fin', 'out', 'win', 'dlq'];

/** One output: log time, key, and the value as text; of dead letters the place. */
export type Line = string;
/** `topic/partition/writer` -> its outputs in order. */
export type Streams = Map<string, Line[]>;

export const lineOf = (logTimeMs: number, key: string, value: Value): Line =>
  `${logTimeMs} ${key} ${value.kind} ${value.number} ${value.hash} ${value.eventTimeMs}`;

export const timeOf = (line: Line): number => Number.parseInt(line, 10);

/** First occurrences in the log, writer by writer. Throws on a hole, and on two different records at one place. */
function streamsOf(log: SimulatedLog, toLine: (topic: string, record: KafkaRecord) => Line): Streams {
  const streams: Streams = new Map();
  for (const topic of DERIVED) {
    for (const [partition, { records }] of (log.topics.get(topic) ?? []).entries()) {
      /** Writer -> the version that alone counts from here on. */
      const fenced = new Map<string, number>();
      for (const record of records) {
        const { writer, sequence, epoch } = readPosition(
          record.headers,
          `${topic}/${partition}/${record.offset}`,
        );
        if (sequence === 0) fenced.set(writer, epoch);
        if (sequence === 0 || epoch < (fenced.get(writer) ?? 0)) continue;
        const name = `${topic}/${partition}/${writer}`;
        const stream = streams.get(name) ?? [];
        streams.set(name, stream);
        const line = toLine(topic, record);
        if (sequence > stream.length + 1) throw new Error(`${name}: a hole before ${sequence}`);
        if (sequence === stream.length + 1) stream.push(line);
        else if (stream[sequence - 1] !== line)
          throw new Error(`${name}: two records at ${sequence}: ${stream[sequence - 1]} and ${line}`);
      }
    }
  }
  return streams;
}

/** What the log holds, as the reference writes it. */
export const found = (log: SimulatedLog): Streams =>
  streamsOf(log, (topic, { key, value, timestampMs }) =>
    topic === 'dlq'
      ? `${timestampMs} ${String(key)}`
      : lineOf(timestampMs, String(key), decodeValue(topic, value ?? Buffer.alloc(0))),
  );

/** All bytes of what the log holds: time, key, value and headers. */
export const bytesOf = (log: SimulatedLog): Streams =>
  streamsOf(log, (_topic, { key, value, timestampMs, headers }) => {
    const texts = headers.map(([header, bytes]) => `${header}=${bytes.toString('latin1')}`);
    return `${timestampMs} ${key?.toString('latin1')} ${value?.toString('latin1')} ${texts.join()}`;
  });
