/** Drives the fold of one task over prices, without a merge: for tests of what handlers do and what becomes of it. */
import type { Entry } from '#pipeline/kafka/types.ts';
import { readPosition } from '#pipeline/merge/position.ts';
import { Gate } from '#pipeline/poison/gate.ts';
import { defineProcessor, keyed, type ProcessorDefinition } from '#pipeline/processor.ts';
import { createFold } from '#pipeline/runtime/fold.ts';
import { buildGraph } from '#pipeline/runtime/graph.ts';
import { createOutputs } from '#pipeline/runtime/outputs.ts';
import { localSerde } from '#pipeline/serde/serde.ts';
import { keyValue } from '#pipeline/state/key-value.ts';
import { createMemoryBackend } from '#pipeline/state/memory.ts';
import type { Json } from '#pipeline/state/store.ts';
import { createTaskState, storePrefix, withContents } from '#pipeline/state/task-state.ts';
import { createMetrics } from '#pipeline/telemetry/metrics.ts';
import { deadLetter } from '#schemas/dead-letter.ts';
import { type Price, price } from '#schemas/price.ts';
import type { Layer, Topic } from '#schemas/topics.ts';

/** A topic of prices with one partition. */
export const topic = (name: string, layer: Layer = 'derived'): Topic<typeof price> => ({
  name,
  layer,
  key: 'asset',
  schema: price,
  partitions: 1,
});
export const plan = topic('plan', 'plan');
export const raw = topic('raw', 'raw');
export const first = topic('first');
export const second = topic('second');
export const facts = topic('facts', 'fact');
export const dlq: Topic<typeof deadLetter> = {
  name: 'dlq',
  layer: 'derived',
  key: 'origin',
  schema: deadLetter,
  partitions: 1,
};

/** A price with what tests look at; the rest is fixed. */
export const aPrice = (id: string, source = 'test'): Price => ({
  id,
  op: 'assert',
  eventTimeMs: 1,
  receivedAtMs: 2,
  source,
  causes: [],
  asset: 'ETH',
  usd: '3',
});

/** Opens the fold of processors that share a task. Throws when they do not. */
export function openFold(processors: readonly ProcessorDefinition[], maxRecordBytes = 10_000) {
  const graph = buildGraph({
    processors,
    names: { [processors[0]?.name ?? '']: 'fused' },
    planTopic: plan,
    dlqTopic: dlq,
  });
  const [node, ...others] = graph.nodes;
  if (node === undefined || others.length > 0) throw new Error('expected processors of one task');
  const serde = localSerde([raw, first, second, facts, dlq]);
  const entries: (Entry & { readonly topic: string })[] = [];
  const backend = createMemoryBackend();
  const state = createTaskState(backend, 100);
  const metrics = createMetrics();
  const task = { subTopology: 'fused', partition: 0 };
  const outputs = createOutputs({
    task,
    epoch: 1,
    controlTopic: node.controlTopic,
    maxRecordBytes,
    producer: { append: (name, _partition, entry) => entries.push({ ...entry, topic: name }) },
    destinations: new Map(),
    physicalName: (name) => name,
  });
  const gate = new Gate({
    writer: 'fused-0',
    isLive: true,
    skipped: [],
    at: () => ({ step: 0, sequences: {} }),
  });
  const fold = createFold({
    task,
    node,
    dlqTopic: dlq,
    serde,
    state,
    outputs,
    metrics,
    streamTimes: {},
    gate,
  });
  let offset = 0;
  /** What a task does with a record or timer: all of it, or nothing. */
  const whole = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      state.rollback(0);
      outputs.rollback();
      throw error;
    }
    state.commit();
    outputs.flush();
  };
  return {
    metrics,
    streamTimes: fold.streamTimes,
    feedBytes: (value: Buffer | null, topic: Topic = raw) => {
      const place = `${topic.name}/0/${offset}`;
      const input = { topic, key: Buffer.from('ETH'), value, logTimeMs: 100 + offset, place };
      offset += 1;
      whole(() => fold.record(input));
    },
    feed(value: Price, topic: Topic<typeof price> = raw) {
      this.feedBytes(serde.encode(topic, value), topic);
    },
    /** Fires the next log timer, at its time. */
    fire: () =>
      whole(() => {
        const timer = state.timers.takeLog();
        if (timer === null) throw new Error('no timer');
        fold.timer(timer, timer.atMs);
      }),
    timers: () => state.timers.all().map(({ store, key, atMs }) => `${store} ${key} ${atMs}`),
    /** What the store `seen` of a processor holds, as a checkpoint would write it. */
    seen: (processor: string, key: string): unknown => {
      const captured = state.capture();
      backend.writeNow(withContents(captured.operations, ''));
      captured.settled();
      const text = backend.get(`${storePrefix(processor, 'seen')}${key}`);
      return text === undefined ? undefined : JSON.parse(text);
    },
    encode: (value: Price) => serde.encode(raw, value),
    written: () =>
      entries.map(({ topic: name, headers }) => `${name} ${readPosition(headers, name).sequence}`),
    headers: () => entries.map(({ headers }) => headers.map(([name, value]) => `${name}=${value}`)),
    times: () => entries.map(({ timestampMs }) => timestampMs),
    /** Ids, one topic after the other. */
    values: () =>
      [first, second].flatMap((output) =>
        entries
          .filter(({ topic: name }) => name === output.name)
          .map(({ value }) => serde.decode(output, value ?? Buffer.alloc(0)).id),
      ),
    letters: () =>
      entries
        .filter(({ topic: name }) => name === 'dlq')
        .map(({ value }) => serde.decode(dlq, value ?? Buffer.alloc(0))),
  };
}

/** Of both processors. */
export const stores = { seen: keyValue<Json>() };

/** Counts in its store and passes on; throws on the id `bad`, after it has written and emitted. */
export const pass = defineProcessor({
  name: 'pass',
  summary: 'passes on',
  stores,
  inputs: [
    keyed<typeof price, typeof stores>(raw, ({ value }, context) => {
      const count = Number(context.stores.seen.get('count') ?? 0) + 1;
      context.stores.seen.put('count', count);
      if (value === null) return;
      context.emit(first, 'ETH', { ...value, id: `${value.id}:${count}` });
      if (value.id === 'bad') throw new TypeError('cannot read\nthis');
    }),
  ],
  outputs: [first],
  keepsKey: true,
});

/** Notes each id in its store and passes it on with place and log time; throws on the source `refuse`. */
export const next = defineProcessor({
  name: 'next',
  summary: 'reads what pass writes',
  stores,
  inputs: [
    keyed<typeof price, typeof stores>(first, ({ value, place, logTimeMs }, context) => {
      if (value === null) return;
      if (value.source === 'refuse') throw new Error('not this one');
      context.stores.seen.put(value.id, true);
      context.emit(second, 'ETH', { ...value, id: `${value.id} of ${place} at ${logTimeMs}` });
    }),
  ],
  outputs: [second],
});
