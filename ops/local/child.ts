/** A service process of its own session: Ctrl-C does not reach it, a killed parent does not leave it behind. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, fstatSync, mkdirSync, openSync, readSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PipelineError } from '#pipeline/errors.ts';
import { endProcess, identityOf, writeIdentity } from './process.ts';
import { lastLines } from './run.ts';

export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

export interface ChildOptions extends Launch {
  readonly logPath: string;
  readonly pidPath: string;
  /** Asks the process to end in order. */
  readonly stopSignal: NodeJS.Signals;
}

export interface Child {
  readonly pid: number;
  readonly hasExited: boolean;
  /** Resolves when the process is gone, with how it went: `exit code 1`, `SIGKILL`. */
  readonly exited: Promise<string>;
  /** Signals, then SIGKILL after `graceMs`. True when it went by itself. */
  stop(graceMs: number): Promise<boolean>;
  /** SIGKILL at once. */
  kill(): Promise<void>;
}

const LOG_LIMIT_BYTES = 20_000_000;

/**
 * Reads a pipe that only the parent can write. `done`: the process has ended, nothing to do. End of file without
 * it: the parent was killed, so the process is asked to end and killed when it does not.
 */
const GUARD = `
if read -r word && [ "$word" = done ]; then exit 0; fi
kill -s "$2" "$1" 2>/dev/null
left=10
while [ "$left" -gt 0 ] && kill -0 "$1" 2>/dev/null; do sleep 1; left=$((left - 1)); done
kill -s KILL "$1" 2>/dev/null
exit 0
`;

/** Starts the process; output is appended to its log file. Throws SERVICE_FAILED when it cannot be started. */
export async function startChild(options: ChildOptions): Promise<Child> {
  mkdirSync(dirname(options.logPath), { recursive: true });
  mkdirSync(dirname(options.pidPath), { recursive: true });
  rotate(options.logPath);
  const log = openSync(options.logPath, 'a');
  let process_: ChildProcess;
  try {
    process_ = spawn(options.command, options.args, {
      cwd: options.cwd,
      detached: true,
      stdio: ['ignore', log, log],
      ...(options.env === undefined ? {} : { env: options.env }),
      ...(options.uid === undefined ? {} : { uid: options.uid }),
      ...(options.gid === undefined ? {} : { gid: options.gid }),
    });
  } finally {
    closeSync(log);
  }
  const pid = process_.pid;
  if (pid === undefined) {
    const reason = await new Promise<Error>((resolve) => process_.once('error', resolve));
    throw new PipelineError('SERVICE_FAILED', `could not start ${options.command}: ${reason.message}`, {
      cause: reason,
    });
  }
  const identity = identityOf(pid);
  if (identity !== null) writeIdentity(options.pidPath, identity);
  const guard = startGuard(pid, options.stopSignal);

  let hasExited = false;
  const exited = new Promise<string>((resolve) => {
    process_.once('exit', (code, signal) => {
      hasExited = true;
      rmSync(options.pidPath, { force: true });
      void guard.release().then(() => resolve(signal ?? `exit code ${code}`));
    });
  });
  process_.unref();

  const end = async (signal: NodeJS.Signals, graceMs: number): Promise<boolean> => {
    const byItself = identity === null || hasExited || (await endProcess(identity, signal, graceMs));
    // Bounded: a process in an uninterruptible wait cannot be collected, and stopping must not hang on it.
    await Promise.race([exited, sleep(1_000)]);
    return byItself && signal !== 'SIGKILL';
  };
  return {
    pid,
    get hasExited() {
      return hasExited;
    },
    exited,
    stop: (graceMs) => end(options.stopSignal, graceMs),
    kill: async () => {
      await end('SIGKILL', 1_000);
    },
  };
}

function startGuard(pid: number, signal: NodeJS.Signals): { release(): Promise<void> } {
  const name = signal.replace(/^SIG/, '');
  const guard = spawn('/bin/sh', ['-c', GUARD, 'baleen-guard', String(pid), name], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  // Without a shell there is no guard; pid files still find survivors.
  const gone = new Promise<void>((resolve) => {
    guard.once('exit', () => resolve());
    guard.once('error', () => resolve());
  });
  guard.stdin.on('error', () => {});
  guard.unref();
  if ('unref' in guard.stdin && typeof guard.stdin.unref === 'function') guard.stdin.unref();
  return {
    release: async () => {
      guard.stdin.end('done\n');
      await Promise.race([gone, sleep(1_000, undefined, { ref: false })]);
    },
  };
}

/** One older log is kept. */
function rotate(path: string): void {
  try {
    if (statSync(path).size > LOG_LIMIT_BYTES) renameSync(path, `${path}.1`);
  } catch {
    // No log yet.
  }
}

/** The last lines of a log, on one line; empty when there is none. */
export function tailOf(path: string): string {
  try {
    const file = openSync(path, 'r');
    try {
      const buffer = Buffer.alloc(8_192);
      const start = Math.max(0, fstatSync(file).size - buffer.length);
      return lastLines(buffer.subarray(0, readSync(file, buffer, 0, buffer.length, start)).toString('utf8'));
    } finally {
      closeSync(file);
    }
  } catch {
    return '';
  }
}
