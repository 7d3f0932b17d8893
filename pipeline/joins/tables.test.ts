import { describe, expect, expectTypeOf, test } from 'vitest';
import {
  defineProcessor,
  type Handler,
  type InputDeclaration,
  type InputRecord,
  keyed,
} from '#pipeline/processor.ts';
import { keyValue } from '#pipeline/state/key-value.ts';
import { versioned } from '#pipeline/state/versioned.ts';
import { createStoreHarness } from '#pipeline/testing/store-harness.ts';
import type { Label } from '#schemas/label.ts';
import type { Price } from '#schemas/price.ts';
import { chainTransfers, factsLabels, prices } from '#schemas/topics.ts';
import { asOfTable, broadcastTable, keyedTable } from './tables.ts';

const label = (name: string): Label => ({
  id: `label:ethereum:${name}`,
  chain: 'ethereum',
  address: '0x1',
  name,
  kind: 'exchange',
  entity: null,
  validFromMs: null,
  confidence: 1,
  source: 'test',
});

const price = (usd: string, op: Price['op'] = 'assert'): Price => ({
  id: 'p',
  op,
  eventTimeMs: 0,
  receivedAtMs: 0,
  source: 's',
  causes: [],
  asset: 'ETH',
  usd,
});

const recordOf = <V>(key: string, eventTimeMs: number, value: V | null): InputRecord<V> => ({
  key,
  value,
  eventTimeMs,
  logTimeMs: eventTimeMs,
  place: 'facts/0/0',
});

/** Runs the process of an input as the engine does, which knows no types of values. */
const process = (
  input: InputDeclaration<never>,
  record: InputRecord<unknown>,
  stores: object,
  context: object,
) => input.process(record as InputRecord<never>, { ...context, stores } as never);

const retentionMs = 1_000_000;

describe('broadcastTable and keyedTable', () => {
  test('keep the last value of each key, and delete it for a tombstone', () => {
    for (const [table, mode] of [
      [broadcastTable, 'broadcast'],
      [keyedTable, 'keyed'],
    ] as const) {
      const input = table(factsLabels, 'labels');
      expect(input).toMatchObject({ topic: factsLabels, mode });
      const { handle, context } = createStoreHarness(keyValue<Label>());
      process(input, recordOf('a', 1, label('one')), { labels: handle }, context);
      process(input, recordOf('a', 2, label('two')), { labels: handle }, context);
      process(input, recordOf('b', 3, label('three')), { labels: handle }, context);
      expect(handle.get('a')?.name).toBe('two');
      process(input, recordOf('a', 4, null), { labels: handle }, context);
      expect(handle.get('a')).toBeUndefined();
      expect(handle.get('b')?.name).toBe('three');
    }
  });

  test('keep what is made of a value, and delete for null', () => {
    const input = broadcastTable(factsLabels, 'names', ({ name }) => (name === '' ? null : name));
    const { handle, context } = createStoreHarness(keyValue<string>());
    process(input, recordOf('a', 1, label('one')), { names: handle }, context);
    expect(handle.get('a')).toBe('one');
    process(input, recordOf('a', 2, label('')), { names: handle }, context);
    expect(handle.get('a')).toBeUndefined();
  });
});

describe('asOfTable', () => {
  test('keeps versions by event time; a tombstone holds from its log time on', () => {
    const input = asOfTable(prices, 'prices', 'broadcast', ({ op, usd }) => (op === 'retract' ? null : usd));
    expect(input.mode).toBe('broadcast');
    const { handle, context } = createStoreHarness(versioned<string>({ retentionMs, sameTime: 'last' }));
    const stores = { prices: handle };
    process(input, recordOf('ETH', 200, price('3010')), stores, context);
    process(input, recordOf('ETH', 100, price('3000')), stores, context);
    process(input, recordOf('ETH', 300, price('3020')), stores, context);
    process(input, recordOf('ETH', 300, price('3020', 'retract')), stores, context);
    process(input, recordOf('ETH', 400, price('3030')), stores, context);
    process(input, recordOf('ETH', 500, null), stores, context);
    const seen = [99, 100, 199, 200, 299, 300, 400, 499, 500].map(
      (timeMs) => handle.asOf('ETH', timeMs)?.value,
    );
    expect(seen).toEqual([undefined, '3000', '3000', '3010', '3010', undefined, '3030', '3030', undefined]);
  });

  test('reads the own partition when it is keyed', () => {
    expect(asOfTable(prices, 'prices', 'keyed').mode).toBe('keyed');
  });
});

describe('the types of tables', () => {
  const stores = {
    labels: keyValue<Label>(),
    names: keyValue<string>(),
    prices: versioned<Price>({ retentionMs }),
  };
  type Input = InputDeclaration<typeof stores>;

  test('fit the stores of the processor, beside handlers of its own', () => {
    const enrich: Handler<typeof chainTransfers.schema, typeof stores> = ({ value }, { stores }) => {
      expectTypeOf(stores.names.get('a')).toEqualTypeOf<string | undefined>();
      expectTypeOf(value?.asset).toEqualTypeOf<string | undefined>();
    };
    const { inputs } = defineProcessor<typeof stores>({
      name: 'join-tables',
      summary: 'test',
      stores,
      inputs: [
        broadcastTable(factsLabels, 'labels'),
        keyedTable(factsLabels, 'names', ({ name }) => name),
        asOfTable(prices, 'prices', 'broadcast'),
        keyed(chainTransfers, enrich),
      ],
      outputs: [],
    });
    expect(inputs.map(({ topic, mode }) => `${topic.name} ${mode}`)).toEqual([
      'facts.labels.v1 broadcast',
      'facts.labels.v1 keyed',
      'prices.v1 broadcast',
      'chain.transfers.v1 keyed',
    ]);
  });

  test('do not fit a store of other values, of another kind, or of no name', () => {
    // @ts-expect-error the store keeps labels
    const otherValues: Input = broadcastTable(factsLabels, 'labels', ({ name }) => name);
    // @ts-expect-error the store keeps versions
    const otherKind: Input = keyedTable(prices, 'prices');
    // @ts-expect-error no store has this name
    const noName: Input = asOfTable(prices, 'missing', 'keyed');
    expect([otherValues, otherKind, noName]).toHaveLength(3);
  });
});
