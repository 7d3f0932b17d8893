/** Counters that can be read without waiting. */
import { type CounterName, type Metrics, silentMetrics } from '#pipeline/telemetry/metrics.ts';

export interface Counts extends Metrics {
  /** Sum over all label values that match. */
  count(name: CounterName, match?: Readonly<Record<string, string>>): number;
}

export function createCounts(): Counts {
  /** By name and label values. */
  const totals = new Map<string, { name: string; labels: Readonly<Record<string, string>>; sum: number }>();
  const count: Counts['count'] = (name, match = {}) => {
    const wanted = Object.entries(match);
    let sum = 0;
    for (const total of totals.values()) {
      if (total.name === name && wanted.every(([label, value]) => total.labels[label] === value))
        sum += total.sum;
    }
    return sum;
  };
  return {
    ...silentMetrics,
    count,
    add: (name, labels, by = 1) => {
      const key = JSON.stringify([name, labels]);
      const total = totals.get(key);
      if (total === undefined) totals.set(key, { name, labels, sum: by });
      else total.sum += by;
    },
    total: async (name, match) => count(name, match),
  };
}
