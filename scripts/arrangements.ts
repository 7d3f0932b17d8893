/** Ways to share the tasks among processes, and what may happen to them: for `determinism` and its broker test. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '#pipeline/testing/simulation/scheduler.ts';
import { folderOf, type Run, SharedProcess, type SharedRun, untilAllFolded } from './shared-run.ts';

export interface Arrangement {
  readonly name: string;
  readonly sharings: readonly SharedRun['sharing'][];
  /** Of each process; default 1. */
  readonly threads?: number;
}

const shards = (of: number, copies: number): SharedRun['sharing'][] =>
  Array.from({ length: of }, (_, index) => ({ number: index + 1, of, copies }));
const group = (count: number): SharedRun['sharing'][] => Array.from({ length: count }, () => 'group');

export const ARRANGEMENTS: readonly Arrangement[] = [
  { name: '2 shards', sharings: shards(2, 1) },
  { name: '3 shards', sharings: shards(3, 1) },
  { name: '3 shards, 2 copies', sharings: shards(3, 2) },
  { name: 'group of 1', sharings: group(1) },
  { name: 'group of 2', sharings: group(2) },
  { name: 'group of 3', sharings: group(3) },
  { name: '2 threads', sharings: ['all'], threads: 2 },
  { name: '2 shards, 2 threads', sharings: shards(2, 1), threads: 2 },
  { name: 'group of 2, 2 threads', sharings: group(2), threads: 2 },
];

/** What shows most in little time. */
export const QUICK_ARRANGEMENTS: readonly Arrangement[] = [
  { name: '3 shards, 2 copies', sharings: shards(3, 2) },
  { name: 'group of 3', sharings: group(3) },
  { name: 'group of 2, 2 threads', sharings: group(2), threads: 2 },
];

/** Longer than the session of a member of the group: the others take its tasks over meanwhile. */
const ZOMBIE_MS = 9_000;

/** Runs it to the end of what is there. `random`: with disturbances. Returns what was done to it. */
export async function runArrangement(
  { sharings, threads = 1 }: Arrangement,
  base: Run,
  random: Random | null,
): Promise<string> {
  const processes = sharings.map(
    (sharing, index) =>
      new SharedProcess({ ...base, sharing, threads, stateDir: folderOf(base.stateDir, index) }),
  );
  try {
    const what = random === null ? '' : await disturb(processes, random);
    await untilAllFolded(processes);
    return what;
  } finally {
    await Promise.all(processes.map((process) => process.stop()));
  }
}

/** Two of: a kill with a restart at once or later, a process that sleeps for longer than everybody waits, a storm. */
async function disturb(processes: readonly SharedProcess[], random: Random): Promise<string> {
  const said: string[] = [];
  for (let count = 0; count < 2; count += 1) {
    await sleep(random.between(500, 4_000));
    const choice = random.next();
    if (choice < 0.25) {
      said.push(await storm(processes, random));
      continue;
    }
    const index = random.below(processes.length);
    const victim = processes[index];
    if (victim === undefined) continue;
    if (choice < 0.6) {
      const downMs = random.pick([0, 2_000, 8_000]);
      await victim.kill();
      await sleep(downMs);
      victim.restart();
      said.push(`${index + 1} killed for ${downMs} ms`);
    } else {
      victim.signal('SIGSTOP');
      await sleep(ZOMBIE_MS);
      victim.signal('SIGCONT');
      said.push(`${index + 1} asleep for ${ZOMBIE_MS} ms`);
    }
  }
  return said.join(', ');
}

/** Processes come and go faster than their tasks can settle. */
async function storm(processes: readonly SharedProcess[], random: Random): Promise<string> {
  const said: string[] = [];
  for (let count = 0; count < 6; count += 1) {
    const index = random.below(processes.length);
    const victim = processes[index];
    if (victim === undefined) continue;
    const isKilled = random.chance(0.5);
    if (isKilled) await victim.kill();
    else await victim.stop();
    await sleep(random.between(0, 1_500));
    victim.restart();
    said.push(`${index + 1}${isKilled ? ' killed' : ''}`);
    await sleep(random.between(0, 1_500));
  }
  return `storm (${said.join(', ')})`;
}
