import { describe, expect, test } from 'vitest';
import { PipelineError } from '#pipeline/errors.ts';
import type { Entry, Producer } from '#pipeline/kafka/types.ts';
import { readPosition } from '#pipeline/merge/position.ts';
import { defineProcessor, keyed, type ProcessorDefinition } from '#pipeline/rooms.ts';
import { localSerde } from '#pipeline/serde/serde.ts';
import { createMemoryBackend } from '#pipeline/state/memory.ts';
import { type Json, keyValue } from '#pipeline/state/store.ts';
import { createTaskState } from '#pipeline/state/task-state.ts';
import { createMetrics } from '#pipeline/telemetry/metrics.ts';
import { deadLetter } from '#schemas/dead-letter.ts';
import { type Price, price } from '#schemas/price.ts';
import type { Layer, Topic } from '#schemas/topics.ts';
import { createFold } from './fold.ts';
import { buildGraph } from './graph.ts';
import { createOutputs } from './outputs.ts';

const topic = (name: string, layer: Layer = 'derived'): Topic<typeof price> => ({
  name,
  layer,
  key: 'asset',
  schema: price,
  partitions: 1,
});
const plan = topic('plan', 'plan');
const raw = topic('raw', 'raw');
const first = topic('first');
const second = topic('second');
const dlq: Topic<typeof deadLetter> = {
  name: 'dlq',
  layer: 'derived',
  key: 'origin',
  schema: deadLetter,
  partitions: 1,
};

const aPrice = (id: string, source = 'test'): Price => ({
  id,
  op: 'assert',
  eventTimeMs: 1,
  receivedAtMs: 2,
  source,
  causes: [],
  asset: 'ETH',
  usd: '3',
});

/** Keeps what is appended, as Kafka would. */
function recordingProducer() {
  const entries: (Entry & { readonly topic: string })[] = [];
  const producer: Producer = {
    append: (name, _partition, entry) => {
      entries.push({ ...entry, topic: name });
    },
    acknowledged: async () => {},
    send: async () => ({ offset: 0, appendTimeMs: -1 }),
    pendingBytes: 0,
    writable: async () => {},
    close: async () => {},
  };
  return { entries, producer };
}

