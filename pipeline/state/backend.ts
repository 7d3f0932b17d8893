/** Where the state of a task rests between checkpoints: one ordered map of text, written in atomic batches. */

export interface WriteOperation {
  readonly key: string;
  /** Null deletes. */
  readonly value: string | null;
}

export interface StateBackend {
  /** False while it cannot be read, as when it recovers from a full disk: whoever would read waits. */
  readonly isReady?: boolean;
  get(key: string): string | undefined;
  /** All or nothing, also across a crash; later operations on a key win. Takes them during the call. */
  write(operations: Iterable<WriteOperation>): Promise<void>;
  /** The same with packed writes (`packed.ts`), and `operations` behind them. */
  writePacked(packed: readonly Buffer[], operations: readonly WriteOperation[]): Promise<void>;
  /** Entries with keys in `[first, end)`, in order of their bytes, as they were at the call. */
  scan(first: string, end: string): AsyncIterable<readonly [key: string, value: string]>;
  /** The same, many at a time. */
  pages(first: string, end: string): AsyncIterable<readonly (readonly [key: string, value: string])[]>;
  /** The greatest key in `[first, end)`; null: none. */
  lastKey(first: string, end: string): Promise<string | null>;
  /** Deletes the keys in `[first, end)`. Not part of a batch: for what nobody reads any more. */
  clear(first: string, end: string): Promise<void>;
  /** Bytes on disk, about; absent where there is no disk. */
  sizeBytes?(): Promise<number>;
  close(): Promise<void>;
}

/** Sorts after every key. */
export const LAST_KEY = '\u{10ffff}';
