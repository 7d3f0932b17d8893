/** Commands that run to their end: mvn, tar, initdb, docker. */
import { spawn } from 'node:child_process';
import { stripVTControlCharacters } from 'node:util';

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number;
}

export interface RunResult {
  /** Null when it could not be started or was killed. */
  readonly code: number | null;
  /** False: there is no such program. */
  readonly isInstalled: boolean;
  /** The end of standard output and error, printable. */
  readonly output: string;
}

const OUTPUT_CHARS = 16_384;

/** Never rejects, except with the reason of an aborted signal. */
export async function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  options.signal?.throwIfAborted();
  const result = await new Promise<RunResult>((resolve) => {
    const timeout = AbortSignal.timeout(options.timeoutMs ?? 60_000);
    const child = spawn(command, args, {
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.env === undefined ? {} : { env: options.env }),
      ...(options.uid === undefined ? {} : { uid: options.uid }),
      ...(options.gid === undefined ? {} : { gid: options.gid }),
      stdio: ['ignore', 'pipe', 'pipe'],
      signal: options.signal === undefined ? timeout : AbortSignal.any([options.signal, timeout]),
    });
    let output = '';
    const collect = (chunk: Buffer) => {
      output = (output + chunk.toString('utf8')).slice(-OUTPUT_CHARS);
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    let failure: Error | null = null;
    child.once('error', (error) => {
      failure = error;
      // A program that is not there never closes; one that was aborted does, after it has gone.
      if (child.pid === undefined) {
        const isInstalled = !('code' in error && error.code === 'ENOENT');
        resolve({ code: null, isInstalled, output: error.message });
      }
    });
    child.once('close', (code) => {
      const text = failure === null ? output : `${output}\n${failure.message}`;
      resolve({ code, isInstalled: true, output: printable(text) });
    });
  });
  options.signal?.throwIfAborted();
  return result;
}

/** Without colours and control characters (line ends stay). */
export const printable = (text: string): string =>
  stripVTControlCharacters(text)
    .replaceAll(/[^\P{Cc}\n]/gu, ' ')
    .trim();

/** The last lines on one line, for a message. */
export const lastLines = (text: string, count = 4, maxChars = 700): string =>
  printable(text)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .slice(-count)
    .join(' | ')
    .slice(-maxChars);
