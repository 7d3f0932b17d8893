/** Every metric, declared once: kind, unit, meaning and labels. `ops/metrics.md` lists them for people; a test compares. */

export interface MetricDeclaration {
  readonly kind: 'counter' | 'gauge' | 'histogram';
  /** What is counted or measured. */
  readonly unit: string;
  readonly meaning: string;
  /** Bounded sets: never keys of records. */
  readonly labels: readonly string[];
  /** Upper bounds; histograms only. */
  readonly buckets?: readonly number[];
}

const counter = <const L extends readonly string[]>(unit: string, meaning: string, labels: L) =>
  ({ kind: 'counter', unit, meaning, labels }) as const;
const gauge = <const L extends readonly string[]>(unit: string, meaning: string, labels: L) =>
  ({ kind: 'gauge', unit, meaning, labels }) as const;
const seconds = <const L extends readonly string[]>(buckets: readonly number[], meaning: string, labels: L) =>
  ({ kind: 'histogram', unit: 'seconds', meaning, labels, buckets }) as const;

/** A record takes microseconds; one with a database of receipts in it, milliseconds. */
const PER_RECORD = [1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 5e-2, 0.25];
/** An acknowledgement, a batch on a disk. */
const WRITES = [5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30];
/** From live to a backlog of hours. */
const DELAYS = [2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 3_600];

/** By name, without the prefix `baleen_`. Counters end in `_total`, everything else in its unit. */
export const METRICS = {
  connector_records_total: counter('records', 'acknowledged by Kafka', ['connector']),
  connector_refused_total: counter('inputs', 'refused at the door, by reason', ['connector', 'reason']),
  connector_reconnects_total: counter('connections', 'opened again', ['connector']),

  process_records_total: counter('records', 'folded, timers included', ['subtopology']),
  process_latency_seconds: seconds(
    PER_RECORD,
    'time to fold one record: the duration of a turn divided by its records, once for each turn',
    ['subtopology'],
  ),
  produced_records_total: counter('records', 'written by tasks', ['topic']),
  duplicates_dropped_total: counter('records', 'dropped because they were seen before', ['where']),
  hop_taken_records_total: counter('records', 'taken in memory from a task of the same process', [
    'subtopology',
  ]),
  hop_ignored_records_total: counter(
    'records',
    'handed over in memory and left to Kafka: known already, or no room',
    ['subtopology'],
  ),
  gaps_total: counter('losses', 'detected', ['where']),
  dead_letters_total: counter('records', 'put aside', ['component', 'code']),
  skips_total: counter('records', 'and timers passed over, as the plan says: they end the process', [
    'subtopology',
  ]),
  late_records_total: counter('records', 'that came after their window had closed', ['processor', 'store']),
  dropped_records_total: counter('records', 'that a store could not use', ['processor', 'store']),
  record_e2e_latency_seconds: seconds(
    DELAYS,
    'from the log time of an input to the acknowledgement of what was made of it; sampled: the last record of a turn',
    ['subtopology'],
  ),

  lag_records: gauge('records', 'in the inputs and not folded yet, as of the last fetch', ['subtopology']),
  buffered_records: gauge('records', 'that wait in the merge', ['subtopology']),
  buffered_bytes: gauge('bytes', 'that wait in the merge', ['subtopology']),
  merge_wait_seconds: gauge(
    'seconds',
    'for which a task has been waiting, and the writer or raw partition that must speak first',
    ['task', 'waits_for'],
  ),
  halted_tasks: gauge('tasks', 'that stay before a record, as its processor declares', ['subtopology']),
  ticks_total: counter('control records', 'appended', ['kind']),
  produce_retries_total: counter('partitions', 'sent again', []),

  commits_total: counter('checkpoints', 'written', ['subtopology']),
  commit_latency_seconds: seconds(WRITES, 'that a stage of a checkpoint took', ['subtopology', 'stage']),
  state_bytes: gauge('bytes', 'of the state on disk', ['task']),
  restore_remaining_records: gauge('records', 'of the changelog still to be read; absent when restored', [
    'task',
  ]),
  restored_entries_total: counter('entries', 'taken from changelogs', ['subtopology']),
  restored_bytes_total: counter('bytes', 'of packed writes taken from changelogs', ['subtopology']),
  state_rebuilds_total: counter('state folders', 'that were damaged and are made again', ['subtopology']),

  sink_records_total: counter('records', 'made durable outside', ['sink']),
  sink_retries_total: counter('writes', 'tried again', ['sink']),
  sink_buffered_records: gauge('records', 'read and not yet made durable outside', ['sink']),
  sink_latency_seconds: seconds(
    DELAYS,
    'from receipt by a connector to being durable outside; sampled: the first record of each topic in a batch',
    ['sink'],
  ),
} as const satisfies Record<string, MetricDeclaration>;

type NameOf<K extends MetricDeclaration['kind']> = {
  [N in keyof typeof METRICS]: (typeof METRICS)[N]['kind'] extends K ? N : never;
}[keyof typeof METRICS];

export type MetricName = keyof typeof METRICS;
export type CounterName = NameOf<'counter'>;
export type GaugeName = NameOf<'gauge'>;
export type HistogramName = NameOf<'histogram'>;
export type MetricLabels<N extends MetricName> = Readonly<
  Record<(typeof METRICS)[N]['labels'][number], string>
>;
