import type { StateBackend, WriteOperation } from './backend.ts';
import { compareUtf8 } from './byte-order.ts';
import { unpackTexts } from './packed.ts';

/** A backend that can also be used without waiting. */
export interface MemoryBackend extends StateBackend {
  writeNow(operations: Iterable<WriteOperation>): void;
  scanNow(first: string, end: string): readonly (readonly [key: string, value: string])[];
}

/** State that is gone with the process, or with `entries`: for tests and for replays. */
export function createMemoryBackend(entries: Map<string, string> = new Map()): MemoryBackend {
  const inRange = (first: string, end: string) =>
    [...entries]
      .filter(([key]) => compareUtf8(key, first) >= 0 && compareUtf8(key, end) < 0)
      .sort(([a], [b]) => compareUtf8(a, b));
  const writeNow = (operations: Iterable<WriteOperation>): void => {
    for (const { key, value } of operations) {
      if (value === null) entries.delete(key);
      else entries.set(key, value);
    }
  };
  return {
    get: (key) => entries.get(key),
    writeNow,
    write: async (operations) => writeNow(operations),
    writePacked: async (packed, operations) => writeNow([...packed.flatMap(unpackTexts), ...operations]),
    scanNow: inRange,
    scan: async function* (first, end) {
      yield* inRange(first, end);
    },
    pages: async function* (first, end) {
      yield inRange(first, end);
    },
    lastKey: async (first, end) => inRange(first, end).at(-1)?.[0] ?? null,
    clear: async (first, end) => {
      for (const [key] of inRange(first, end)) entries.delete(key);
    },
    close: async () => {},
  };
}
