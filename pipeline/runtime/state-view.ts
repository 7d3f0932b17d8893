/**
 * A look into the stores of tasks, as their last checkpoints left them: for people, never for processors.
 *
 * Keys are found through the declared store itself, read-only, where its handle has a `get` of one key: so what has
 * expired reads as absent, as the processor sees it. Stores of other kinds (windows, versions, joins) show their entries.
 */
import { nearest } from '#pipeline/config/nearest.ts';
import { PipelineError } from '#pipeline/errors.ts';
import type { StoreContext } from '#pipeline/processor.ts';
import { LAST_KEY, type StateBackend } from '#pipeline/state/backend.ts';
import { compareUtf8 } from '#pipeline/state/byte-order.ts';
import { readOnlyEntries } from '#pipeline/state/read-only-entries.ts';
import type { Codec, Json, StoreDeclaration } from '#pipeline/state/store.ts';
import { META_KEY, storePrefix } from '#pipeline/state/task-state.ts';
import type { CheckpointContents } from './checkpoint.ts';
import type { Graph } from './graph.ts';

/** The state of one task, such as that of `detect-2`. */
export interface ViewedTask {
  readonly task: string;
  readonly state: Pick<StateBackend, 'get' | 'scan'>;
}

/** A declared store and the sub-topology whose tasks hold it. */
export interface FoundStore {
  readonly subTopology: string;
  readonly processor: string;
  readonly store: string;
  readonly declaration: StoreDeclaration<unknown>;
}

/** The checkpoint that something was read of; null: the task has taken none. */
export type ViewedCheckpoint = { readonly step: number; readonly logTimeMs: number } | null;

export interface ViewedEntry {
  /** As the store keeps it: windows and stores with a retention put a time before the key. */
  readonly key: string;
  readonly value: Json;
}

/** What one task has of a key. */
export interface ViewedKey {
  readonly task: string;
  readonly checkpoint: ViewedCheckpoint;
  /** What the processor would get; undefined when the store has no such lookup, or nothing under the key. */
  readonly value?: Json;
  /** Entries that belong to the key, in stores without such a lookup. */
  readonly entries?: readonly ViewedEntry[];
}

export interface ViewedRange {
  readonly entries: readonly (ViewedEntry & {
    /** Those that hold this same entry: all of them for a table that each task reads whole. */
    readonly tasks: readonly string[];
  })[];
  readonly checkpoints: Readonly<Record<string, ViewedCheckpoint>>;
  /** `from` of the next page; null at the end. */
  readonly next: string | null;
}

/** Entries that are searched for a key in a store without a lookup. */
const MOST_SEARCHED = 200_000;
const MOST_FOUND = 100;
/** A checkpoint may be written while it is read: then it is read again. */
const ATTEMPTS = 5;

/** All stores, in the order of the flow, as `processor.store`. */
export const storeNames = (graph: Graph): readonly string[] => stores(graph).map(nameOf);

/** By `processor.store`. Throws CONFIG_INVALID with the names that come near. */
export function findStore(graph: Graph, name: string): FoundStore {
  const all = stores(graph);
  const found = all.find((one) => nameOf(one) === name);
  if (found !== undefined) return found;
  const names = all.map(nameOf);
  const near = nearest(name, names);
  const rest = near.length > 0 ? `did you mean ${near.join(' or ')}?` : `there are ${names.join(', ')}`;
  throw new PipelineError(
    'CONFIG_INVALID',
    `expected a store as <processor>.<store>, found ${JSON.stringify(name.slice(0, 80))}; ${rest}`,
  );
}

const nameOf = ({ processor, store }: FoundStore): string => `${processor}.${store}`;

const stores = (graph: Graph): readonly FoundStore[] =>
  graph.nodes.flatMap(({ name: subTopology, processors }) =>
    processors.flatMap((processor) =>
      Object.entries(processor.stores).map(([store, declaration]) => ({
        subTopology,
        processor: processor.name,
        store,
        declaration,
      })),
    ),
  );

/** What each of the tasks has under a key; tasks that have nothing are left out. */
export async function lookUp(
  tasks: readonly ViewedTask[],
  found: FoundStore,
  key: string,
): Promise<readonly ViewedKey[]> {
  const keys = await Promise.all(
    tasks.map(({ task, state }) =>
      atOneCheckpoint(state, async (contents) => {
        const view = openView(found, state, contents);
        const { get } = view;
        if (get === null) return { task, entries: await search(view, state, key) };
        const value = get(key);
        return value === undefined ? { task } : { task, value: toJson(value) };
      }),
    ),
  );
  return keys.filter(({ value, entries }) => value !== undefined || (entries?.length ?? 0) > 0);
}

/** From which key on, and at most how many keys. */
export interface ViewedFrom {
  readonly from: string;
  readonly limit: number;
}

/** What one task has of a range, one entry more than asked for when there is a next page. */
export interface ViewedPage {
  readonly task: string;
  readonly checkpoint: ViewedCheckpoint;
  readonly entries: readonly ViewedEntry[];
}

/** Entries of all the tasks in order of their keys. */
export const list = async (
  tasks: readonly ViewedTask[],
  found: FoundStore,
  range: ViewedFrom,
): Promise<ViewedRange> => joinPages(await pagesOf(tasks, found, range), range);

