/** A key-value store that can also be read in order of its keys. Its keys are in memory, its values are not. */
import { compareUtf8, wellFormed } from './byte-order.ts';
import type { KeyValueStore } from './key-value.ts';
import { type Codec, type Json, jsonCodec, type StoreDeclaration } from './store.ts';

export interface OrderedStore<V> extends KeyValueStore<V> {
  /** Entries with keys in `[first, end)`, by the bytes of their keys, as they are when each is taken. */
  range(first: string, end: string): Generator<readonly [key: string, value: V]>;
  /** Entries whose keys begin with `prefix`, in the same order. */
  prefix(prefix: string): Generator<readonly [key: string, value: V]>;
  /** How many keys there are. */
  readonly size: number;
}

/**
 * Costs the memory of its keys, and a shift of those behind when a new key comes: for thousands of keys for each task,
 * not for millions. Put and delete nothing while a range of it is being taken.
 */
export const ordered = <V = Json>(options: { codec?: Codec<V> } = {}): StoreDeclaration<OrderedStore<V>> => ({
  kind: 'ordered',
  settings: {},
  open: (access) => {
    const entries = access.entries(options.codec ?? (jsonCodec() as unknown as Codec<V>));
    const keys: string[] = [];
    /** Where the key stands, or would stand. */
    const placeOf = (key: string): number => {
      let [low, high] = [0, keys.length];
      while (low < high) {
        const middle = (low + high) >> 1;
        if (compareUtf8(keys[middle] ?? '', key) < 0) low = middle + 1;
        else high = middle;
      }
      return low;
    };
    const add = (key: string): boolean => {
      const at = placeOf(key);
      if (keys[at] === key) return false;
      keys.splice(at, 0, key);
      return true;
    };
    const remove = (key: string): boolean => {
      const at = placeOf(key);
      if (keys[at] !== key) return false;
      keys.splice(at, 1);
      return true;
    };
    function* from(first: string, isIn: (key: string) => boolean): Generator<readonly [string, V]> {
      for (let at = placeOf(wellFormed(first)); at < keys.length; at += 1) {
        const key = keys[at] ?? '';
        if (!isIn(key)) return;
        const value = entries.get(key);
        if (value !== undefined) yield [key, value];
      }
    }
    return {
      handle: {
        get: (key) => entries.get(key),
        put: (given, value) => {
          const key = wellFormed(given);
          entries.put(key, value);
          if (add(key)) access.undo(() => remove(key));
        },
        delete: (given) => {
          const key = wellFormed(given);
          entries.delete(key);
          if (remove(key)) access.undo(() => add(key));
        },
        range: (first, end) => from(first, (key) => compareUtf8(key, wellFormed(end)) < 0),
        prefix: (prefix) => from(prefix, (key) => key.startsWith(wellFormed(prefix))),
        get size() {
          return keys.length;
        },
      },
      // They come by the order of their keys.
      load: (key) => {
        keys.push(key);
      },
    };
  },
});
