/** A connector context without Kafka: topics are arrays in memory. */
import type { RecordSchema, ValueOf } from '#schemas/avro.ts';
import type { Topic } from '#schemas/topics.ts';
import { type Clock, systemClock } from '../clock.ts';
import type { ConnectorContext, StoredRecord } from '../rooms.ts';
import type { Log, LogFields } from '../telemetry/log.ts';
import { createMetrics } from '../telemetry/metrics.ts';

export interface LogLine {
  readonly level: 'error' | 'warn' | 'info' | 'debug';
  readonly message: string;
  readonly fields: LogFields;
}

export interface MemoryConnectorContext {
  readonly context: ConnectorContext;
  /** Everything emitted to the topic so far, in order; offsets are positions in this array. */
  records<S extends RecordSchema>(topic: Topic<S>): readonly StoredRecord<ValueOf<S>>[];
  /** Everything logged so far. */
  readonly lines: readonly LogLine[];
  /** While false, `writable` waits: Kafka is behind. */
  setWritable(isWritable: boolean): void;
}

/**
 * Topics in memory for a connector under test. An emit is stored at once and acknowledged on a later turn of the
 * event loop. Hand the same context to a second connector to restart it on what the first one left.
 */
export function memoryConnectorContext(options: { clock?: Clock } = {}): MemoryConnectorContext {
  const clock = options.clock ?? systemClock;
  const topics = new Map<string, unknown[]>();
  const lines: LogLine[] = [];
  let room = Promise.resolve();
  let makeRoom: (() => void) | null = null;

  const records = <S extends RecordSchema>(topic: Topic<S>): StoredRecord<ValueOf<S>>[] => {
    const stored = topics.get(topic.name) ?? [];
    topics.set(topic.name, stored);
    // The array of a topic is filled by `emit` of that topic alone, so its values have the topic's type.
    return stored as StoredRecord<ValueOf<S>>[];
  };

  const context: ConnectorContext = {
    clock,
    log: recordingLog(lines),
    metrics: createMetrics(),
    async emit(topic, key, value) {
      const stored = records(topic);
      stored.push({ partition: 0, offset: stored.length, key, value });
      await new Promise((resolve) => setImmediate(resolve));
    },
    writable: () => room,
    async *read(topic) {
      yield* [...records(topic)];
    },
  };

  return {
    context,
    records,
    lines,
    setWritable(isWritable) {
      if (isWritable) {
        makeRoom?.();
        makeRoom = null;
      } else if (makeRoom === null) {
        room = new Promise((resolve) => {
          makeRoom = resolve;
        });
      }
    },
  };
}

const recordingLog = (lines: LogLine[], component?: string): Log => {
  const at =
    (level: LogLine['level']) =>
    (message: string, fields: LogFields = {}): void => {
      lines.push({ level, message, fields: component === undefined ? fields : { component, ...fields } });
    };
  return {
    error: at('error'),
    warn: at('warn'),
    info: at('info'),
    debug: at('debug'),
    for: (name) => recordingLog(lines, name),
  };
};
