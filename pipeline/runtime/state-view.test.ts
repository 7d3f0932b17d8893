import { describe, expect, test } from 'vitest';
import { defineProcessor, keyed, type StoreContext } from '#pipeline/processor.ts';
import { type KeyValueStore, keyValue } from '#pipeline/state/key-value.ts';
import { createMemoryBackend } from '#pipeline/state/memory.ts';
import type { Codec, StoreDeclaration } from '#pipeline/state/store.ts';
import { createTaskState, META_KEY, storePrefix, withContents } from '#pipeline/state/task-state.ts';
import { versioned } from '#pipeline/state/versioned.ts';
import { dlq, enrichedTransfers, planTopic, rawEvm } from '#schemas/topics.ts';
import { buildGraph } from './graph.ts';
import { findStore, list, lookUp, storeNames } from './state-view.ts';

const amount: Codec<bigint> = { encode: (value) => value.toString(), decode: (text) => BigInt(text) };
/** A kind without a lookup by key alone. */
const timed: StoreDeclaration<object> = {
  kind: 'timed',
  settings: null,
  open: (access) => {
    access.entries(amount);
    return { handle: { get: (_key: string, _timeMs: number) => null } };
  },
};
const stores = {
  sums: keyValue<bigint>({ codec: amount }),
  seen: keyValue<number>({ retentionMs: 1_000 }),
  prices: versioned<number>({ retentionMs: 1_000 }),
  timed,
};
const graph = buildGraph({
  processors: [
    defineProcessor({
      name: 'sum',
      summary: 'sums',
      stores,
      inputs: [keyed(rawEvm, () => {})],
      outputs: [enrichedTransfers],
    }),
  ],
  planTopic,
  dlqTopic: dlq,
});

const meta = (step: number, logTimeMs = 0): [string, string] => [
  META_KEY,
  JSON.stringify({ step, logTimeMs, streamTimes: {} }),
];
const at = (store: string, key: string) => `${storePrefix('sum', store)}${key}`;
const task = (name: string, ...entries: readonly (readonly [string, string])[]) => ({
  task: name,
  state: createMemoryBackend(new Map(entries)),
});

describe('stores', () => {
  test('are found by processor and name; a wrong name is answered with those that come near', () => {
    expect(storeNames(graph)).toEqual(['sum.sums', 'sum.seen', 'sum.prices', 'sum.timed']);
    expect(findStore(graph, 'sum.seen')).toMatchObject({
      subTopology: 'sum',
      processor: 'sum',
      store: 'seen',
    });
    expect(() => findStore(graph, 'sum.sim')).toThrow('did you mean sum.sums');
    expect(() => findStore(graph, 'x')).toThrow('there are sum.sums, sum.seen, sum.prices, sum.timed');
  });
});

