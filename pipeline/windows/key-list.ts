/**
 * The keys of one slice, in memory. A key stands there as the path of its entry: that text has been looked up, so its
 * hash is known, and closing many keys need not build and hash it again (25 times as long as the look-up).
 */
import { compareUtf8, sortKeys } from '#pipeline/state/byte-order.ts';

export interface SortedKeys {
  /** By bytes, each once. */
  readonly paths: readonly string[];
  /** The same without the prefix. */
  readonly keys: readonly string[];
}

export interface KeyList {
  /** May be one that is there. */
  push(path: string): void;
  sorted(): SortedKeys;
}

export function createKeyList(prefixLength: number): KeyList {
  let [paths, keys]: [string[], string[]] = [[], []];
  let added: string[] = [];
  return {
    push: (path) => {
      added.push(path);
    },
    sorted: () => {
      if (added.length === 0) return { paths, keys };
      sortKeys(added);
      const [allPaths, allKeys]: [string[], string[]] = [[], []];
      let from = 0;
      const copyUntil = (end: number): void => {
        for (; from < end; from++) {
          allPaths.push(paths[from] ?? '');
          allKeys.push(keys[from] ?? '');
        }
      };
      for (const path of added) {
        copyUntil(placeOf(paths, path, from));
        if (paths[from] === path) continue;
        allPaths.push(path);
        allKeys.push(path.slice(prefixLength));
      }
      copyUntil(paths.length);
      [paths, keys, added] = [allPaths, allKeys, []];
      return { paths, keys };
    },
  };
}

/** The first place from `from` on with nothing less than `path`. */
function placeOf(paths: readonly string[], path: string, from: number): number {
  let [low, high] = [from, paths.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareUtf8(paths[middle] ?? '', path) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
