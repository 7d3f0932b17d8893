import type { StateBackend } from './backend.ts';

/** State that is gone with the process: for tests and for replays. */
export function createMemoryBackend(entries: Map<string, string> = new Map()): StateBackend {
  return {
    get: (key) => entries.get(key),
    write: async (operations) => {
      for (const { key, value } of operations) {
        if (value === null) entries.delete(key);
        else entries.set(key, value);
      }
    },
    keys: async function* (first, end) {
      const found = [...entries.keys()].filter(
        (key) =>
          Buffer.compare(Buffer.from(key), Buffer.from(first)) >= 0 &&
          Buffer.compare(Buffer.from(key), Buffer.from(end)) < 0,
      );
      yield* found.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    },
    close: async () => {},
  };
}
