/** What a task writes: encoded in the fold, numbered without holes, queued in order. */

import { PipelineError } from '#pipeline/errors.ts';
import type { Producer } from '#pipeline/kafka/types.ts';
import { formatPosition, nextDigest, POSITION_HEADER, writerName } from '#pipeline/merge/position.ts';
import type { Topic } from '#schemas/topics.ts';
import type { TaskId } from './graph.ts';
import { partitionOf } from './partitioner.ts';

/** Last record written to a destination. */
export interface Destination {
  sequence: number;
  digest: number;
}

export interface Outputs {
  /** Throws VALUE_TOO_LARGE before a sequence is given: after that nothing could be skipped. */
  checkSize(topic: Topic, key: Buffer, value: Buffer): void;
  /** Gives the record its position and queues it. Returns its place, `topic/partition/writer:sequence`. */
  write(topic: Topic, key: Buffer, value: Buffer, logTimeMs: number): string;
  /** Tells readers that nothing before `logTimeMs` follows. Written after what it covers. */
  tick(logTimeMs: number): void;
  /** `topic/partition` -> last record, by logical topic name. */
  readonly destinations: ReadonlyMap<string, Destination>;
}

/** Kafka's own limit counts the batch around the record; headers and framing fit in the difference. */
const FRAME_BYTES = 1024;

export function createOutputs(options: {
  task: TaskId;
  epoch: number;
  controlTopic: string;
  maxRecordBytes: number;
  producer: Producer;
  destinations: ReadonlyMap<string, Destination>;
  physicalName: (topic: string) => string;
}): Outputs {
  const { task, epoch, controlTopic, producer, physicalName } = options;
  const writer = writerName(task.subTopology, task.partition);
  const destinations = new Map([...options.destinations].map(([name, last]) => [name, { ...last }]));
  return {
    destinations,
    checkSize: (topic, key, value) => {
      const bytes = key.length + value.length + FRAME_BYTES;
      if (bytes <= options.maxRecordBytes) return;
      throw new PipelineError(
        'VALUE_TOO_LARGE',
        `${topic.name}: expected at most ${options.maxRecordBytes} bytes, found ${bytes}`,
      );
    },
    write: (topic, key, value, logTimeMs) => {
      const partition = partitionOf(key, topic.partitions);
      const name = `${topic.name}/${partition}`;
      let last = destinations.get(name);
      if (last === undefined) {
        last = { sequence: 0, digest: 0 };
        destinations.set(name, last);
      }
      last.sequence += 1;
      const position = formatPosition({
        writer,
        sequence: last.sequence,
        epoch,
        previousDigest: last.digest,
      });
      last.digest = nextDigest(last.digest, logTimeMs, key, value);
      producer.append(physicalName(topic.name), partition, {
        timestampMs: logTimeMs,
        key,
        value,
        headers: [[POSITION_HEADER, Buffer.from(position, 'latin1')]],
      });
      return `${name}/${writer}:${last.sequence}`;
    },
    tick: (logTimeMs) => {
      const sequences = Object.fromEntries([...destinations].map(([name, { sequence }]) => [name, sequence]));
      producer.append(physicalName(controlTopic), 0, {
        timestampMs: logTimeMs,
        key: null,
        value: Buffer.from(JSON.stringify({ writer, epoch, logTimeMs, sequences } satisfies ControlTick)),
        headers: [],
      });
    },
  };
}

/** A record of a control topic. */
export interface ControlTick {
  readonly writer: string;
  readonly epoch: number;
  readonly logTimeMs: number;
  /** `topic/partition` -> last sequence written there. */
  readonly sequences: Readonly<Record<string, number>>;
}

/** Null when the bytes are no tick: another version may write more; what is not understood proves nothing. */
export function readControlTick(bytes: Buffer | null): ControlTick | null {
  try {
    const value: unknown = JSON.parse(bytes?.toString() ?? '');
    if (typeof value !== 'object' || value === null) return null;
    const { writer, epoch, logTimeMs, sequences } = value as Partial<ControlTick>;
    const isTick =
      typeof writer === 'string' &&
      typeof epoch === 'number' &&
      typeof logTimeMs === 'number' &&
      typeof sequences === 'object' &&
      sequences !== null;
    return isTick ? { writer, epoch, logTimeMs, sequences } : null;
  } catch {
    return null;
  }
}
