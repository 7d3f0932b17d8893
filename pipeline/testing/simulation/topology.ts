/** The simulated topology on the public programming model. */
import { describeVersion } from '#pipeline/plan/description.ts';
import {
  broadcast,
  defineProcessor,
  type InputRecord,
  keyed,
  type ProcessContext,
  type ProcessorDefinition,
} from '#pipeline/processor.ts';
import { buildGraph, type Graph } from '#pipeline/runtime/graph.ts';
import { localSerde } from '#pipeline/serde/serde.ts';
import { keyValue } from '#pipeline/state/key-value.ts';
import { type FiredTimer, jsonCodec } from '#pipeline/state/store.ts';
import { eventTimer, logTimer } from '#pipeline/state/timer.ts';
import { hopping, tumbling } from '#pipeline/windows/shapes.ts';
import { windows } from '#pipeline/windows/windows.ts';
import { NAMESPACE, timestampMs } from '#schemas/avro.ts';
import { deadLetter } from '#schemas/dead-letter.ts';
import { plan } from '#schemas/plan.ts';
import type { Layer, Topic } from '#schemas/topics.ts';
import { danger } from './hazard.ts';
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

const stores = {
  cells: keyValue<Cell>(),
  facts: keyValue<number>(),
  admitted: keyValue<number>({ retentionMs: ADMITTED_MS }),
  logTimer: logTimer(),
  eventTimer: eventTimer(),
};
type Context = ProcessContext<typeof stores>;
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

/** The process is dead: what it does until it comes to its senses reaches nobody. */
function endIf(isDead: boolean): void {
  if (isDead) throw new Error('killed');
}

/** Processors of a version. */
function processorsOf(version: 1 | 2): readonly ProcessorDefinition[] {
  const toolsOf = (context: Context): Tools => ({
    ...context.stores,
    version,
    emit: (name, key, value) => context.emit(derived[name], key, value),
  });
  const handle =
    (name: string, logic: (value: Value, moment: Moment, tools: Tools) => void) =>
    ({ key, value, logTimeMs }: Record, context: Context): void => {
      if (value === null) return;
      const moment = { topic: name, key, logTimeMs };
      endIf(danger.strikes(logic.name, value, moment));
      logic(value, moment, toolsOf(context));
    };
  const handleTimer =
    (logic: (moment: Moment & { readonly atMs: number }, tools: Tools) => void) =>
    ({ key, atMs }: FiredTimer, context: Context) => {
      const moment = { topic: '', key, atMs, logTimeMs: context.logTimeMs };
      endIf(danger.strikes(logic.name, null, moment));
      logic(moment, toolsOf(context));
    };
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
      onTimer: { logTimer: handleTimer(expire) },
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
      onTimer: { eventTimer: handleTimer(settle) },
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

const graphOf = (version: 1 | 2): Graph =>
  buildGraph({ processors: processorsOf(version), planTopic, dlqTopic: dlq });

/** Of version 1 and of version 2. */
export const graphs = [graphOf(1), graphOf(2)] as const;
export const descriptions = await Promise.all(graphs.map((graph) => describeVersion({ graph, folders: [] })));
export const serde = localSerde([planTopic, a, b, facts, mid, dev, fin, out, win, dlq]);

const valued = new Map([a, b, facts, mid, dev, fin, out, win].map((one) => [one.name, one]));

export function decodeValue(name: string, bytes: Buffer): Value {
  const found = valued.get(name);
  if (found === undefined) throw new Error(`no values in ${name}`);
  return serde.decode(found, bytes);
}
