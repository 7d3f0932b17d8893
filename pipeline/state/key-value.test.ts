import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { isPipelineError } from '#pipeline/errors.ts';
import { createStoreHarness } from '#pipeline/testing/store-harness.ts';
import { LAST_KEY, type StateBackend } from './backend.ts';
import { keyValue } from './key-value.ts';
import { openLevelBackend } from './level.ts';
import { createMemoryBackend } from './memory.ts';
import type { Codec } from './store.ts';
import { createTaskState, storePrefix, withContents } from './task-state.ts';

/** One store with a retention over a backend; log time is moved by hand. */
function openExpiring(backend: StateBackend, retentionMs: number, recentValues = 1_000) {
  const time = { logTimeMs: 0 };
  const state = createTaskState(backend, recentValues);
  const { handle } = state.open({
    processor: 'p',
    store: 's',
    declaration: keyValue<number>({ retentionMs }),
    context: {
      emit: () => {},
      reject: () => {},
      duplicate: () => {},
      place: '',
      streamTimeMs: Number.NEGATIVE_INFINITY,
      get logTimeMs() {
        return time.logTimeMs;
      },
    },
    count: () => {},
    attempt: (_part: string, work: () => void) => work(),
  });
  // The declaration made it.
  const store = handle as ReturnType<ReturnType<typeof keyValue<number>>['open']>['handle'];
  const prefix = storePrefix('p', 's');
  return {
    store,
    state,
    at: (logTimeMs: number) => {
      time.logTimeMs = logTimeMs;
    },
    /** Commits and begins a checkpoint; what is returned ends it. */
    begin: () => {
      state.commit();
      const captured = state.capture();
      return async () => {
        await backend.write(withContents(captured.operations, 'meta'));
        for (const [first, end] of captured.dropped) await backend.clear(first, end);
        captured.settled();
      };
    },
    /** Keys on the disk, without their segments. */
    left: async () =>
      (await Array.fromAsync(backend.scan(prefix, prefix + LAST_KEY))).map(([key]) =>
        key.slice(key.indexOf(':') + 1),
      ),
  };
}

const openMemory = async (): Promise<StateBackend> => createMemoryBackend();
const openLevel = async (): Promise<StateBackend> => {
  const folder = await mkdtemp(join(tmpdir(), 'baleen-key-value-'));
  const backend = await openLevelBackend(folder);
  onTestFinished(async () => {
    await backend.close();
    await rm(folder, { recursive: true, force: true });
  });
  return backend;
};

describe.each([
  ['memory', openMemory],
  ['LevelDB', openLevel],
])('a retention over %s', (_, openBackend) => {
  test('entries past it read as absent, and are dropped from the disk with the checkpoint', async () => {
    const run = openExpiring(await openBackend(), 100);
    const { store } = run;
    run.at(1_000);
    store.put('old', 1);
    store.put('renewed', 1);
    await run.begin()();
    run.at(1_090);
    store.put('renewed', 2);
    await run.begin()();
    run.at(1_100);
    expect([store.get('old'), store.get('renewed')]).toEqual([1, 2]);
    run.at(1_101);
    expect([store.get('old'), store.get('renewed')]).toEqual([undefined, 2]);
    run.at(1_150);
    store.put('renewed', 3);
    await run.begin()();
    run.at(1_250);
    expect(store.get('renewed')).toBe(3);
    expect(await run.left()).toEqual(['old', 'renewed', 'renewed']);
    await run.begin()();
    expect(await run.left()).toEqual(['renewed']);
    run.at(1_251);
    expect(store.get('renewed')).toBeUndefined();
    run.at(2_000);
    store.get('anything');
    await run.begin()();
    expect(await run.left()).toEqual([]);
  });

  test('what a handler dropped is on the disk until the checkpoint after it is written', async () => {
    const run = openExpiring(await openBackend(), 100);
    run.at(0);
    run.store.put('a', 1);
    await run.begin()();
    run.at(250);
    const finish = run.begin();
    run.store.get('a');
    // The checkpoint under way is of a moment before the drop.
    await finish();
    expect(await run.left()).toEqual(['a']);
    await run.begin()();
    expect(await run.left()).toEqual([]);
  });
});

type Command =
  | { readonly kind: 'pass'; readonly ms: number }
  | { readonly kind: 'put'; readonly key: string; readonly value: number }
  | { readonly kind: 'get' | 'delete'; readonly key: string }
  | { readonly kind: 'commit' | 'rollback' | 'begin' | 'finish' | 'restart' };

