/** The simulated topology on the public programming model. */
import { describeVersion } from '#pipeline/plan/description.ts';
import {
  broadcast,
  defineProcessor,
  type InputRecord,
  keyed,
  type ProcessContext,
  type ProcessorDefinition,
  type StoreDeclarations,
  type TimerHandler,
} from '#pipeline/processor.ts';
import { buildGraph, type Graph } from '#pipeline/runtime/graph.ts';
import { localSerde } from '#pipeline/serde/serde.ts';
import { keyValue } from '#pipeline/state/key-value.ts';
import { jsonCodec } from '#pipeline/state/store.ts';
import { eventTimer, logTimer } from '#pipeline/state/timer.ts';
import { hopping, tumbling } from '#pipeline/windows/shapes.ts';
import { windows } from '#pipeline/windows/windows.ts';
import { NAMESPACE, timestampMs } from '#schemas/avro.ts';
import { deadLetter } from '#schemas/dead-letter.ts';
import { plan } from '#schemas/plan.ts';
import type { Layer, Topic } from '#schemas/topics.ts';
import {
  ADMITTED_MS,
  addToTotal,
  type Cell,
  CLOSE_DELAY_MS,
  expand,
  expire,
  GRACE_MS,
  gather,
  learn,
  type Moment,
  normalize,
  settle,
  type Tools,
  type Total,
  tally,
  type Value,
  WINDOWS,
  windowValue,
} from './logic.ts';

export const valueSchema = {
  type: 'record',
  name: 'SimulatedValue',
  namespace: NAMESPACE,
  fields: [
    { name: 'kind', type: 'string' },
    { name: 'number', type: 'int' },
    { name: 'hash', type: 'int' },
    { name: 'eventTimeMs', type: timestampMs },
  ],
} as const;

const topic = (name: string, layer: Layer, partitions: number): Topic<typeof valueSchema> => ({
  name,
  layer,
  key: 'number',
  schema: valueSchema,
  partitions,
});

export const planTopic: Topic<typeof plan> = {
  name: 'plan',
  layer: 'plan',
  key: 'kind',
  schema: plan,
  partitions: 1,
};
export const a = topic('a', 'raw', 2);
export const b = topic('b', 'raw', 1);
export const facts = topic('facts', 'fact', 1);
const derived = {
  mid: topic('mid', 'derived', 2),
  dev: topic('dev', 'derived', 2),
  fin: topic('fin', 'derived', 2),
  out: topic('out', 'derived', 2),
  win: topic('win', 'derived', 2),
};
export const { mid, dev, fin, out, win } = derived;
export const dlq: Topic<typeof deadLetter> = {
  name: 'dlq',
  layer: 'derived',
  key: 'origin',
  schema: deadLetter,
  partitions: 1,
};

const kept = { cells: keyValue<Cell>(), facts: keyValue<number>(), eventTimer: eventTimer() };
const admitted = () => keyValue<number>({ retentionMs: ADMITTED_MS });
type StoreTools = Omit<Tools, 'emit' | 'version'>;
type Record = InputRecord<Value>;

const counting = {
  totals: windows<Value, Total, Total, 'hop' | 'tumble'>({
    of: { hop: hopping(WINDOWS.hop), tumble: tumbling(WINDOWS.tumble) },
    aggregate: {
      name: 'total',
      zero: [0, 0],
      add: addToTotal,
      merge: ([a, x], [b, y]) => [a + b, (x + y) % 2 ** 30],
      remove: null,
      result: (total) => total,
      codec: jsonCodec(),
    },
    graceMs: GRACE_MS,
    emit: 'on-close',
    close: { by: 'either', delayMs: CLOSE_DELAY_MS },
    changed: ({ name, key, startMs, result }, context) => {
      if (result !== null) context.emit(win, key, windowValue(name, startMs, result));
    },
  }),
};

