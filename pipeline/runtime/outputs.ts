/** What a task writes: encoded in the fold, numbered without holes, handed over in order once its input is folded. */
import { PipelineError } from '#pipeline/errors.ts';
import type { Entry, Headers, Producer } from '#pipeline/kafka/types.ts';
import type { Handed } from '#pipeline/merge/handover.ts';
import { createPositions, nextDigest, POSITION_HEADER, writerName } from '#pipeline/merge/position.ts';
import type { Topic } from '#schemas/topics.ts';
import type { TaskId } from './graph.ts';
import type { HopRoute } from './hop.ts';
import { partitionOf } from './partitioner.ts';

/** Last record written to a destination. */
export interface Destination {
  sequence: number;
  digest: number;
}

export interface OutputRecord {
  readonly topic: Topic;
  readonly key: Buffer;
  readonly value: Buffer;
  readonly logTimeMs: number;
  /** After the position; default none. */
  readonly headers?: Headers;
}

export interface Outputs {
  /** Throws VALUE_TOO_LARGE before a sequence is given: after that nothing could be skipped. */
  checkSize(topic: Topic, key: Buffer, value: Buffer): void;
  /** Gives the record its position. */
  write(record: OutputRecord): Placed;
  /** `topic/partition/writer:sequence` */
  placeOf(placed: Placed): string;
  /** Hands what was written to the producer, or takes it back as if it had never been. */
  flush(): void;
  rollback(): void;
  /** Tells readers that nothing before `logTimeMs` follows. Written after what it covers. */
  tick(logTimeMs: number): void;
  /** `topic/partition` -> last record, by logical topic name. */
  readonly destinations: ReadonlyMap<string, Destination>;
  /** Logical topic -> records handed over since the last call. */
  takeCounts(): ReadonlyMap<string, number>;
}

/** Where a record was put. */
export interface Placed {
  /** `topic/partition`, by logical topic name. */
  readonly name: string;
  readonly partition: number;
  readonly sequence: number;
}

/** A partition that this task writes to. */
interface Target {
  readonly name: string;
  readonly topic: Topic;
  /** Physical name of the topic. */
  readonly physical: string;
  readonly partition: number;
  readonly last: Destination;
}

/** Kafka's own limit counts the batch around the record; headers and framing fit in the difference. */
const FRAME_BYTES = 1024;

interface Written extends Handed, Placed {
  readonly target: Target;
}

export function createOutputs(options: {
  task: TaskId;
  epoch: number;
  controlTopic: string;
  maxRecordBytes: number;
  producer: Pick<Producer, 'append'>;
  destinations: ReadonlyMap<string, Destination>;
  physicalName: (topic: string) => string;
  /** To readers in this process; default none. */
  route?: Pick<HopRoute, 'give'> | undefined;
}): Outputs {
  const { task, epoch, producer, physicalName, route } = options;
  const controlTopic = physicalName(options.controlTopic);
  const writer = writerName(task.subTopology, task.partition);
  const destinations = new Map([...options.destinations].map(([name, last]) => [name, { ...last }]));
  const positionOf = createPositions(writer, epoch);
  /** Logical topic -> by partition. */
  const targets = new Map<string, (Target | undefined)[]>();
  let written: Written[] = [];
  let counts = new Map<string, number>();

  const createTarget = (topic: Topic, partition: number): Target => {
    const name = `${topic.name}/${partition}`;
    const last = destinations.get(name) ?? { sequence: 0, digest: 0 };
    destinations.set(name, last);
    return { name, topic, physical: physicalName(topic.name), partition, last };
  };
  const targetOf = (topic: Topic, partition: number): Target => {
    let ofTopic = targets.get(topic.name);
    if (ofTopic === undefined) {
      ofTopic = [];
      targets.set(topic.name, ofTopic);
    }
    ofTopic[partition] ??= createTarget(topic, partition);
    return ofTopic[partition];
  };

  return {
    destinations,
    placeOf: ({ name, sequence }) => `${name}/${writer}:${sequence}`,
    takeCounts: () => {
      const taken = counts;
      if (taken.size > 0) counts = new Map();
      return taken;
    },
    checkSize: (topic, key, value) => {
      const bytes = key.length + value.length + FRAME_BYTES;
      if (bytes <= options.maxRecordBytes) return;
      throw new PipelineError(
        'VALUE_TOO_LARGE',
        `${topic.name}: expected at most ${options.maxRecordBytes} bytes, found ${bytes}`,
      );
    },
    write: ({ topic, key, value, logTimeMs, headers }) => {
      const target = targetOf(topic, partitionOf(key, topic.partitions));
      const { name, partition, last } = target;
      const digestBefore = last.digest;
      last.sequence += 1;
      last.digest = nextDigest(digestBefore, logTimeMs, key, value);
      const { sequence, digest } = last;
      const position = [POSITION_HEADER, positionOf(sequence, digestBefore)] as const;
      const entry: Entry = {
        timestampMs: logTimeMs,
        key,
        value,
        headers: headers === undefined ? [position] : [position, ...headers],
      };
      const placed = { name, partition, sequence, target, entry, epoch, digestBefore, digest };
      written.push(placed);
      return placed;
    },
    flush: () => {
      if (written.length === 0) return;
      for (const record of written) {
        const { topic, physical, partition } = record.target;
        producer.append(physical, partition, record.entry);
        // After the producer has it: a checkpoint waits for what the producer has.
        route?.give(record.name, record);
        counts.set(topic.name, (counts.get(topic.name) ?? 0) + 1);
      }
      written = [];
    },
    rollback: () => {
      for (const { target, digestBefore } of written.reverse()) {
        target.last.sequence -= 1;
        target.last.digest = digestBefore;
      }
      written = [];
    },
    tick: (logTimeMs) => {
      const sequences: Record<string, number> = {};
      for (const [name, { sequence }] of destinations) if (sequence > 0) sequences[name] = sequence;
      producer.append(controlTopic, 0, {
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