/** The same by task, for those who join the tasks of several places. */
export function pagesOf(
  tasks: readonly ViewedTask[],
  found: FoundStore,
  { from, limit }: ViewedFrom,
): Promise<readonly ViewedPage[]> {
  const prefix = prefixOf(found);
  return Promise.all(
    tasks.map(({ task, state }) =>
      atOneCheckpoint(state, async (contents) => {
        const view = openView(found, state, contents);
        const entries: ViewedEntry[] = [];
        for await (const [path, text] of state.scan(prefix + from, prefix + LAST_KEY)) {
          // One more shows that there is a next page.
          if (entries.push({ key: path.slice(prefix.length), value: view.decode(text) }) > limit) break;
        }
        return { task, entries };
      }),
    ),
  );
}

/** One range of the pages of all tasks. */
export function joinPages(pages: readonly ViewedPage[], { limit }: Pick<ViewedFrom, 'limit'>): ViewedRange {
  const byKey = new Map<string, { key: string; value: Json; tasks: string[] }[]>();
  for (const { task, entries } of pages) {
    for (const { key, value } of entries) {
      const same = byKey.get(key) ?? [];
      byKey.set(key, same);
      const text = JSON.stringify(value);
      const equal = same.find((one) => JSON.stringify(one.value) === text);
      if (equal === undefined) same.push({ key, value, tasks: [task] });
      else equal.tasks.push(task);
    }
  }
  const keys = [...byKey.keys()].sort(compareUtf8);
  return {
    entries: keys.slice(0, limit).flatMap((key) => byKey.get(key) ?? []),
    checkpoints: Object.fromEntries(pages.map(({ task, checkpoint }) => [task, checkpoint])),
    next: keys[limit] ?? null,
  };
}

const prefixOf = ({ processor, store }: FoundStore): string => storePrefix(processor, store);

/** Reads something of which all belongs to one checkpoint. */
async function atOneCheckpoint<T>(
  state: Pick<StateBackend, 'get'>,
  read: (contents: CheckpointContents | null) => Promise<T>,
): Promise<T & { readonly checkpoint: ViewedCheckpoint }> {
  for (let attempt = 1; ; attempt += 1) {
    const meta = state.get(META_KEY);
    // Written by a checkpoint; other versions only add to it.
    const contents = meta === undefined ? null : (JSON.parse(meta) as CheckpointContents);
    const result = await read(contents);
    if (state.get(META_KEY) !== meta && attempt < ATTEMPTS) continue;
    const checkpoint = contents === null ? null : { step: contents.step, logTimeMs: contents.logTimeMs };
    return { ...result, checkpoint };
  }
}

interface View {
  readonly prefix: string;
  /** Null: the kind of store has no lookup by key alone. */
  readonly get: ((key: string) => unknown) | null;
  decode(text: string): Json;
}

/** Opens the declared store over what is there; whatever it writes is forgotten. */
function openView(
  found: FoundStore,
  state: Pick<StateBackend, 'get'>,
  contents: CheckpointContents | null,
): View {
  const prefix = prefixOf(found);
  let codec: Codec<unknown> | null = null;
  const { handle, load } = found.declaration.open({
    name: nameOf(found),
    context: contextAt(found.processor, contents),
    timers: { set: () => {}, cancel: () => {}, get: () => undefined },
    undo: () => {},
    count: () => {},
    attempt: () => {},
    entries: <V>(own: Codec<V>) => {
      codec = own;
      return readOnlyEntries(own, (key) => state.get(prefix + key));
    },
  });
  // A store that must be loaded as a whole first cannot answer here.
  const get = load === undefined ? lookupOf(handle) : null;
  return { prefix, get, decode: (text) => decoded(codec, text) };
}

const contextAt = (processor: string, contents: CheckpointContents | null): StoreContext => ({
  emit: () => {},
  reject: () => {},
  duplicate: () => {},
  place: '',
  logTimeMs: contents?.logTimeMs ?? 0,
  streamTimeMs: contents?.streamTimes[processor] ?? Number.NEGATIVE_INFINITY,
});

function lookupOf(handle: unknown): View['get'] {
  if (typeof handle !== 'object' || handle === null || !('get' in handle)) return null;
  const { get } = handle;
  if (typeof get !== 'function' || get.length !== 1) return null;
  return (key) => get.call(handle, key);
}

function decoded(codec: Codec<unknown> | null, text: string): Json {
  if (codec === null) return text;
  try {
    return toJson(codec.decode(text));
  } catch {
    // Somebody looks because something is wrong: better the text than nothing.
    return text;
  }
}

/** What a store holds in memory, as JSON can show it: exact numbers as text, maps as pairs. */
function toJson(value: unknown): Json {
  const text = JSON.stringify(value, (_key, item: unknown) => {
    if (typeof item === 'bigint') return item.toString();
    if (item instanceof Map || item instanceof Set) return [...item];
    return item;
  });
  return text === undefined ? null : (JSON.parse(text) as Json);
}

/** Entries whose key ends with the given one: before it such stores put times and marks. */
async function search(
  { prefix, decode }: View,
  state: Pick<StateBackend, 'scan'>,
  key: string,
): Promise<readonly ViewedEntry[]> {
  const entries: ViewedEntry[] = [];
  let searched = 0;
  for await (const [path, text] of state.scan(prefix, prefix + LAST_KEY)) {
    searched += 1;
    if (path.endsWith(key)) entries.push({ key: path.slice(prefix.length), value: decode(text) });
    if (entries.length === MOST_FOUND || searched === MOST_SEARCHED) break;
  }
  return entries;
}