/** Processors of one version over its stores. */
function declare<Stores extends StoreDeclarations>(options: {
  version: number;
  stores: Stores;
  toolsOf: (stores: ProcessContext<Stores>['stores']) => StoreTools;
  onLog: (fire: TimerHandler<Stores>) => ProcessorDefinition<Stores>['onTimer'];
  onEvent: (fire: TimerHandler<Stores>) => ProcessorDefinition<Stores>['onTimer'];
}): readonly ProcessorDefinition[] {
  const { version, stores } = options;
  const toolsOf = (context: ProcessContext<Stores>): Tools => ({
    ...options.toolsOf(context.stores),
    version,
    emit: (name, key, value) => context.emit(derived[name], key, value),
  });
  const handle =
    (name: string, logic: (value: Value, moment: Moment, tools: Tools) => void) =>
    ({ key, value, logTimeMs }: Record, context: ProcessContext<Stores>): void => {
      if (value !== null) logic(value, { topic: name, key, logTimeMs }, toolsOf(context));
    };
  const handleTimer =
    (logic: (moment: Moment & { readonly atMs: number }, tools: Tools) => void): TimerHandler<Stores> =>
    ({ key, atMs }, context) =>
      logic({ topic: '', key, atMs, logTimeMs: context.logTimeMs }, toolsOf(context));
  const learning = broadcast(facts, handle('facts', learn));
  return [
    defineProcessor({
      name: 'na',
      summary: 'normalizes a',
      stores,
      inputs: [keyed(a, handle('a', normalize)), learning],
      outputs: [mid],
    }),
    defineProcessor({
      name: version === 1 ? 'nb' : 'nc',
      summary: 'normalizes b',
      stores,
      inputs: [keyed(b, handle('b', normalize)), learning],
      outputs: [mid],
    }),
    defineProcessor({
      name: 'e',
      summary: 'expands, with log timers',
      stores,
      inputs: [keyed(mid, handle('mid', expand)), learning],
      outputs: [dev],
      onTimer: options.onLog(handleTimer(expire)),
    }),
    defineProcessor({
      name: 's',
      summary: 'gathers a diamond, with event timers and a retention',
      stores,
      keepsKey: true,
      inputs: [
        keyed(mid, handle('mid', gather)),
        keyed(dev, handle('dev', gather)),
        ...(version === 1 ? [] : [learning]),
      ],
      outputs: [fin],
      onTimer: options.onEvent(handleTimer(settle)),
    }),
    defineProcessor({
      name: 't',
      summary: 'tallies in the task of s',
      stores,
      keepsKey: true,
      inputs: [keyed(fin, handle('fin', tally))],
      outputs: [out],
    }),
    defineProcessor({
      name: 'w',
      summary: 'sums over windows, in the task of s and t',
      stores: counting,
      inputs: [
        keyed(out, ({ key, eventTimeMs, value }: Record, { stores }: ProcessContext<typeof counting>) => {
          if (value !== null) stores.totals.add(key, eventTimeMs, value);
        }),
      ],
      outputs: [win],
    }),
  ];
}

const graphOf = (processors: readonly ProcessorDefinition[]): Graph =>
  buildGraph({ processors, planTopic, dlqTopic: dlq });

/** Of version 1 and of version 2. */
export const graphs = [
  graphOf(
    declare({
      version: 1,
      stores: { ...kept, admitted: admitted(), logTimer: logTimer() },
      toolsOf: (stores) => stores,
      onLog: (fire) => ({ logTimer: fire }),
      onEvent: (fire) => ({ eventTimer: fire }),
    }),
  ),
  graphOf(
    declare({
      version: 2,
      stores: { ...kept, again: admitted(), later: logTimer() },
      toolsOf: ({ again, later, ...stores }) => ({ ...stores, admitted: again, logTimer: later }),
      onLog: (fire) => ({ later: fire }),
      onEvent: (fire) => ({ eventTimer: fire }),
    }),
  ),
] as const;
export const descriptions = await Promise.all(graphs.map((graph) => describeVersion({ graph, folders: [] })));
export const serde = localSerde([planTopic, a, b, facts, mid, dev, fin, out, win, dlq]);

const valued = new Map([a, b, facts, mid, dev, fin, out, win].map((one) => [one.name, one]));

export function decodeValue(name: string, bytes: Buffer): Value {
  const found = valued.get(name);
  if (found === undefined) throw new Error(`no values in ${name}`);
  return serde.decode(found, bytes);
}
