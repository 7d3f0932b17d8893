/** Processes by identity: a pid alone may have been given to somebody else since. */
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';

/** Names one process for ever: pids are used again, start times with pids are not. */
const identitySchema = z.object({ pid: z.int().min(1), startTime: z.string(), command: z.string() });
export type ProcessIdentity = Readonly<z.infer<typeof identitySchema>>;

/** Enough to tell programs apart; a Java class path would fill pages. */
const COMMAND_CHARS = 300;
const POLL_MS = 25;

/** Identity of a live process; null when there is none or it is a zombie nobody has collected. */
export function identityOf(pid: number): ProcessIdentity | null {
  return process.platform === 'linux' ? fromProc(pid) : fromPs(pid);
}

function fromProc(pid: number): ProcessIdentity | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name (field 2) is in brackets and may contain anything, so fields are counted from its end.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state, startTime] = [fields[0], fields[19]];
    if (state === 'Z' || state === 'X' || startTime === undefined) return null;
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    return { pid, startTime, command: command.slice(0, COMMAND_CHARS) };
  } catch {
    return null;
  }
}

function fromPs(pid: number): ProcessIdentity | null {
  try {
    const line = execFileSync('ps', ['-o', 'stat=', '-o', 'lstart=', '-o', 'command=', '-p', String(pid)], {
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
    // "S  Sat Nov 21 14:59:40 2026 java ..."
    const match = /^(\S+)\s+(\S+\s+\S+\s+\S+\s+\S+\s+\S+)\s+(.*)$/s.exec(line);
    if (match === null || match[1]?.startsWith('Z')) return null;
    return { pid, startTime: match[2] ?? '', command: (match[3] ?? '').slice(0, COMMAND_CHARS) };
  } catch {
    return null;
  }
}

/** Whether exactly this process is still running. */
export function isRunning(identity: ProcessIdentity): boolean {
  const found = identityOf(identity.pid);
  return found?.startTime === identity.startTime && found.command === identity.command;
}

/** Resolves true as soon as the process is gone, false after `withinMs`. */
export async function waitUntilGone(identity: ProcessIdentity, withinMs: number): Promise<boolean> {
  const deadlineMs = performance.now() + withinMs;
  while (isRunning(identity)) {
    if (performance.now() > deadlineMs) return false;
    await sleep(POLL_MS);
  }
  return true;
}

/** Signals and waits; SIGKILL when it has not gone after `graceMs`. True when it went by itself. */
export async function endProcess(
  identity: ProcessIdentity,
  signal: NodeJS.Signals,
  graceMs: number,
): Promise<boolean> {
  if (!isRunning(identity)) return true;
  send(identity.pid, signal);
  if (await waitUntilGone(identity, graceMs)) return true;
  if (isRunning(identity)) send(identity.pid, 'SIGKILL');
  await waitUntilGone(identity, 1_000);
  return false;
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Gone in between; the caller waits for just that.
  }
}

export function writeIdentity(path: string, identity: ProcessIdentity, flag: 'w' | 'wx' = 'w'): void {
  writeFileSync(path, JSON.stringify(identity) + '\n', { flag });
}

/** Null when there is no such file or it is damaged: then it names nobody. */
export function readIdentity(path: string): ProcessIdentity | null {
  try {
    return identitySchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    return null;
  }
}

/** Ends what a killed parent left behind, by its pid file. Resolves to its pid, null when there was nobody. */
export async function endSurvivor(
  pidPath: string,
  signal: NodeJS.Signals,
  graceMs: number,
): Promise<number | null> {
  const survivor = readIdentity(pidPath);
  const isAlive = survivor !== null && isRunning(survivor);
  if (isAlive) await endProcess(survivor, signal, graceMs);
  rmSync(pidPath, { force: true });
  return isAlive ? survivor.pid : null;
}
