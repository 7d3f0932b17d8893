/**
 * Faults of one line in the engine's own code, applied one by one to a copy of it. The simulation must catch each:
 * what it cannot catch, it does not prove.
 *
 *     npm run planted-bugs
 *     npm run planted-bugs -- --bug timers-not-restored --schedules 500
 */
import { spawn } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { PlantedBug } from './planted-bugs/bug.ts';
import { ORDER_BUGS } from './planted-bugs/order.ts';
import { POISON_BUGS } from './planted-bugs/poison.ts';
import { RESTART_BUGS } from './planted-bugs/restart.ts';
import { STATE_BUGS } from './planted-bugs/state.ts';
import { VERSION_BUGS } from './planted-bugs/versions.ts';
import type { SimulationResult } from './simulate.ts';

export const PLANTED_BUGS: readonly PlantedBug[] = [
  ...ORDER_BUGS,
  ...RESTART_BUGS,
  ...STATE_BUGS,
  ...VERSION_BUGS,
  ...POISON_BUGS,
];

export interface BugVerdict {
  readonly bug: PlantedBug;
  /** Schedules until it was caught; null: it was not. */
  readonly after: number | null;
  readonly message: string;
}

const root = join(import.meta.dirname, '..');

/** Text of the file with the fault in it. Throws when the line is not there exactly once. */
export function plant(bug: PlantedBug, text: string): string {
  const count = text.split(bug.from).length - 1;
  if (count !== 1)
    throw new Error(
      `${bug.name}: expected its line once in pipeline/${bug.file}, found it ${count} times; correct the list`,
    );
  return text.replace(bug.from, () => bug.to);
}

/** Plants one fault in a copy of the engine and simulates until it shows. */
export async function tryBug(bug: PlantedBug, schedules: number, seed: number): Promise<BugVerdict> {
  const folder = await mkdtemp(join(tmpdir(), 'baleen-bug-'));
  try {
    for (const name of ['pipeline', 'schemas', 'package.json', 'scripts/simulate.ts'])
      await cp(join(root, name), join(folder, name), { recursive: true });
    await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
    const file = join(folder, 'pipeline', bug.file);
    await writeFile(file, plant(bug, await readFile(file, 'utf8')));
    const given = ['--schedules', schedules, '--seed', seed, '--workers', 1, '--violations', 1, '--json'];
    const { code, output } = await run([join(folder, 'scripts/simulate.ts'), ...given.map(String)]);
    if (code === 0) return { bug, after: null, message: '' };
    try {
      const result = JSON.parse(output) as SimulationResult;
      return { bug, after: result.schedules, message: result.violations[0]?.message.split('\n')[0] ?? '' };
    } catch {
      return { bug, after: 1, message: output.trim().split('\n').at(-1) ?? '' };
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function run(given: readonly string[]): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, given, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let errors = '';
    child.stdout.on('data', (bytes: Buffer) => {
      output += bytes.toString();
    });
    child.stderr.on('data', (bytes: Buffer) => {
      errors += bytes.toString();
    });
    child.once('close', (code) => resolve({ code, output: output === '' ? errors : output }));
  });
}

const HELP = `Usage: planted-bugs [--bug NAME] [--schedules N] [--seed S]
  --bug NAME     only this one (may be repeated)
  --schedules N  most schedules for each (default 1000)
  --seed S       of the first schedule (default 1)`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      bug: { type: 'string', multiple: true },
      schedules: { type: 'string', default: '1000' },
      seed: { type: 'string', default: '1' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(`${HELP}\n`);
    return 0;
  }
  const chosen = PLANTED_BUGS.filter(({ name }) => values.bug?.includes(name) ?? true);
  const verdicts: BugVerdict[] = [];
  const waiting = [...chosen];
  const worker = async (): Promise<void> => {
    for (let bug = waiting.shift(); bug !== undefined; bug = waiting.shift()) {
      const verdict = await tryBug(bug, Number(values.schedules), Number(values.seed)).catch(
        (error: unknown): BugVerdict => ({ bug, after: null, message: String(error) }),
      );
      verdicts.push(verdict);
      const { after, message } = verdict;
      const said = after === null ? 'MISSED' : `caught after ${String(after).padStart(3)}`;
      process.stdout.write(`${bug.name.padEnd(36)} ${said}  ${message.slice(0, 100)}\n`);
    }
  };
  await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, worker));
  const missed = verdicts.filter(({ after }) => after === null);
  const soon = verdicts.filter(({ after }) => after !== null && after <= 10);
  process.stdout.write(
    `${verdicts.length - missed.length} of ${verdicts.length} caught, ${soon.length} within 10 schedules\n`,
  );
  return missed.length === 0 ? 0 : 1;
}

if (import.meta.main) process.exitCode = await main();
