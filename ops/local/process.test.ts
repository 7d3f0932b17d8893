import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { startChild } from './child.ts';
import { lockDirectory } from './lock.ts';
import { endSurvivor, identityOf, isRunning, readIdentity, waitUntilGone, writeIdentity } from './process.ts';

const dir = mkdtempSync(join(tmpdir(), 'baleen-process-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function sleeper(): number {
  const { pid } = spawn('sleep', ['300'], { detached: true, stdio: 'ignore' });
  if (pid === undefined) throw new Error('sleep is not installed');
  return pid;
}

describe('a survivor', () => {
  test('is found by its pid file and ended', async () => {
    const identity = identityOf(sleeper());
    expect(identity?.command).toContain('sleep 300');
    if (identity === null) return;
    const path = join(dir, 'survivor.pid');
    writeIdentity(path, identity);
    expect(readIdentity(path)).toEqual(identity);
    expect(await endSurvivor(path, 'SIGTERM', 2_000)).toBe(identity.pid);
    expect(isRunning(identity)).toBe(false);
    expect(existsSync(path)).toBe(false);
  });

  test('that ignores the signal is killed', async () => {
    const child = spawn('sh', ['-c', 'trap "" TERM; echo trapped; while :; do sleep 1; done'], {
      detached: true,
    });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    const identity = identityOf(child.pid ?? 0);
    if (identity === null) throw new Error('sh did not start');
    const path = join(dir, 'stubborn.pid');
    writeIdentity(path, identity);
    expect(await endSurvivor(path, 'SIGTERM', 200)).toBe(identity.pid);
    expect(isRunning(identity)).toBe(false);
  });

  test('is not taken for another process that got its pid', async () => {
    const identity = identityOf(sleeper());
    if (identity === null) throw new Error('sleep did not start');
    const path = join(dir, 'reused.pid');
    writeIdentity(path, { ...identity, startTime: '1' });
    expect(await endSurvivor(path, 'SIGTERM', 2_000)).toBeNull();
    expect(isRunning(identity)).toBe(true);
    process.kill(identity.pid, 'SIGKILL');
    expect(await waitUntilGone(identity, 2_000)).toBe(true);
  });

  test('is nobody when the pid file is damaged', async () => {
    const path = join(dir, 'damaged.pid');
    writeFileSync(path, '{"pid":-1,"__proto__":{}}');
    expect(await endSurvivor(path, 'SIGTERM', 100)).toBeNull();
    expect(existsSync(path)).toBe(false);
  });
});

describe('a child', () => {
  const options = (name: string) => ({
    args: ['300'],
    cwd: dir,
    logPath: join(dir, 'logs', `${name}.log`),
    pidPath: join(dir, 'run', `${name}.pid`),
    stopSignal: 'SIGTERM' as const,
  });

  test('has a pid file while it runs and none after it was stopped', async () => {
    const child = await startChild({ ...options('stopped'), command: 'sleep' });
    expect(readIdentity(join(dir, 'run', 'stopped.pid'))?.pid).toBe(child.pid);
    expect(await child.stop(2_000)).toBe(true);
    expect(await child.exited).toBe('SIGTERM');
    expect(existsSync(join(dir, 'run', 'stopped.pid'))).toBe(false);
  });

  test('that cannot be started is an error with its name', async () => {
    await expect(startChild({ ...options('absent'), command: 'no-such-program' })).rejects.toMatchObject({
      code: 'SERVICE_FAILED',
      message: expect.stringContaining('no-such-program'),
    });
  });

  test('does not outlive a parent that was killed', async () => {
    const module = JSON.stringify(new URL('./child.ts', import.meta.url).href);
    const script = `
      const { startChild } = await import(${module});
      const child = await startChild(${JSON.stringify({ ...options('orphan'), command: 'sleep' })});
      console.log(child.pid);
      setInterval(() => {}, 1_000);
    `;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
      cwd: import.meta.dirname,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const pid = Number(await new Promise((resolve) => parent.stdout.once('data', resolve)));
    const identity = identityOf(pid);
    if (identity === null) throw new Error('the child did not start');
    parent.kill('SIGKILL');
    expect(await waitUntilGone(identity, 5_000)).toBe(true);
  });
});

describe('the lock of a data directory', () => {
  test('refuses a second owner, and is free after its release', () => {
    const home = join(dir, 'locked');
    const release = lockDirectory(home);
    expect(() => lockDirectory(home)).toThrow(`in use by process ${process.pid}`);
    release();
    lockDirectory(home)();
  });

  test('is taken over from an owner that is dead', () => {
    const home = join(dir, 'stale');
    lockDirectory(home)();
    writeIdentity(join(home, 'lock'), { pid: process.pid, startTime: '1', command: 'baleen' });
    const release = lockDirectory(home);
    expect(readIdentity(join(home, 'lock'))?.startTime).toBe(identityOf(process.pid)?.startTime);
    release();
  });
});
