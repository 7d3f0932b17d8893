import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { isPipelineError } from '#pipeline/errors.ts';
import type { StateBackend } from './backend.ts';
import { type KeyValueStore, keyValue } from './key-value.ts';
import { openLevelBackend } from './level.ts';
import { createMemoryBackend } from './memory.ts';
import { type Json, jsonCodec, type StoreAccess, type StoreDeclaration } from './store.ts';
import {
  createTaskState,
  loadState,
  META_KEY,
  storePrefix,
  type TaskState,
  withContents,
} from './task-state.ts';

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
const CONTEXT = {
  emit: () => {},
  reject: () => {},
  duplicate: () => {},
  place: 'raw/0/0',
  logTimeMs: 0,
  streamTimeMs: Number.NEGATIVE_INFINITY,
};

/** Opens a declared store of the processor `p`. */
function openStore<Handle>(state: TaskState, store: string, declaration: StoreDeclaration<Handle>): Handle {
  const options = {
    processor: 'p',
    store,
    declaration,
    context: CONTEXT,
    count: () => {},
    attempt: (_part: string, work: () => void) => work(),
  };
  // The declaration made it.
  return state.open(options).handle as Handle;
}

/** What checkpoints do. */
const write = async (
  backend: StateBackend,
  captured: ReturnType<TaskState['capture']>,
  meta: string,
): Promise<void> => {
  await backend.write(withContents(captured.operations, meta));
  for (const [first, end] of captured.dropped) await backend.clear(first, end);
  captured.settled();
};

type Command =
  | { readonly kind: 'put'; readonly key: string; readonly value: Json }
  | { readonly kind: 'delete' | 'get'; readonly key: string }
  | { readonly kind: 'commit' | 'mark' | 'rollback' | 'capture' | 'write' | 'reopen' };

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
        'mark' as const,
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
    const backend = await place();
    const state = createTaskState(backend, 3);
    return { backend, state, store: openStore(state, 's', FOR_EVER) };
  };
  let { backend, state, store } = await open();
  // What is durable, what is committed, where the record under way could go back to, and what it sees.
  let durable = new Map<string, Json>();
  let committed = new Map<string, Json>();
  let marked: { readonly at: number; readonly contents: Map<string, Json> } | null = null;
  let current = new Map<string, Json>();
  let captured: ReturnType<TaskState['capture']> | null = null;
  let contents = new Map<string, Json>();
  let checkpoints = 0;
  const commit = (): void => {
    state.commit();
    committed = new Map(current);
    marked = null;
  };
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
        commit();
        break;
      case 'mark':
        marked = { at: state.mark(), contents: new Map(current) };
        break;
      case 'rollback':
        // Of a handler within the record, or of the whole record.
        state.rollback(marked?.at ?? 0);
        current = new Map(marked?.contents ?? committed);
        marked = null;
        break;
      case 'capture':
        if (captured !== null) break;
        commit();
        captured = state.capture();
        contents = new Map(committed);
        break;
      case 'write':
        if (captured === null) break;
        checkpoints += 1;
        await write(backend, captured, `checkpoint ${checkpoints}`);
        durable = contents;
        captured = null;
        break;
      case 'reopen':
        // A crash: what no checkpoint wrote is gone.
        await backend.close();
        ({ backend, state, store } = await open());
        expect(backend.get(META_KEY)).toBe(checkpoints === 0 ? undefined : `checkpoint ${checkpoints}`);
        current = new Map(durable);
        captured = null;
        commit();
        break;
    }
  }
  for (const [key, value] of current) expect(store.get(key)).toEqual(value);
  await backend.close();
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

  test('a loader sees what the last checkpoint wrote, by key, and nothing of another store', async () => {
    const place = await createPlace();
    const backend = await place();
    const before = createTaskState(backend, 10);
    const store = openStore(before, 's', FOR_EVER);
    for (const key of ['b', '\u{1f40b}', '\ue000', '', 'a', '\u{10ffff}x']) store.put(key, key);
    for (const other of ['r', 's2', 't']) openStore(before, other, FOR_EVER).put('k', 1);
    before.timers.timers('p', 's').set('log', 'timer', 7);
    before.commit();
    await write(backend, before.capture(), 'meta');
    await backend.close();

    const reopened = await place();
    const loaded: string[] = [];
    const state = createTaskState(reopened, 10);
    openStore(state, 's', {
      ...FOR_EVER,
      open: (access) => ({
        handle: access.entries(jsonCodec<Json>()),
        load: (key, text) => loaded.push(`${key}=${text}`),
      }),
    });
    await loadState(state, reopened);
    const keys = ['', 'a', 'b', '\ue000', '\u{1f40b}', '\u{10ffff}x'];
    expect(loaded).toEqual(keys.map((key) => `${key}=${JSON.stringify(key)}`));
    expect(state.timers.nextLogMs).toBe(7);
    await reopened.close();
  });
});

