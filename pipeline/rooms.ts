/** The contracts of connectors and sinks; that of processors is `processor.ts`. `ops/architecture.md` shows how they meet. */
import type { z } from 'zod';
import type { RecordSchema, ValueOf } from '#schemas/avro.ts';
import type { Topic } from '#schemas/topics.ts';
import type { Clock } from './clock.ts';
import type { Log } from './telemetry/log.ts';
import type { Metrics } from './telemetry/metrics.ts';

/** What every room is handed. */
export interface RoomContext {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

// ---- Connectors: outside world -> topics

/** A decoded record read back from a topic. `value` is null for a tombstone. Ticks are never shown. */
export interface StoredRecord<V> {
  readonly partition: number;
  readonly offset: number;
  readonly key: string;
  readonly value: V | null;
}

export interface ConnectorContext extends RoomContext {
  /** Appends a record; resolves once Kafka has acknowledged it. Records of one key keep their order. */
  emit<S extends RecordSchema>(topic: Topic<S>, key: string, value: ValueOf<S> | null): Promise<void>;
  /** Resolves when there is room for more: await it before taking the next input from outside. */
  writable(): Promise<void>;
  /** Reads a topic from its start to its present end. */
  read<S extends RecordSchema>(topic: Topic<S>): AsyncIterable<StoredRecord<ValueOf<S>>>;
}

export interface ConnectorStatus {
  /** Everything received so far is acknowledged by Kafka, and nothing known of is waiting to be fetched. */
  readonly isIdle: boolean;
  /** One line for people. No secrets. */
  readonly detail: string;
  /** Where it listens, when it does; printable. */
  readonly url?: string;
}

export interface Connector {
  /** Can it work? Only calls that `run` makes too. Throws PROVIDER_REFUSED or PROVIDER_UNAVAILABLE. */
  check(signal: AbortSignal): Promise<void>;
  /**
   * Runs until aborted, then resolves when everything emitted is acknowledged. A finite connector (files) also
   * resolves when it has read all. Survives a provider that goes away: reconnects with backoff, says so, catches up.
   */
  run(signal: AbortSignal): Promise<void>;
  status(): ConnectorStatus;
}

export interface ConnectorDefinition<C extends z.ZodType = z.ZodType> {
  /** Equals the folder name. */
  readonly name: string;
  /** One sentence for people. */
  readonly summary: string;
  readonly config: C;
  readonly outputs: readonly Topic[];
  /** `run` ends by itself, and the others wait for it: facts come first. */
  readonly isFinite: boolean;
  create(config: z.infer<C>, context: ConnectorContext): Connector;
}

export const defineConnector = <C extends z.ZodType>(
  definition: ConnectorDefinition<C>,
): ConnectorDefinition<C> => definition;

// ---- Sinks: topics -> outside world

export interface SinkRecord<V = unknown> {
  readonly topic: Topic;
  readonly partition: number;
  readonly offset: number;
  readonly key: string;
  readonly value: V;
  readonly logTimeMs: number;
  readonly writer: string;
  readonly sequence: number;
}

/** How far one writer of one partition has been taken out. */
export interface WriterPosition {
  readonly topic: string;
  readonly partition: number;
  readonly writer: string;
  readonly sequence: number;
  /** Digest of that record, 8 hex digits. */
  readonly digest: string;
}

export interface SinkBatch {
  /** No duplicates, no gaps; per writer in order of sequence. */
  readonly records: readonly SinkRecord[];
  /** What must still hold when the batch is made durable (compare and set); sequence 0 when there is none yet. */
  readonly before: readonly WriterPosition[];
  readonly after: readonly WriterPosition[];
  /** Next offset to read, for each partition in the batch. */
  readonly resume: readonly {
    readonly topic: string;
    readonly partition: number;
    readonly nextOffset: number;
  }[];
}

export interface SinkState {
  readonly positions: readonly WriterPosition[];
  readonly resume: readonly {
    readonly topic: string;
    readonly partition: number;
    readonly nextOffset: number;
  }[];
}

export interface Sink {
  /** Can it work? Prepares what it needs outside (tables, a port). */
  check(signal: AbortSignal): Promise<void>;
  /** What was made durable so far; `null`: this sink keeps nothing and starts at the end of its topics. */
  load(): Promise<SinkState | null>;
  /**
   * Makes a batch durable, together with its positions, or changes nothing. Throws SINK_UNAVAILABLE (try again),
   * SINK_STALE (somebody else moved the positions: load again) or SINK_REFUSED (stop).
   */
  write(batch: SinkBatch): Promise<void>;
  close(): Promise<void>;
  /** One line for people, and where it listens, if it does. */
  status(): { readonly detail: string; readonly url?: string };
}

export interface SinkContext extends RoomContext {
  /** Reads a topic from its start to its present end, for clients that ask for the past. Duplicates are dropped. */
  read<S extends RecordSchema>(topic: Topic<S>): AsyncIterable<SinkRecord<ValueOf<S>>>;
}

export interface SinkDefinition<C extends z.ZodType = z.ZodType> {
  readonly name: string;
  readonly summary: string;
  readonly config: C;
  readonly inputs: readonly Topic[];
  create(config: z.infer<C>, context: SinkContext): Sink;
}

export const defineSink = <C extends z.ZodType>(definition: SinkDefinition<C>): SinkDefinition<C> =>
  definition;
