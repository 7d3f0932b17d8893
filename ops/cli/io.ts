/** What a command writes to and reads from; a test hands in its own. */

export interface Io {
  /** Writes a line to standard output; false when its reader is slow: then await `drained`. */
  out(line: string): boolean;
  drained(): Promise<void>;
  /** Writes a line to standard error. */
  error(line: string): void;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Columns of the terminal; null when standard output is none. */
  readonly columns: number | null;
}

export const processIo: Io = {
  out: (line) => process.stdout.write(`${line}\n`),
  drained: () => new Promise((resolve) => process.stdout.once('drain', () => resolve())),
  error: (line) => {
    process.stderr.write(`${line}\n`);
  },
  environment: process.env,
  get columns() {
    return process.stdout.isTTY ? process.stdout.columns : null;
  },
};
