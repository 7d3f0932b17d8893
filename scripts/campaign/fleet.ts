/** The worker processes: two shares of the tasks, two copies of each share. What ends by itself is started again. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Child, startChild, tailOf } from '#ops/local/child.ts';
import { ENDED, type WorkerSettings } from './worker.ts';

export const SHARES = 2;
export const COPIES = 2;
const RESTART_MS = 500;

/** `w<share><copy>`, such as `w0a`. */
export const WORKERS: readonly string[] = Array.from({ length: SHARES }, (_, share) =>
  Array.from({ length: COPIES }, (_, copy) => `w${share}${String.fromCharCode(97 + copy)}`),
).flat();

export const shareOf = (worker: string): number => Number(worker.charAt(1));

/** A worker that ended without having been asked to. */
export interface Exit {
  readonly worker: string;
  /** Of its error; `NO_CODE` when it had none, or when it was not ours. */
  readonly code: string;
  readonly message: string;
}

export interface Fleet {
  start(worker: string): Promise<void>;
  /** SIGKILL; it stays away until it is started. */
  kill(worker: string): Promise<void>;
  /** SIGSTOP or SIGCONT; nothing when it does not run. */
  signal(worker: string, signal: 'SIGSTOP' | 'SIGCONT'): void;
  stateDir(worker: string): string;
  stop(): Promise<void>;
}

export function createFleet(options: {
  dataDir: string;
  brokers: readonly string[];
  prefix: string;
  onExit: (exit: Exit) => void;
}): Fleet {
  const { dataDir, brokers, prefix, onExit } = options;
  const running = new Map<string, Child>();
  /** Killed on purpose: they stay away until they are started. */
  const away = new Set<string>();
  /** One thing after the other for each worker: two of one name would fight for its state. */
  const queues = new Map<string, Promise<void>>();
  let isStopping = false;
  const stateDir = (name: string): string => join(dataDir, 'state', name);

  const inTurn = (name: string, work: () => Promise<void>): Promise<void> => {
    const done = (queues.get(name) ?? Promise.resolve()).then(work);
    queues.set(
      name,
      done.catch(() => {}),
    );
    return done;
  };

  const launch = async (name: string): Promise<void> => {
    if (isStopping || running.has(name) || away.has(name)) return;
    const settings: WorkerSettings = {
      ...{ name, brokers, prefix, stateDir: stateDir(name) },
      share: shareOf(name),
      shares: SHARES,
    };
    const logPath = join(dataDir, 'logs', `${name}.log`);
    const child = await startChild({
      command: process.execPath,
      args: [
        '--disable-warning=TimeoutNegativeWarning',
        join(import.meta.dirname, 'worker.ts'),
        JSON.stringify(settings),
      ],
      cwd: dataDir,
      logPath,
      pidPath: join(dataDir, 'run', `${name}.pid`),
      stopSignal: 'SIGTERM',
    });
    running.set(name, child);
    void child.exited.then(async (how) => {
      if (running.get(name) !== child) return;
      running.delete(name);
      onExit({ worker: name, ...reasonOf(tailOf(logPath), how) });
      await sleep(RESTART_MS);
      await inTurn(name, () => launch(name));
    });
  };

  return {
    start: (name) => {
      away.delete(name);
      return inTurn(name, () => launch(name));
    },
    stateDir,
    kill: (name) => {
      away.add(name);
      return inTurn(name, async () => {
        const child = running.get(name);
        running.delete(name);
        await child?.kill();
      });
    },
    signal: (name, signal) => {
      const child = running.get(name);
      if (child !== undefined && !child.hasExited) process.kill(child.pid, signal);
    },
    stop: async () => {
      isStopping = true;
      await Promise.all(queues.values());
      const children = [...running.values()];
      running.clear();
      await Promise.all(children.map((child) => child.kill()));
    },
  };
}

function reasonOf(tail: string, how: string): { code: string; message: string } {
  const last = tail.split(' | ').findLast((line) => line.startsWith(ENDED));
  const match = new RegExp(`^${ENDED} (\\S+) (.*)$`).exec(last ?? '');
  return match === null
    ? { code: 'NO_CODE', message: `${how}: ${tail}` }
    : { code: match[1] ?? '', message: match[2] ?? '' };
}