describe('a key', () => {
  test('is looked up in every task, with the checkpoint it is of; exact numbers are text', async () => {
    const big = 10n ** 70n;
    const tasks = [
      task('sum-0', meta(5, 17), [at('sums', 'a'), String(big)]),
      task('sum-1', meta(3, 18), [at('sums', 'b'), '2']),
      task('sum-2'),
    ];
    expect(await lookUp(tasks, findStore(graph, 'sum.sums'), 'a')).toEqual([
      { task: 'sum-0', checkpoint: { step: 5, logTimeMs: 17 }, value: String(big) },
    ]);
    expect(await lookUp(tasks, findStore(graph, 'sum.sums'), 'c')).toEqual([]);
  });

  test('past its retention at the log time of the checkpoint reads as absent, as the processor sees it', async () => {
    const { state: backend } = task('sum-0');
    const state = createTaskState(backend, 10);
    const context = { logTimeMs: 2_500 } as StoreContext;
    const options = {
      processor: 'sum',
      store: 'seen',
      declaration: stores.seen,
      count: () => {},
      attempt: (_part: string, work: () => void) => work(),
    };
    (state.open({ ...options, context }).handle as KeyValueStore<number>).put('a', 1);
    backend.writeNow(withContents(state.capture().operations, ''));
    const read = (logTimeMs: number) => {
      backend.writeNow([{ key: META_KEY, value: meta(1, logTimeMs)[1] }]);
      return lookUp([{ task: 'sum-0', state: backend }], findStore(graph, 'sum.seen'), 'a');
    };
    expect(await read(3_500)).toMatchObject([{ value: 1 }]);
    expect(await read(3_501)).toEqual([]);
  });

  test('in a store without such a lookup shows the entries that belong to it', async () => {
    const tasks = [
      task(
        'sum-0',
        meta(1),
        [at('timed', '0010:a'), '1'],
        [at('timed', '0020:a'), '2'],
        [at('timed', '0020:b'), '3'],
      ),
    ];
    expect(await lookUp(tasks, findStore(graph, 'sum.timed'), 'a')).toEqual([
      {
        task: 'sum-0',
        checkpoint: { step: 1, logTimeMs: 0 },
        entries: [
          { key: '0010:a', value: '1' },
          { key: '0020:a', value: '2' },
        ],
      },
    ]);
  });

  test('is read again when a checkpoint is written meanwhile, so that all of it is of one', async () => {
    const { state } = task('sum-0', meta(1), [at('sums', 'a'), '1']);
    let reads = 0;
    const moving = {
      ...state,
      get: (key: string) => {
        const text = state.get(key);
        reads += 1;
        if (reads === 1)
          state.writeNow([
            { key: at('sums', 'a'), value: '2' },
            { key: META_KEY, value: meta(2)[1] },
          ]);
        return text;
      },
    };
    expect(await lookUp([{ task: 'sum-0', state: moving }], findStore(graph, 'sum.sums'), 'a')).toMatchObject(
      [{ checkpoint: { step: 2 }, value: '2' }],
    );
  });
});

describe('a list', () => {
  const tables = (name: string) => task(name, meta(1), [at('sums', 'a'), '1'], [at('sums', 'b'), '2']);

  test('goes through all tasks by key, and says an entry once that several hold', async () => {
    const tasks = [tables('sum-0'), tables('sum-1'), task('sum-2', meta(9), [at('sums', 'b'), '7'])];
    const range = await list(tasks, findStore(graph, 'sum.sums'), { from: '', limit: 10 });
    expect(range.entries).toEqual([
      { key: 'a', value: '1', tasks: ['sum-0', 'sum-1'] },
      { key: 'b', value: '2', tasks: ['sum-0', 'sum-1'] },
      { key: 'b', value: '7', tasks: ['sum-2'] },
    ]);
    expect(range.checkpoints['sum-2']).toEqual({ step: 9, logTimeMs: 0 });
    expect(range.next).toBeNull();
  });

  test('is read in pages that miss nothing and repeat nothing', async () => {
    const keys = ['a', 'b', 'ä', 'c', '\u{10000}', '\uffff'];
    const tasks = [
      task('sum-0', ...keys.slice(0, 3).map((key) => [at('sums', key), '1'] as const)),
      task('sum-1', ...keys.slice(2).map((key) => [at('sums', key), '1'] as const), ['x', 'y']),
    ];
    const seen: string[] = [];
    for (let from: string | null = ''; from !== null; ) {
      const range: Awaited<ReturnType<typeof list>> = await list(tasks, findStore(graph, 'sum.sums'), {
        from,
        limit: 2,
      });
      seen.push(...range.entries.map(({ key }) => key));
      from = range.next;
    }
    expect(seen).toEqual(['a', 'b', 'c', 'ä', '\uffff', '\u{10000}']);
  });

  test('shows the text of an entry that cannot be decoded', async () => {
    const tasks = [task('sum-0', [at('sums', 'a'), 'no number'])];
    const range = await list(tasks, findStore(graph, 'sum.sums'), { from: '', limit: 2 });
    expect(range.entries).toEqual([{ key: 'a', value: 'no number', tasks: ['sum-0'] }]);
    expect(range.checkpoints).toEqual({ 'sum-0': null });
  });
});
