/**
 * Runs the engine over a simulated log, schedule by schedule, each with its own faults.
 *
 *     npm run simulate -- --schedules 100000 --seed 1
 *     npm run simulate -- --schedules 1 --seed 4711        # one that failed, again
 */
import { spawn } from 'node:child_process';
import { parseArgs } from 'node:util';
import { runSchedule, type ScheduleResult } from '#pipeline/testing/simulation/schedule.ts';
import { Violation } from '#pipeline/testing/simulation/world.ts';

export interface SimulationResult {
  readonly schedules: number;
  readonly violations: readonly { readonly seed: number; readonly message: string }[];
  readonly sums: Readonly<Record<keyof ScheduleResult, number>>;
}

const NOTHING: ScheduleResult = {
  records: 0,
  disturbed: 0,
  duplicates: 0,
  hops: 0,
  events: 0,
  kills: 0,
  rebalances: 0,
  checkpoints: 0,
  rows: 0,
  cuts: 0,
  forced: 0,
  afterCut: 0,
  excluded: 0,
  takenIn: 0,
  deaths: 0,
  skips: 0,
};

/** Runs seeds `seed`, `seed + step`, ... Stops after `maxViolations`. */
export async function simulate(options: {
  schedules: number;
  seed: number;
  step?: number;
  maxViolations: number;
  onProgress?: (done: number) => void;
}): Promise<SimulationResult> {
  const { schedules, seed, step = 1, maxViolations } = options;
  const violations: { seed: number; message: string }[] = [];
  const sums: Record<keyof ScheduleResult, number> = { ...NOTHING };
  let done = 0;
  for (; done < schedules && violations.length < maxViolations; done += 1) {
    const present = seed + done * step;
    try {
      const result = await runSchedule(present);
      for (const name of Object.keys(sums) as (keyof ScheduleResult)[]) sums[name] += result[name];
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      violations.push({ seed: present, message: error.message });
    }
    options.onProgress?.(done + 1);
  }
  return { schedules: done, violations, sums };
}

const HELP = `Usage: simulate [--schedules N] [--seed S] [--workers N] [--json]
  --schedules N  how many (default 2000)
  --seed S       of the first one (default 1); each next one has the next seed
  --workers N    processes to share them (default 2)
  --violations N stop after so many in one worker (default 5)
  --json         the result as JSON`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      schedules: { type: 'string', default: '2000' },
      seed: { type: 'string', default: '1' },
      workers: { type: 'string', default: '2' },
      step: { type: 'string', default: '1' },
      violations: { type: 'string', default: '5' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(`${HELP}\n`);
    return 0;
  }
  const schedules = Number(values.schedules);
  const seed = Number(values.seed);
  const workers = Math.min(Number(values.workers), schedules);
  const maxViolations = Number(values.violations);
  const startedMs = performance.now();
  const isTerminal = process.stderr.isTTY === true;
  let shownMs = startedMs;
  const onProgress = (done: number): void => {
    const nowMs = performance.now();
    if (nowMs - shownMs < (isTerminal ? 500 : 20_000)) return;
    shownMs = nowMs;
    const seconds = (nowMs - startedMs) / 1000;
    const left = Math.ceil(((schedules / workers - done) * seconds) / done);
    process.stderr.write(
      `${isTerminal ? '\r' : ''}${done * workers}/${schedules} schedules, ${left} s left  ${isTerminal ? '' : '\n'}`,
    );
  };
  const results =
    workers <= 1
      ? [await simulate({ schedules, seed, step: Number(values.step), maxViolations, onProgress })]
      : await Promise.all(
          Array.from({ length: workers }, (_, worker) =>
            share({
              schedules: Math.ceil((schedules - worker) / workers),
              seed: seed + worker,
              step: workers,
              isLoud: worker === 0,
            }),
          ),
        );
  const result = merge(results);
  const seconds = (performance.now() - startedMs) / 1000;
  process.stdout.write(values.json ? `${JSON.stringify(result)}\n` : describe(result, seconds));
  return result.violations.length === 0 ? 0 : 1;
}

/** A process with a share of the seeds. */
function share(options: {
  schedules: number;
  seed: number;
  step: number;
  isLoud: boolean;
}): Promise<SimulationResult> {
  const { schedules, seed, step } = options;
  const given = ['--schedules', schedules, '--seed', seed, '--step', step, '--workers', 1, '--json'].map(
    String,
  );
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [import.meta.filename, ...given], {
      stdio: ['ignore', 'pipe', options.isLoud ? 'inherit' : 'ignore'],
    });
    let output = '';
    child.stdout.on('data', (bytes: Buffer) => {
      output += bytes.toString();
    });
    child.once('close', () => {
      try {
        resolve(JSON.parse(output) as SimulationResult);
      } catch (error) {
        reject(error);
      }
    });
  });
}

function merge(results: readonly SimulationResult[]): SimulationResult {
  const sums: Record<keyof ScheduleResult, number> = { ...NOTHING };
  for (const result of results)
    for (const name of Object.keys(sums) as (keyof ScheduleResult)[]) sums[name] += result.sums[name];
  return {
    schedules: results.reduce((sum, result) => sum + result.schedules, 0),
    violations: results.flatMap((result) => result.violations),
    sums,
  };
}

function describe({ schedules, violations, sums }: SimulationResult, seconds: number): string {
  const share = Math.round((100 * sums.disturbed) / Math.max(1, sums.records));
  return [
    ...violations.map(({ seed, message }) => `seed ${seed}: ${message}`),
    `${schedules} schedules, ${violations.length} violations, ${seconds.toFixed(1)} s`,
    `${sums.records} records, ${share} % of them made while faults were active; ${sums.duplicates} duplicates, ${sums.hops} hops in memory, ${sums.kills} kills, ${sums.rebalances} rebalances, ${sums.checkpoints} checkpoints, ${sums.rows} rows, ${sums.events} events; ${sums.cuts} versions cut (${sums.forced} tasks by decree, ${sums.excluded} without something that stood still, ${sums.takenIn} with it again), ${sums.afterCut} records after it; ${sums.deaths} deaths of poison, ${sums.skips} skips`,
    '',
  ].join('\n');
}

if (import.meta.main) process.exitCode = await main();
