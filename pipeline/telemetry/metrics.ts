/** Counters, each declared once with its meaning. Read by the live summary and the report; prom-client exports them. */
import { Counter, Registry } from 'prom-client';

/** Name -> [meaning, labels]. Counters end in `_total`; labels are bounded sets. */
export const COUNTERS = {
  connector_records_total: ['records acknowledged by Kafka', ['connector']],
  connector_refused_total: ['inputs refused at the door, by reason', ['connector', 'reason']],
  connector_reconnects_total: ['connections opened again', ['connector']],
  task_records_total: ['records folded', ['subtopology']],
  task_outputs_total: ['records written', ['topic']],
  duplicates_dropped_total: ['records dropped because they were seen before', ['where']],
  gaps_total: ['losses detected', ['where']],
  dead_letters_total: ['records put aside', ['component', 'code']],
  ticks_total: ['control records appended', ['kind']],
  checkpoints_total: ['checkpoints committed', ['subtopology']],
  produce_retries_total: ['partitions sent again', []],
  sink_records_total: ['records made durable outside', ['sink']],
  sink_retries_total: ['writes tried again', ['sink']],
} as const satisfies Record<string, readonly [string, readonly string[]]>;

export type CounterName = keyof typeof COUNTERS;
export type CounterLabels<N extends CounterName> = Readonly<Record<(typeof COUNTERS)[N][1][number], string>>;

export interface Metrics {
  add<N extends CounterName>(name: N, labels: CounterLabels<N>, count?: number): void;
  /** Sum over all label values that match. */
  total(name: CounterName, match?: Readonly<Record<string, string>>): Promise<number>;
  /** Prometheus text. */
  render(): Promise<string>;
}

export function createMetrics(): Metrics {
  const registry = new Registry();
  const counters = new Map<string, Counter>();
  for (const [name, [help, labelNames]] of Object.entries(COUNTERS)) {
    counters.set(
      name,
      new Counter({ name: `baleen_${name}`, help, labelNames: [...labelNames], registers: [registry] }),
    );
  }
  return {
    add: (name, labels, count = 1) => counters.get(name)?.inc(labels, count),
    total: async (name, match = {}) => {
      const values = (await counters.get(name)?.get())?.values ?? [];
      const wanted = Object.entries(match);
      return values
        .filter(({ labels }) => wanted.every(([key, value]) => labels[key] === value))
        .reduce((sum, { value }) => sum + value, 0);
    },
    render: () => registry.metrics(),
  };
}
