/** The keys of one slice, in memory. */
import { sortKeys } from '#pipeline/state/byte-order.ts';

export interface KeyList {
  /** May be one that is there. */
  push(key: string): void;
  /** By bytes, each once. Valid until the next `push`. */
  sorted(): readonly string[];
}

export function createKeyList(): KeyList {
  const keys: string[] = [];
  let isSorted = true;
  return {
    push: (key) => {
      keys.push(key);
      isSorted = false;
    },
    sorted: () => {
      // Most are one run in order from the time before, which sorting takes as it is.
      if (!isSorted) sortKeys(keys);
      isSorted = true;
      return keys;
    },
  };
}
