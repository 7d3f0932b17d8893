/** Keyed state of one task. Values are JSON: what is read back is what a restart would read. */

/** No `undefined`, no NaN, no bigint: JSON would lose them. Exact numbers go as decimal text. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** What a processor sees of a store. Keys are compared by their bytes. */
export interface KeyValueStore<V extends Json = Json> {
  get(key: string): V | undefined;
  put(key: string, value: V): void;
  delete(key: string): void;
}

/** How a processor declares a store; the type parameter is the type of its values. */
export interface StoreDeclaration<V extends Json = Json> {
  readonly kind: 'key-value';
  /**
   * How long an entry is kept after its last write, in log time; null: for ever. Entries past it read as absent.
   * Dropped in segments, so an entry lives between one and two segments longer on disk, never in what is read.
   */
  readonly retentionMs: number | null;
  /** Carries the type of the values; never set. */
  readonly valueType?: V;
}

export const keyValue = <V extends Json>(options: { retentionMs?: number } = {}): StoreDeclaration<V> => ({
  kind: 'key-value',
  retentionMs: options.retentionMs ?? null,
});
