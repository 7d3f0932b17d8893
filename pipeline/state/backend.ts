/** Where the state of a task rests between checkpoints: one ordered map of text, written in atomic batches. */

export interface WriteOperation {
  readonly key: string;
  /** Null deletes. */
  readonly value: string | null;
}

export interface StateBackend {
  get(key: string): string | undefined;
  /** All or nothing, also across a crash; later operations on a key win. */
  write(operations: readonly WriteOperation[]): Promise<void>;
  /** Keys in `[first, end)`, in order of their bytes. */
  keys(first: string, end: string): AsyncIterable<string>;
  close(): Promise<void>;
}
