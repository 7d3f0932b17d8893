/** What tasks wrote: the first occurrence of each position, which is all that counts (engine rules, section 13). */
import { PipelineError } from '#pipeline/errors.ts';
import type { Entry, KafkaRecord } from '#pipeline/kafka/types.ts';
import { createChannel, rankChannels } from '#pipeline/merge/channel.ts';
import { readPosition } from '#pipeline/merge/position.ts';

/** A record with its position. */
export interface Written {
  readonly topic: string;
  readonly partition: number;
  readonly writer: string;
  readonly sequence: number;
  readonly record: KafkaRecord;
}

export interface Streams {
  /**
   * A record came into a topic that tasks write. Throws STREAM_FORKED when its position was there with other bytes,
   * and SEQUENCE_GAP when one before it is missing: readers see the first only when something follows.
   */
  add(topic: string, partition: number, record: KafkaRecord): void;
  /** First occurrences in a topic, in the order in which a reader of all its partitions takes them. */
  ofTopic(topic: string): readonly Written[];
  /** `<writer> <topic>/<partition>` -> its records as lines. Two runs are equal when these are. */
  lines(): Readonly<Record<string, readonly string[]>>;
}

/** All bytes of a record that count, on one line: log time, key, headers, value in hex. */
export const recordLine = ({ timestampMs, key, headers, value }: Entry): string =>
  [
    timestampMs,
    JSON.stringify(key?.toString() ?? null),
    ...headers.map(([name, content]) => `${name}=${content.toString()}`),
    value?.toString('hex') ?? 'null',
  ].join(' ');

export function createStreams(): Streams {
  const streams = new Map<string, Written[]>();
  return {
    add: (topic, partition, record) => {
      const place = `${topic}/${partition}/${record.offset}`;
      const { writer, sequence } = readPosition(record.headers, place);
      const name = `${writer} ${topic}/${partition}`;
      const stream = streams.get(name) ?? [];
      streams.set(name, stream);
      if (sequence > stream.length + 1) {
        throw new PipelineError(
          'SEQUENCE_GAP',
          `${place}: ${writer} jumps from ${stream.length} to ${sequence}`,
        );
      }
      const first = stream[sequence - 1];
      if (first === undefined) {
        stream.push({ topic, partition, writer, sequence, record });
        return;
      }
      const [was, is] = [recordLine(first.record), recordLine(record)];
      if (was === is) return;
      throw new PipelineError(
        'STREAM_FORKED',
        `${place}: ${writer} wrote ${sequence} again with other bytes, so its logic is not a fold: expected ${was}, found ${is}`,
      );
    },
    ofTopic: (topic) => {
      const found = [...streams.values()].flat().filter((written) => written.topic === topic);
      const channels = new Map(
        found.map(({ partition, writer }) => [
          `${partition}/${writer}`,
          createChannel(topic, partition, writer),
        ]),
      );
      rankChannels([...channels.values()], '');
      const rankOf = ({ partition, writer }: Written): number =>
        channels.get(`${partition}/${writer}`)?.rank ?? 0;
      return found.sort(
        (a, b) =>
          a.record.timestampMs - b.record.timestampMs || rankOf(a) - rankOf(b) || a.sequence - b.sequence,
      );
    },
    lines: () =>
      Object.fromEntries(
        [...streams]
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([name, stream]) => [name, stream.map(({ record }) => recordLine(record))]),
      ),
  };
}
