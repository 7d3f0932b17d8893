import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { isPipelineError } from '#pipeline/errors.ts';
import type { StateBackend } from './backend.ts';
import { openLevelBackend } from './level.ts';
import { createMemoryBackend } from './memory.ts';
import { type Json, keyValue } from './store.ts';
import { createTaskState, type TaskState } from './task-state.ts';

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

/** Opens the same place again each time it is called. */
type Place = () => Promise<StateBackend>;

const memoryPlace = async (): Promise<Place> => {
  const entries = new Map<string, string>();
  return async () => createMemoryBackend(entries);
};
const levelPlace = async (): Promise<Place> => {
  const folder = await mkdtemp(join(tmpdir(), 'baleen-state-'));
  folders.push(folder);
  return () => openLevelBackend(folder);
};

const FOR_EVER = keyValue();
const put = (state: TaskState, key: string, value: Json) => {
  state.store('s', FOR_EVER).put(key, value);
  state.commit();
};

type Command =
  | { readonly kind: 'put'; readonly key: string; readonly value: Json }
  | { readonly kind: 'delete' | 'get'; readonly key: string }
  | { readonly kind: 'commit' | 'rollback' | 'capture' | 'write' | 'reopen' };

// Keys that other layouts would mix up: empty, prefixes of each other, separators, not ASCII.
const keys = fc.constantFrom('', 'a', 'ab', 'a\u001fb', 'é', '\u{1f40b}', '\u0001meta');
// What JSON keeps: no -0, which a restart would read as 0.
const values = fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value)) as Json);
const commands: fc.Arbitrary<Command> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('put' as const), key: keys, value: values }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constantFrom('delete' as const, 'get' as const, 'get' as const),
      key: keys,
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'commit' as const,
        'rollback' as const,
        'capture' as const,
        'write' as const,
        'reopen' as const,
      ),
    }),
  },
);

/** Plays the commands on a state and on plain maps; every read must agree. */
async function play(place: Place, script: readonly Command[]): Promise<void> {
  const open = async () => {
    const state = createTaskState(await place());
    return { state, store: state.store('s', FOR_EVER) };
  };
  let { state, store } = await open();
  // What is durable, what is committed, and what the record under way sees.
  let durable = new Map<string, Json>();
  let committed = new Map<string, Json>();
  let current = new Map<string, Json>();
  let captured: { write(meta: string): Promise<void>; contents: Map<string, Json> } | null = null;
  let checkpoints = 0;
  for (const command of script) {
    switch (command.kind) {
      case 'put':
        store.put(command.key, command.value);
        current.set(command.key, command.value);
        break;
      case 'delete':
        store.delete(command.key);
        current.delete(command.key);
        break;
      case 'get':
        expect(store.get(command.key)).toEqual(current.get(command.key));
        break;
      case 'commit':
        state.commit();
        committed = new Map(current);
        break;
      case 'rollback':
        state.rollback();
        current = new Map(committed);
        break;
      case 'capture':
        if (captured === null) captured = { ...state.capture(), contents: new Map(committed) };
        break;
      case 'write':
        if (captured === null) break;
        checkpoints += 1;
        await captured.write(`checkpoint ${checkpoints}`);
        durable = captured.contents;
        captured = null;
        break;
      case 'reopen':
        // A crash: what no checkpoint wrote is gone.
        await state.close();
        ({ state, store } = await open());
        expect(state.meta).toBe(checkpoints === 0 ? undefined : `checkpoint ${checkpoints}`);
        committed = new Map(durable);
        current = new Map(durable);
        captured = null;
        break;
    }
  }
  for (const [key, value] of current) expect(store.get(key)).toEqual(value);
  await state.close();
}

describe.each([
  ['memory', memoryPlace, 200],
  ['LevelDB', levelPlace, 25],
] as const)('state in %s', (_, createPlace, numRuns) => {
  test('reads like a map, through checkpoints, crashes and rollbacks', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(commands, { maxLength: 60 }), async (script) =>
        play(await createPlace(), script),
      ),
      { numRuns },
    );
  });

  test('entries past their retention read as absent and are swept from the disk', async () => {
    const place = await createPlace();
    const backend = await place();
    const state = createTaskState(backend);
    const store = state.store('seen', keyValue({ retentionMs: 100 }));
    const at = async (logTimeMs: number, work: () => void) => {
      state.setLogTime(logTimeMs);
      work();
      state.commit();
      await state.capture().write(`at ${logTimeMs}`);
    };
    await at(1_000, () => {
      store.put('old', 1);
      store.put('renewed', 1);
    });
    await at(1_090, () => store.put('renewed', 2));
    state.setLogTime(1_100);
    expect([store.get('old'), store.get('renewed')]).toEqual([1, 2]);
    state.setLogTime(1_101);
    expect([store.get('old'), store.get('renewed')]).toEqual([undefined, 2]);
    await at(1_150, () => store.put('renewed', 3));
    await at(1_250, () => {});
    expect(store.get('renewed')).toBe(3);
    const left = async () =>
      (await Array.fromAsync(backend.keys('', '\uffff'))).filter((key) => key.includes('old'));
    await at(1_400, () => {});
    expect(await left()).toEqual([]);
    expect(store.get('renewed')).toBeUndefined();
    // Everything of both keys is gone, with its index: only what the checkpoint said remains.
    await at(2_000, () => {});
    expect(await Array.fromAsync(backend.keys('', '\uffff'))).toEqual(['\u0001meta']);
    await state.close();
  });
});

test('a value that was put is not changed by what the caller does with it later', () => {
  const state = createTaskState(createMemoryBackend());
  const value = { list: [1] };
  put(state, 'k', value);
  value.list.push(2);
  expect(state.store('s', FOR_EVER).get('k')).toEqual({ list: [1] });
});

test('stores of one task do not see each other', () => {
  const state = createTaskState(createMemoryBackend());
  state.store('a', FOR_EVER).put('k', 1);
  expect(state.store('b', FOR_EVER).get('k')).toBeUndefined();
});

test('folding goes on while a checkpoint is written, and only one is written at a time', async () => {
  const entries = new Map<string, string>();
  const state = createTaskState(createMemoryBackend(entries));
  put(state, 'k', 1);
  const captured = state.capture();
  put(state, 'k', 2);
  expect(state.store('s', FOR_EVER).get('k')).toBe(2);
  let error: unknown;
  try {
    state.capture();
  } catch (caught) {
    error = caught;
  }
  expect(isPipelineError(error, 'INVARIANT_BROKEN')).toBe(true);
  await captured.write('one');
  expect(createTaskState(createMemoryBackend(entries)).store('s', FOR_EVER).get('k')).toBe(1);
  expect(state.store('s', FOR_EVER).get('k')).toBe(2);
});

test('a folder that another process uses is refused with the next step', async () => {
  const place = await levelPlace();
  const backend = await place();
  const error = await place().catch((caught: unknown) => caught);
  expect(isPipelineError(error, 'STATE_UNREADABLE')).toBe(true);
  expect(String(error)).toContain('stop the other process');
  await backend.close();
});