// With what stands between a segment and a key.
const keys = fc.constantFrom('a', 'b', ':', '0000000000000001:a', '\u{1f40b}');
const commands: fc.Arbitrary<Command> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(12) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('put' as const), key: keys, value: fc.nat() }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom('get' as const, 'get' as const, 'delete' as const),
      key: keys,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'commit' as const,
        'commit' as const,
        'rollback' as const,
        'begin' as const,
        'finish' as const,
        'restart' as const,
      ),
    }),
  },
);

type Written = ReadonlyMap<string, { readonly value: number; readonly atMs: number }>;

/** The store beside a plain map of what was written when. */
async function play(retentionMs: number, recentValues: number, script: readonly Command[]): Promise<void> {
  const backend = createMemoryBackend();
  let run = openExpiring(backend, retentionMs, recentValues);
  let nowMs = 0;
  let current: Written = new Map();
  let committed = { nowMs: 0, written: current };
  let durable = committed;
  let under: { readonly finish: () => Promise<void>; readonly state: typeof committed } | null = null;
  const commit = (): void => {
    run.state.commit();
    committed = { nowMs, written: current };
  };
  const expected = (key: string): number | undefined => {
    const entry = current.get(key);
    return entry === undefined || nowMs > entry.atMs + retentionMs ? undefined : entry.value;
  };
  for (const command of script) {
    run.at(nowMs);
    switch (command.kind) {
      case 'pass':
        // Time moves between two records.
        commit();
        nowMs += command.ms;
        break;
      case 'put':
        run.store.put(command.key, command.value);
        current = new Map(current).set(command.key, { value: command.value, atMs: nowMs });
        break;
      case 'delete': {
        run.store.delete(command.key);
        const next = new Map(current);
        next.delete(command.key);
        current = next;
        break;
      }
      case 'get':
        expect(run.store.get(command.key)).toBe(expected(command.key));
        break;
      case 'commit':
        commit();
        break;
      case 'rollback':
        run.state.rollback(0);
        current = committed.written;
        break;
      case 'begin':
        if (under !== null) break;
        commit();
        under = { finish: run.begin(), state: committed };
        break;
      case 'finish':
        if (under === null) break;
        await under.finish();
        durable = under.state;
        under = null;
        break;
      case 'restart':
        // Everything since the last checkpoint is folded again: log time begins where that was.
        run = openExpiring(backend, retentionMs, recentValues);
        ({ nowMs, written: current } = durable);
        committed = durable;
        under = null;
        break;
    }
  }
  run.at(nowMs);
  for (const key of current.keys()) expect(run.store.get(key)).toBe(expected(key));
}

test.each([
  [1, 1],
  [10, 2],
  [10, 1_000],
])(
  'a retention of %i ms reads like a map with times, with %i recent values',
  async (retentionMs, recentValues) => {
    await fc.assert(
      fc.asyncProperty(fc.array(commands, { maxLength: 80 }), (script) =>
        play(retentionMs, recentValues, script),
      ),
      { numRuns: 200 },
    );
  },
);

test('segments sort by time across all lengths of numbers', async () => {
  const run = openExpiring(createMemoryBackend(), 1);
  for (const logTimeMs of [9, 10, 99, 999_999_999_999, 1_763_700_000_000]) {
    run.at(logTimeMs);
    run.store.put('k', logTimeMs);
    await run.begin()();
    expect(run.store.get('k')).toBe(logTimeMs);
  }
  run.at(1_763_700_000_002);
  expect(run.store.get('k')).toBeUndefined();
  await run.begin()();
  expect(await run.left()).toEqual([]);
});

test('without a retention, a value stays for ever, as the codec writes it', () => {
  const big: Codec<bigint> = { encode: String, decode: BigInt };
  const harness = createStoreHarness(keyValue({ codec: big }));
  harness.handle.put('k', 10n ** 30n);
  harness.logTime(Number.MAX_SAFE_INTEGER);
  harness.restart();
  expect(harness.handle.get('k')).toBe(10n ** 30n);
  expect(harness.entries()).toEqual([['k', '1000000000000000000000000000000']]);
});

test('a value may hold what separates its time from it', () => {
  const harness = createStoreHarness(keyValue<string>({ retentionMs: 1_000 }));
  harness.handle.put('k', 'a:b');
  harness.restart();
  expect(harness.handle.get('k')).toBe('a:b');
});

test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])(
  'refuses a retention of %d ms',
  (retentionMs) => {
    let error: unknown;
    try {
      keyValue({ retentionMs });
    } catch (caught) {
      error = caught;
    }
    expect(isPipelineError(error, 'GRAPH_INVALID')).toBe(true);
  },
);
