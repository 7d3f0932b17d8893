/** Counts and measures by the names of `metric-list.ts`. Read by the live summary and the report; prom-client prints them. */
import { AggregatorRegistry, Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import {
  type CounterName,
  type GaugeName,
  type HistogramName,
  METRICS,
  type MetricDeclaration,
  type MetricLabels,
} from './metric-list.ts';

export type { CounterName, GaugeName, HistogramName } from './metric-list.ts';

/** Sets a gauge for one set of label values. */
export type SetGauge = <N extends GaugeName>(name: N, labels: MetricLabels<N>, value: number) => void;

/** All that was counted and measured, in plain values that can go from thread to thread. */
export type MetricSamples = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

export interface Metrics {
  /** Cheap enough for each record. */
  add<N extends CounterName>(name: N, labels: MetricLabels<N>, count?: number): void;
  /** For turns, batches and checkpoints, not for each record. */
  observe<N extends HistogramName>(name: N, labels: MetricLabels<N>, value: number): void;
  /** Monotonic milliseconds with fractions, to measure durations with. Nothing that is emitted or stored may hang on it. */
  timeMs(): number;
  /** Asked for its gauges before each rendering, so that nothing is measured for nobody. Returns how to end it. */
  sample(sampler: (set: SetGauge) => void | Promise<void>): () => void;
  /** Sum over all label values that match, with what is included. */
  total(name: CounterName, match?: Readonly<Record<string, string>>): Promise<number>;
  /** What is counted and measured here alone. */
  samples(): Promise<MetricSamples>;
  /**
   * Adds what is counted elsewhere, as in the threads of this process: from now on totals and text hold the sum, for counters,
   * buckets of histograms and gauges of the same labels. Returns how to end it.
   */
  include(others: () => Promise<readonly MetricSamples[]>): () => void;
  /** Prometheus text, with what is included. */
  render(): Promise<string>;
}

const PREFIX = 'baleen_';

type Labels = Readonly<Record<string, string>>;
interface Total {
  readonly labels: Labels;
  value: number;
}

/** `hasProcess`: with memory, processor time and event loop of this process, by the usual names `process_` and `nodejs_`. */
export function createMetrics(options: { readonly hasProcess?: boolean } = {}): Metrics {
  const registry = new Registry();
  // Apart, for these are of the process: nothing is added to them.
  const ofProcess = new Registry();
  if (options.hasProcess === true) collectDefaultMetrics({ register: ofProcess });
  const totals = new Map<string, Map<string, Total>>();
  const gauges = new Map<string, Gauge>();
  const histograms = new Map<string, Histogram>();
  for (const [name, declaration] of Object.entries<MetricDeclaration>(METRICS)) {
    const { kind, unit, meaning, labels, buckets = [] } = declaration;
    const shown = {
      name: `${PREFIX}${name}`,
      help: `${unit}: ${meaning}`,
      labelNames: [...labels],
      registers: [registry],
    };
    if (kind === 'gauge') gauges.set(name, new Gauge(shown));
    else if (kind === 'histogram') histograms.set(name, new Histogram({ ...shown, buckets: [...buckets] }));
    else {
      const values = new Map<string, Total>();
      totals.set(name, values);
      new Counter({
        ...shown,
        collect() {
          this.reset();
          for (const { labels: given, value } of values.values()) this.inc(given, value);
        },
      });
    }
  }
  const samplers = new Set<(set: SetGauge) => void | Promise<void>>();
  const set: SetGauge = (name, labels, value) => gauges.get(name)?.set(labels, value);
  const measure = async (): Promise<MetricSamples> => {
    // A label value that is gone, such as a writer that nobody waits for any more, must not stay.
    for (const gauge of gauges.values()) gauge.reset();
    await Promise.all([...samplers].map((sampler) => sampler(set)));
    return registry.getMetricsAsJSON();
  };
  // Two at once would reset what the other has set.
  let measured: Promise<unknown> = Promise.resolve();
  const samples = (): Promise<MetricSamples> => {
    const taken = measured.then(measure);
    measured = taken.catch(() => {});
    return taken;
  };
  const included = new Set<() => Promise<readonly MetricSamples[]>>();
  const elsewhere = async (): Promise<readonly MetricSamples[]> =>
    (await Promise.all([...included].map((others) => others()))).flat();
  return {
    add: (name, labels, count = 1) => {
      const values = totals.get(name);
      if (values === undefined) return;
      const key = keyOf(METRICS[name].labels, labels);
      const total = values.get(key);
      if (total === undefined) values.set(key, { labels, value: count });
      else total.value += count;
    },
    observe: (name, labels, value) => histograms.get(name)?.observe(labels, value),
    timeMs: () => performance.now(),
    sample: (sampler) => {
      samplers.add(sampler);
      return () => samplers.delete(sampler);
    },
    total: async (name, match = {}) => {
      const here = [...(totals.get(name)?.values() ?? [])];
      const there = (await elsewhere())
        .flat()
        .filter((metric) => metric.name === `${PREFIX}${name}`)
        .flatMap(({ values }) => values);
      const wanted = Object.entries(match);
      return [...here, ...there]
        .filter(({ labels }) => wanted.every(([key, wish]) => labels[key] === wish))
        .reduce((sum, { value }) => sum + value, 0);
    },
    samples,
    include: (others) => {
      included.add(others);
      return () => included.delete(others);
    },
    render: async () => {
      const [own, others] = await Promise.all([samples(), elsewhere()]);
      // Every metric of ours is added up where labels are the same: prom-client's default.
      const text = await AggregatorRegistry.aggregate([own, ...others]).metrics();
      return options.hasProcess === true ? `${await ofProcess.metrics()}\n${text}` : text;
    },
  };
}

/** Counts nothing. */
export const silentMetrics: Metrics = {
  add: () => {},
  observe: () => {},
  timeMs: () => 0,
  sample: () => () => {},
  total: async () => 0,
  samples: async () => [],
  include: () => () => {},
  render: async () => '',
};

/** Label values in declared order. One label needs no new text. */
function keyOf(names: readonly string[], labels: Labels): string {
  let key: string | null = null;
  for (const name of names) {
    const value = labels[name] ?? '';
    key = key === null ? value : `${key}\u0000${value}`;
  }
  return key ?? '';
}
