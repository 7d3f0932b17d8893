/**
 * State of one task. A processor declares stores; the engine opens each over the entries of the task.
 *
 * A kind of store (`keyValue`, `versioned`, windows, joins) is a declaration with an `open`: it gets entries, timers and
 * the time, and returns the handle that the processor's logic sees. The engine knows no kind by name.
 */
import type { StoreContext } from '#pipeline/processor.ts';

/** No `undefined`, no NaN, no -0, no bigint: JSON would lose them. Exact numbers go as decimal text. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Values to text and back. What is decoded must equal what was encoded: a restart reads the text. */
export interface Codec<V> {
  encode(value: V): string;
  decode(text: string): V;
}

export const jsonCodec = <V extends Json>(): Codec<V> => ({
  encode: (value) => JSON.stringify(value),
  decode: (text) => JSON.parse(text) as V,
});

/** Text keys to values that are never changed in place: `put` a new one. Keys are ordered by their UTF-8 bytes. */
export interface Segment<V> {
  get(key: string): V | undefined;
  /** As `get`, for what is read once: leaves in memory what is asked for often. */
  peek(key: string): V | undefined;
  put(key: string, value: V): void;
  delete(key: string): void;
}

/** What the handler of a record wrote is forgotten when it throws. */
export interface Entries<V> extends Segment<V> {
  /**
   * The entries whose keys begin with `prefix`, by what follows it; such a key is then used through its segment alone. For
   * keys that come in groups which grow in order, such as those of one stretch of time: no key is put together for a
   * read, and what a new segment does not hold is known without asking the disk.
   */
  segment(prefix: string): Segment<V>;
  /**
   * Entries with keys below `key` will never be asked for again: they are dropped from disk some time after the next
   * checkpoint. Whether they are there yet may not show: the caller no longer reads them.
   */
  dropBelow(key: string): void;
}

/** `log`: fires when the merge shows that nothing earlier can follow. `event`: when a record shows that event time has come so far. */
export type TimerTime = 'log' | 'event';

/** Timers of one store or one declared timer. At most one for each time and key: setting it again moves it. */
export interface Timers {
  set(time: TimerTime, key: string, atMs: number): void;
  cancel(time: TimerTime, key: string): void;
  /** Due time, or undefined. */
  get(time: TimerTime, key: string): number | undefined;
}

export interface FiredTimer {
  readonly time: TimerTime;
  readonly key: string;
  /** When it was due. Its outputs have the log time max(due, current) for `log`, the record's for `event`. */
  readonly atMs: number;
}

/**
 * `seldom-read`: what is put is seldom asked for again, most of what is asked for is not there (as when copies are
 * dropped): a tenth of the memory is enough.
 */
export type EntriesUse = 'often-read' | 'seldom-read';

/** What a store may use. */
export interface StoreAccess {
  /** Name for messages, `<processor>.<store>`. */
  readonly name: string;
  /** Called once, in `open`. A store has one set of entries; prefixes in the keys divide it. */
  entries<V>(codec: Codec<V>, use?: EntriesUse): Entries<V>;
  readonly timers: Timers;
  /** The times, and what a store may do for its processor, such as emit the result of a window. The same object for life. */
  readonly context: StoreContext;
  /** What memory beside the entries must do when the record being processed is refused. Called in reverse order. */
  undo(restore: () => void): void;
  /**
   * Does `work` for one of many keys, as when a window closes: when it throws, only that is taken back and put aside as
   * one dead letter, named by `part`, and the others go on. For timers; what the handler of a record calls may throw.
   */
  attempt(part: string, work: () => void): void;
  /** Counts a late record, or one dropped for another reason. */
  count(what: 'late' | 'dropped', records?: number): void;
}

export interface StoreInstance<Handle> {
  readonly handle: Handle;
  /**
   * Called before the first record, once for each entry of an earlier checkpoint, by key: for what must be known of all
   * keys, such as which windows are open. Without it entries are read when they are asked for.
   */
  load?(key: string, text: string): void;
  /** One of the store's timers is due. */
  fired?(timer: FiredTimer): void;
}

export interface StoreDeclaration<Handle = unknown> {
  /** Shown to people; part of the version's fingerprint, with `settings`. */
  readonly kind: string;
  /** Everything about the declaration that decides what comes out and is not code: sizes, retention, grace. */
  readonly settings: Json;
  open(access: StoreAccess): StoreInstance<Handle>;
}

/** What a processor's logic sees of a declared store. */
export type HandleOf<D> = D extends StoreDeclaration<infer Handle> ? Handle : never;
