/**
 * What the campaign runs: a small pipeline that has every kind of step. Stations send readings; `scale` (stateless)
 * spreads them over sensors; `tally` (windows), `hush` (timers) and `total` (another key) read the result.
 */
import { compose } from '#pipeline/aggregates/compose.ts';
import { count } from '#pipeline/aggregates/count.ts';
import { sum } from '#pipeline/aggregates/sum.ts';
import {
  defineProcessor,
  type InputRecord,
  keyed,
  type ProcessContext,
  rekeyed,
} from '#pipeline/processor.ts';
import { buildGraph, type TaskId } from '#pipeline/runtime/graph.ts';
import { keyValue } from '#pipeline/state/key-value.ts';
import { logTimer } from '#pipeline/state/timer.ts';
import { tumbling } from '#pipeline/windows/shapes.ts';
import { windows } from '#pipeline/windows/windows.ts';
import { NAMESPACE, timestampMs, type ValueOf } from '#schemas/avro.ts';
import { dlq, planTopic, type Topic } from '#schemas/topics.ts';

const reading = {
  type: 'record',
  name: 'Reading',
  namespace: NAMESPACE,
  fields: [
    { name: 'number', type: 'long', doc: 'dense over the whole input' },
    { name: 'sensor', type: 'string' },
    { name: 'value', type: 'long' },
    { name: 'eventTimeMs', type: timestampMs },
  ],
} as const;
export type Reading = ValueOf<typeof reading>;

const tally = {
  type: 'record',
  name: 'Tally',
  namespace: NAMESPACE,
  fields: [
    { name: 'startMs', type: timestampMs },
    { name: 'count', type: 'long', doc: '0: a reading that was late' },
    { name: 'sum', type: 'long' },
  ],
} as const;

const hushed = {
  type: 'record',
  name: 'Hushed',
  namespace: NAMESPACE,
  fields: [{ name: 'readings', type: 'long', doc: 'of the sensor since it last fell silent' }],
} as const;

const running = {
  type: 'record',
  name: 'Running',
  namespace: NAMESPACE,
  fields: [
    { name: 'number', type: 'long', doc: 'of the last reading' },
    { name: 'count', type: 'long' },
    { name: 'sum', type: 'long' },
  ],
} as const;

export const STATIONS = 8;
export const WINDOW_MS = 5_000;
export const GRACE_MS = 1_000;
export const SILENCE_MS = 700;

export const readings: Topic<typeof reading> = {
  ...{ name: 'readings', layer: 'raw', key: 'station', schema: reading, partitions: 2 },
};
const derived = <const S extends Topic['schema']>(name: string, key: string, schema: S): Topic<S> => ({
  ...{ name, layer: 'derived', key, schema, partitions: 3 },
});
const scaled = derived('scaled', 'sensor', reading);
const tallies = derived('tallies', 'sensor', tally);
const hushes = derived('hushes', 'sensor', hushed);
const totals = derived('totals', 'group', running);

/** Sensors of one letter are a group. */
const groupOf = (sensor: string): string => sensor.slice(0, 1);

const scale = defineProcessor({
  name: 'scale',
  summary: 'three times the value, under the key of the sensor',
  inputs: [
    keyed(readings, ({ value }: InputRecord<Reading>, { emit }: ProcessContext) => {
      if (value !== null) emit(scaled, value.sensor, { ...value, value: 3n * value.value });
    }),
  ],
  outputs: [scaled],
});

const windowStores = {
  sums: windows({
    of: { window: tumbling({ sizeMs: WINDOW_MS }) },
    aggregate: compose({ count: count(), sum: sum((value: bigint) => value) }),
    graceMs: GRACE_MS,
    emit: 'on-close',
    close: { by: 'event-time' },
    late: ({ key, startMs, input }, { emit }) => emit(tallies, key, { startMs, count: 0n, sum: input }),
    changed: ({ key, startMs, result }, { emit }) => {
      if (result === null) return;
      emit(tallies, key, { startMs, count: BigInt(result.count), sum: BigInt(result.sum) });
    },
  }),
};

const tallying = defineProcessor({
  name: 'tally',
  summary: 'count and sum of each sensor in windows of event time',
  stores: windowStores,
  inputs: [
    keyed(scaled, ({ key, value, eventTimeMs }, { stores }: ProcessContext<typeof windowStores>) => {
      if (value !== null) stores.sums.add(key, eventTimeMs, value.value);
    }),
  ],
  outputs: [tallies],
});

const hushStores = { since: keyValue<string>(), silence: logTimer() };

const hushing = defineProcessor({
  name: 'hush',
  summary: 'says when a sensor has been silent for a while of log time',
  stores: hushStores,
  inputs: [
    keyed(scaled, ({ key, logTimeMs }, { stores }: ProcessContext<typeof hushStores>) => {
      stores.since.put(key, String(BigInt(stores.since.get(key) ?? '0') + 1n));
      stores.silence.set(key, logTimeMs + SILENCE_MS);
    }),
  ],
  onTimer: {
    silence: ({ key }, { stores, emit }) => {
      emit(hushes, key, { readings: BigInt(stores.since.get(key) ?? '0') });
      stores.since.delete(key);
    },
  },
  outputs: [hushes],
});

const totalStores = { sums: keyValue<readonly [count: string, sum: string]>() };

const totalling = defineProcessor({
  name: 'total',
  summary: 'running count and sum of each group of sensors',
  stores: totalStores,
  inputs: [
    rekeyed(
      scaled,
      ({ sensor }) => groupOf(sensor),
      ({ key, value }, { stores, emit }: ProcessContext<typeof totalStores>) => {
        if (value === null) return;
        const [count, sum] = stores.sums.get(key) ?? ['0', '0'];
        const after = { count: BigInt(count) + 1n, sum: BigInt(sum) + value.value };
        stores.sums.put(key, [String(after.count), String(after.sum)]);
        emit(totals, key, { number: value.number, ...after });
      },
    ),
  ],
  outputs: [totals],
});

export const graph = buildGraph({
  processors: [scale, tallying, hushing, totalling],
  planTopic,
  dlqTopic: dlq,
});

/** Task `i` of the graph belongs to share `i % shares`. */
export function isOfShare(task: TaskId, share: number, shares: number): boolean {
  const index = graph
    .tasks()
    .findIndex(
      ({ subTopology, partition }) => subTopology === task.subTopology && partition === task.partition,
    );
  return index % shares === share;
}