/** Opens the parts of a store, to be used by hand. */
function openAccess(state: TaskState): StoreAccess {
  let found: StoreAccess | null = null;
  openStore(state, 's', {
    kind: 'test',
    settings: null,
    open: (access) => {
      found = access;
      return { handle: null };
    },
  });
  if (found === null) throw new Error('not opened');
  return found;
}

test('a rollback undoes entries, timers and memory beside them in reverse order, back to its mark', () => {
  const state = createTaskState(createMemoryBackend(), 10);
  const access = openAccess(state);
  const entries = access.entries(jsonCodec<number>());
  const undone: string[] = [];
  entries.put('k', 1);
  access.undo(() => undone.push('first'));
  const mark = state.mark();
  access.timers.set('log', 't', 5);
  access.undo(() => undone.push(`second, with ${entries.get('k')}`));
  entries.put('k', 2);
  state.undo(() => undone.push('third'));
  state.rollback(mark);
  expect(undone).toEqual(['third', 'second, with 1']);
  expect([entries.get('k'), access.timers.get('log', 't')]).toEqual([1, undefined]);
  state.rollback(0);
  expect(undone.at(-1)).toBe('first');
  expect(entries.get('k')).toBeUndefined();
});

test('what was committed is not undone any more', () => {
  const state = createTaskState(createMemoryBackend(), 10);
  const store = openStore(state, 's', FOR_EVER);
  store.put('k', 1);
  state.commit();
  state.rollback(0);
  expect([store.get('k'), state.mark()]).toEqual([1, 0]);
});

test('a store has one set of entries', () => {
  const access = openAccess(createTaskState(createMemoryBackend(), 10));
  access.entries(jsonCodec<number>());
  expect(() => access.entries(jsonCodec<number>())).toThrow('p.s: entries are opened once');
});

test('stores of one task do not see each other', () => {
  const state = createTaskState(createMemoryBackend(), 10);
  const [a, b] = ['a', 'b'].map((name) => openStore(state, name, FOR_EVER)) as KeyValueStore<Json>[];
  a?.put('k', 1);
  expect(b?.get('k')).toBeUndefined();
});

test('a checkpoint is one batch of entries, timers and, last, its contents', () => {
  const state = createTaskState(createMemoryBackend(), 10);
  openStore(state, 's', FOR_EVER).put('k', [1]);
  state.timers.timers('p', 's').set('event', 't', 5);
  state.commit();
  expect([...withContents(state.capture().operations, 'contents')]).toEqual([
    { key: `${storePrefix('p', 's')}k`, value: '[1]' },
    { key: '\u0003p\u001fs\u001fevent\u001ft', value: '5' },
    { key: META_KEY, value: 'contents' },
  ]);
});

test('folding goes on while a checkpoint is written, and only one is written at a time', async () => {
  const entries = new Map<string, string>();
  const backend = createMemoryBackend(entries);
  const state = createTaskState(backend, 1);
  const store = openStore(state, 's', FOR_EVER);
  store.put('k', 1);
  state.commit();
  const captured = state.capture();
  // Pushes the value out of the cache: it is then read from what is being written.
  store.get('other');
  store.get('another');
  expect(store.get('k')).toBe(1);
  store.put('k', 2);
  state.commit();
  expect(store.get('k')).toBe(2);
  let error: unknown;
  try {
    state.capture();
  } catch (caught) {
    error = caught;
  }
  expect(isPipelineError(error, 'INVARIANT_BROKEN')).toBe(true);
  await write(backend, captured, 'one');
  expect(openStore(createTaskState(backend, 1), 's', FOR_EVER).get('k')).toBe(1);
  expect(store.get('k')).toBe(2);
  await write(backend, state.capture(), 'two');
  expect(openStore(createTaskState(backend, 1), 's', FOR_EVER).get('k')).toBe(2);
});

test('a folder that another process uses is refused with the next step', async () => {
  const place = await levelPlace();
  const backend = await place();
  const error = await place().catch((caught: unknown) => caught);
  expect(isPipelineError(error, 'STATE_UNREADABLE')).toBe(true);
  expect(String(error)).toContain('stop the other process');
  await backend.close();
});