function openFold(processors: readonly ProcessorDefinition[], maxRecordBytes = 10_000) {
  const graph = buildGraph({
    subTopologies: [{ name: 'fused', processors }],
    planTopic: plan,
    dlqTopic: dlq,
  });
  const [node] = graph.nodes;
  if (node === undefined) throw new Error('no node');
  const serde = localSerde([raw, first, second, dlq]);
  const { entries, producer } = recordingProducer();
  const state = createTaskState(createMemoryBackend());
  const metrics = createMetrics();
  const outputs = createOutputs({
    task: { subTopology: 'fused', partition: 0 },
    epoch: 1,
    controlTopic: node.controlTopic,
    maxRecordBytes,
    producer,
    destinations: new Map(),
    physicalName: (name) => name,
  });
  const fold = createFold({ node, dlqTopic: dlq, serde, state, outputs, metrics });
  let offset = 0;
  return {
    state,
    metrics,
    feedBytes: (value: Buffer | null) => {
      fold({ topic: raw, key: Buffer.from('ETH'), value, logTimeMs: 100 + offset, place: `raw/0/${offset}` });
      offset += 1;
    },
    feed(value: Price) {
      this.feedBytes(serde.encode(raw, value));
    },
    encode: (value: Price) => serde.encode(raw, value),
    written: () =>
      entries.map(({ topic: name, headers }) => `${name} ${readPosition(headers, name).sequence}`),
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

const stores = { seen: keyValue<Json>() };

/** Counts in its store and passes on; throws on the id `bad`, after it has written and emitted. */
const pass = defineProcessor({
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
});

const next = defineProcessor({
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

describe('a fold', () => {
  test('writes outputs at the log time of their input, with dense sequences', () => {
    const run = openFold([pass]);
    run.feed(aPrice('a'));
    run.feed(aPrice('b'));
    expect(run.written()).toEqual(['first 1', 'first 2']);
    expect(run.times()).toEqual([100, 101]);
  });

  test('a processor that throws leaves no writes and no outputs, and a dead letter with the bytes', async () => {
    const run = openFold([pass]);
    run.feed(aPrice('bad'));
    run.feed(aPrice('good'));
    expect(run.values()).toEqual(['good:1']);
    expect(run.letters()).toEqual([
      {
        id: 'dlq:raw/0/0:pass',
        eventTimeMs: 100,
        place: 'raw/0/0',
        component: 'pass',
        code: 'LOGIC_FAILED',
        reason: 'cannot read this',
        key: 'ETH',
        body: run.encode(aPrice('bad')),
      },
    ]);
    expect(await run.metrics.total('dead_letters_total', { component: 'pass', code: 'LOGIC_FAILED' })).toBe(
      1,
    );
  });

  test('passes a record on to the next processor of the task, with its place and log time', () => {
    const run = openFold([pass, next]);
    run.feed(aPrice('a'));
    expect(run.written()).toEqual(['first 1', 'second 1']);
    expect(run.values()).toEqual(['a:1', 'a:1 of first/0/fused-0:1 at 100']);
  });

  test('a later processor that throws takes nothing back from the ones before it', () => {
    const run = openFold([pass, next]);
    run.feed(aPrice('a', 'refuse'));
    run.feed(aPrice('b'));
    expect(run.values()).toEqual(['a:1', 'b:2', 'b:2 of first/0/fused-0:2 at 101']);
    expect(run.letters()).toMatchObject([
      { place: 'first/0/fused-0:1', component: 'next', reason: 'not this one' },
    ]);
    expect(run.state.store('next.seen', stores.seen).get('a:1')).toBeUndefined();
    expect(run.state.store('pass.seen', stores.seen).get('count')).toBe(2);
  });

  test('an output that is too large goes aside before it is given a sequence', () => {
    const run = openFold([pass], 3_000);
    run.feed(aPrice('a', 'x'.repeat(2_500)));
    run.feed(aPrice('b'));
    expect(run.letters()).toMatchObject([{ code: 'VALUE_TOO_LARGE', component: 'pass' }]);
    expect(run.written()).toEqual(['dlq 1', 'first 1']);
    expect(run.values()).toEqual(['b:1']);
  });

  test('bytes that are no value go aside whole', () => {
    const run = openFold([pass]);
    run.feedBytes(Buffer.from('not Avro'));
    expect(run.letters()).toMatchObject([
      { code: 'VALUE_UNREADABLE', component: 'fused', body: Buffer.from('not Avro') },
    ]);
  });

  test('a tombstone reaches the processor as null', () => {
    const run = openFold([pass]);
    run.feedBytes(null);
    expect(run.state.store('pass.seen', stores.seen).get('count')).toBe(1);
    expect(run.written()).toEqual([]);
  });

  test('part of a record can be put aside while the rest goes on', async () => {
    const partial = defineProcessor({
      ...pass,
      inputs: [
        keyed<typeof price, typeof stores>(raw, ({ value }, context) => {
          context.reject({
            part: 'tx/1',
            code: 'VALUE_UNREADABLE',
            reason: 'no amount',
            body: Buffer.from('{}'),
          });
          context.duplicate();
          if (value !== null) context.emit(first, 'ETH', value);
        }),
      ],
    });
    const run = openFold([partial]);
    run.feed(aPrice('a'));
    expect(run.values()).toEqual(['a']);
    expect(run.letters()).toMatchObject([
      { place: 'raw/0/0#tx/1', reason: 'no amount', body: Buffer.from('{}') },
    ]);
    expect(await run.metrics.total('duplicates_dropped_total', { where: 'pass' })).toBe(1);
  });

  test.each([
    [
      'an undeclared output',
      (context: { emit(...args: unknown[]): void }) => context.emit(second, 'ETH', aPrice('a')),
    ],
    [
      'an error that means stop',
      () => {
        throw new PipelineError('INVARIANT_BROKEN', 'a bug');
      },
    ],
  ])('stops at %s instead of putting the record aside', (_, work) => {
    const broken = defineProcessor({
      ...pass,
      inputs: [keyed<typeof price, typeof stores>(raw, (_record, context) => work(context as never))],
    });
    const run = openFold([broken]);
    expect(() => run.feed(aPrice('a'))).toThrow(PipelineError);
    expect(run.letters()).toEqual([]);
  });
});
