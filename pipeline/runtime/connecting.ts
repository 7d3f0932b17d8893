/** Runs connectors: finite ones first (facts), then the others until they are stopped. */
import { backoffMs, type Clock, untilAborted } from '#pipeline/clock.ts';
import { isPipelineError, messageOf, PipelineError } from '#pipeline/errors.ts';
import type { Kafka, Producer } from '#pipeline/kafka/types.ts';
import { isTick } from '#pipeline/merge/position.ts';
import type { Connector, ConnectorContext, ConnectorDefinition, StoredRecord } from '#pipeline/rooms.ts';
import type { Serde } from '#pipeline/serde/serde.ts';
import type { Log } from '#pipeline/telemetry/log.ts';
import type { Metrics } from '#pipeline/telemetry/metrics.ts';
import type { RecordSchema, ValueOf } from '#schemas/avro.ts';
import type { Topic } from '#schemas/topics.ts';
import { partitionOf } from './partitioner.ts';
import { readToEnd } from './read-topic.ts';
import { MAX_RECORD_BYTES } from './topic-settings.ts';

/** Kafka's limit counts the batch around the record. */
const FRAME_BYTES = 1024;
/** Who stops waits no longer than this for Kafka to take what was received. */
const STOP_MS = 5_000;

export interface ConnectingOptions {
  /** Definition and its validated configuration. */
  readonly rooms: readonly { readonly definition: ConnectorDefinition; readonly config: unknown }[];
  readonly kafka: Kafka;
  readonly serde: Serde;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly physicalName: (topic: string) => string;
}

export interface Connecting {
  readonly connectors: ReadonlyMap<string, Connector>;
  readonly failed: Promise<Error>;
  /** Resolves when the finite connectors have ended and the others run. */
  readonly started: Promise<void>;
  /** Waits until Kafka has taken what was received, 5 s at most. */
  stop(): Promise<void>;
}

export function startConnecting(options: ConnectingOptions): Connecting {
  const { kafka, clock, log } = options;
  const stopping = new AbortController();
  const { promise: failed, resolve: fail } = Promise.withResolvers<Error>();
  const connectors = new Map<string, Connector>();
  const producers: Producer[] = [];
  for (const { definition, config } of options.rooms) {
    // One each: what waits for a partition that takes nothing fills the room of the connector that writes there, and no other's.
    const producer = kafka.producer({ compression: 'zstd', isIndependent: true });
    producers.push(producer);
    connectors.set(definition.name, definition.create(config, createContext(definition, producer, options)));
  }
  const finite = new Map(options.rooms.map(({ definition }) => [definition.name, definition.isFinite]));

  const runForever = async (name: string, connector: Connector): Promise<void> => {
    for (let attempt = 0; !stopping.signal.aborted; attempt += 1) {
      try {
        await connector.check(stopping.signal);
        await connector.run(stopping.signal);
        if (finite.get(name) === true) return;
        await clock.sleep(backoffMs(0), stopping.signal);
      } catch (error) {
        if (stopping.signal.aborted) return;
        if (!isPipelineError(error) || error.action !== 'retry') throw error;
        log.warn('connector does not reach its provider, trying again', {
          connector: name,
          error: messageOf(error),
        });
        await clock.sleep(backoffMs(attempt), stopping.signal);
      }
    }
  };

  const guarded = (work: Promise<unknown>): Promise<void> =>
    work.then(
      () => {},
      (error: unknown) => fail(error instanceof Error ? error : new Error(String(error))),
    );
  const select = (wanted: boolean) => [...connectors].filter(([name]) => finite.get(name) === wanted);
  let running: Promise<unknown> = Promise.resolve();
  const started = Promise.all(select(true).map(([name, connector]) => runForever(name, connector))).then(
    () => {
      running = Promise.all(select(false).map(([name, connector]) => guarded(runForever(name, connector))));
    },
  );
  const first = guarded(started);
  return {
    connectors,
    failed,
    started: first,
    stop: async () => {
      stopping.abort();
      const ended = first.then(() => running);
      const [inTime, tooLate] = [new AbortController(), new AbortController()];
      void clock.sleep(STOP_MS, inTime.signal).then(() => {
        if (inTime.signal.aborted) return;
        log.warn('Kafka does not take what was received: stopping without what no provider sends again');
        tooLate.abort();
      });
      await Promise.race([ended, untilAborted(tooLate.signal)]);
      await Promise.all(producers.map((producer) => producer.close(tooLate.signal)));
      await ended;
      inTime.abort();
    },
  };
}

function createContext(
  definition: ConnectorDefinition,
  producer: Producer,
  { kafka, serde, clock, log, metrics, physicalName }: ConnectingOptions,
): ConnectorContext {
  const { name, outputs } = definition;
  return {
    clock,
    metrics,
    log: log.for(name),
    writable: () => producer.writable(),
    emit: async (topic, key, value) => {
      if (!outputs.some((output) => output.name === topic.name)) {
        throw new PipelineError('INVARIANT_BROKEN', `${name} does not declare ${topic.name} as an output`);
      }
      const keyBytes = Buffer.from(key);
      const bytes = value === null ? null : serde.encode(topic, value);
      if ((bytes?.length ?? 0) + keyBytes.length + FRAME_BYTES > MAX_RECORD_BYTES) {
        throw new PipelineError(
          'VALUE_TOO_LARGE',
          `${name}: expected at most ${MAX_RECORD_BYTES} bytes for ${topic.name}, found ${bytes?.length}; lower the size limit of this connector`,
        );
      }
      await producer.send(physicalName(topic.name), partitionOf(keyBytes, topic.partitions), {
        timestampMs: clock.nowMs(),
        key: keyBytes,
        value: bytes,
        headers: [],
      });
    },
    read: (topic) => readStored(kafka, serde, topic, physicalName(topic.name)),
  };
}

async function* readStored<S extends RecordSchema>(
  kafka: Kafka,
  serde: Serde,
  topic: Topic<S>,
  physicalName: string,
): AsyncGenerator<StoredRecord<ValueOf<S>>> {
  for await (const { partition, record } of readToEnd(kafka, physicalName)) {
    if (isTick(record.headers)) continue;
    const place = { partition, offset: record.offset, key: record.key?.toString() ?? '' };
    if (record.value === null) yield { ...place, value: null };
    else yield { ...place, value: serde.decode(topic, record.value) };
  }
}
