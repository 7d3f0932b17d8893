/**
 * Runs `baleen up` over a recordings folder (or a limited seeded world), kills it at seeded random moments, starts
 * it again, and compares what came out with an undisturbed run.
 *
 *     node scripts/crash-run.ts --recordings ../shared/data --kills 20 --seed 1
 *     node scripts/crash-run.ts --world-blocks 30 --kills 3 --broker-kills 1 --seed 7 --json
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Report } from '#ops/cli/report.ts';
import { Random } from '#pipeline/testing/simulation/scheduler.ts';

export interface CrashRunOptions {
  /** Arguments of `up` that say what flows in. */
  readonly input: readonly string[];
  readonly kills: number;
  /** The broker is killed and started again this many times, in the middle of a run. */
  readonly brokerKills: number;
  readonly seed: number;
  readonly say: (sentence: string) => void;
}

export interface CrashRunResult {
  readonly reference: Report;
  readonly disturbed: Report;
  readonly kills: number;
  /** What differs; empty when the runs agree. */
  readonly problems: readonly string[];
}

const BALEEN = join(import.meta.dirname, '..', 'ops', 'cli', 'baleen.js');
/** The environment without addresses of services: a run that is to be killed starts its own. */
export function ownServices(): NodeJS.ProcessEnv {
  const environment = { ...process.env };
  for (const name of ['KAFKA_BROKERS', 'REGISTRY_URL', 'DATABASE_URL']) delete environment[name];
  return environment;
}

/** A run that does not end by itself within this time is a stall. */
const STALL_MS = 240_000;

export async function crashRun(options: CrashRunOptions): Promise<CrashRunResult> {
  const { input, kills, brokerKills, seed, say } = options;
  const folder = await mkdtemp(join(tmpdir(), 'baleen-crash-'));
  // As root, Postgres runs as another user, who has to pass through.
  await chmod(folder, 0o711);
  const random = new Random(seed);
  let running: ChildProcess | null = null;
  const start = (dataDir: string): ChildProcess => {
    const report = `${dataDir}.json`;
    const given = [
      'up',
      ...input,
      '--speed',
      'max',
      '--exit-when-done',
      '--data-dir',
      dataDir,
      '--report',
      report,
    ];
    running = spawn(process.execPath, [BALEEN, ...given, '--websocket-port', '0'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: ownServices(),
    });
    return running;
  };
  try {
    const calm = join(folder, 'calm');
    const startedMs = performance.now();
    await ended(start(calm));
    const calmMs = performance.now() - startedMs;
    const reference = JSON.parse(await readFile(`${calm}.json`, 'utf8')) as Report;
    say(`undisturbed: ${describe(reference)}, ${Math.round(calmMs)} ms`);

    const dataDir = join(folder, 'disturbed');
    let done = 0;
    while (done < kills) {
      // From the first moments (services still starting) to the end of an undisturbed run.
      const afterMs = Math.round(random.next() * calmMs);
      const child = start(dataDir);
      const isOver = await Promise.race([ended(child).then(() => true), sleep(afterMs).then(() => false)]);
      if (!isOver) {
        child.kill('SIGKILL');
        await exited(child);
        done += 1;
      }
      say(`${done}/${kills}: ${isOver ? 'ended before the kill' : `killed after ${afterMs} ms`}`);
    }
    for (let kill = 0; kill < brokerKills; kill += 1) await killBroker(start(dataDir), dataDir, say);
    await ended(start(dataDir));
    const disturbed = JSON.parse(await readFile(`${dataDir}.json`, 'utf8')) as Report;
    say(`disturbed:   ${describe(disturbed)}`);
    const problems = differences(reference, disturbed);
    const replayed = await replay(dataDir);
    say(`replayed:    ${replayed}`);
    if (!replayed.includes('byte-identical')) problems.push(`replay: ${replayed}`);
    return { reference, disturbed, kills: done, problems };
  } finally {
    const left: ChildProcess | null = running;
    if (left !== null) await stop(left);
    await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 });
  }
}

const stop = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await exited(child);
};

/** Kills the broker below a run as soon as blocks flow, and lets `up` bring it back. */
async function killBroker(
  child: ChildProcess,
  dataDir: string,
  say: (sentence: string) => void,
): Promise<void> {
  const pidPath = join(dataDir, 'run', 'kafka.pid');
  const over = ended(child);
  let isOver = false;
  void over.finally(() => {
    isOver = true;
  });
  let output = '';
  child.stdout?.on('data', (bytes: Buffer) => {
    output += bytes.toString();
  });
  while (!isOver && !output.includes('running; Ctrl-C')) await sleep(20);
  await sleep(500);
  const pid = isOver ? Number.NaN : Number.parseInt(/\d+/.exec(readFileSync(pidPath, 'utf8'))?.[0] ?? '', 10);
  if (Number.isSafeInteger(pid)) {
    process.kill(pid, 'SIGKILL');
    say(`broker ${pid} killed`);
  }
  await over;
}

const exited = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    else child.once('exit', () => resolve());
  });

/** Resolves when the run ended well; a kill from outside counts as well. */
async function ended(child: ChildProcess): Promise<void> {
  let output = '';
  child.stdout?.on('data', (bytes: Buffer) => {
    output = (output + bytes.toString()).slice(-4_000);
  });
  const limit = setTimeout(() => child.kill('SIGABRT'), STALL_MS);
  await exited(child);
  clearTimeout(limit);
  if (child.exitCode === 0 || child.signalCode === 'SIGKILL') return;
  throw new Error(`baleen up ended with ${child.exitCode ?? child.signalCode}; its last lines:\n${output}`);
}

/** Folds what the disturbed run left in the raw topics again; the verdict of `baleen replay`. */
async function replay(dataDir: string): Promise<string> {
  const child = spawn(process.execPath, [BALEEN, 'replay', '--data-dir', dataDir], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: ownServices(),
  });
  let output = '';
  child.stdout.on('data', (bytes: Buffer) => {
    output += bytes.toString();
  });
  await once(child, 'close');
  return output.split('\n').findLast((line) => line.includes(' records in ')) ?? 'no verdict';
}

const describe = ({ blocks, transactions, alerts, duplicatesDropped, topics }: Report): string =>
  `${blocks} blocks, ${transactions} transactions, alerts ${JSON.stringify(alerts)}, ${duplicatesDropped} duplicates dropped, ${topics['dlq.v1']?.records ?? 0} dead letters`;

/** Topics that the run's own facts decide. Raw topics may hold more: what was received twice stands there twice. */
function differences(reference: Report, disturbed: Report): string[] {
  const problems: string[] = [];
  for (const [name, expected] of Object.entries(reference.topics)) {
    const found = disturbed.topics[name];
    if (/^(plan|raw|ledger)\./.test(name) || found === undefined) continue;
    if (found.distinctIds !== expected.distinctIds)
      problems.push(`${name}: expected ${expected.distinctIds} ids, found ${found.distinctIds}`);
    if (found.records !== found.distinctIds)
      problems.push(`${name}: ${found.records} positions for ${found.distinctIds} ids`);
  }
  for (const key of ['blocks', 'transactions'] as const) {
    if (reference[key] !== disturbed[key])
      problems.push(`${key}: expected ${reference[key]}, found ${disturbed[key]}`);
  }
  for (const key of ['alerts', 'postgres'] as const) {
    const [a, b] = [JSON.stringify(reference[key]), JSON.stringify(disturbed[key])];
    if (a !== b) problems.push(`${key}: expected ${a}, found ${b}`);
  }
  if (disturbed.gaps > 0) problems.push(`${disturbed.gaps} gaps`);
  return problems;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      recordings: { type: 'string' },
      'world-blocks': { type: 'string' },
      kills: { type: 'string', default: '20' },
      'broker-kills': { type: 'string', default: '0' },
      seed: { type: 'string', default: '1' },
      json: { type: 'boolean', default: false },
    },
  });
  const input =
    values.recordings === undefined
      ? ['--world-blocks', values['world-blocks'] ?? '30']
      : ['--recordings', values.recordings];
  const result = await crashRun({
    input,
    kills: Number(values.kills),
    brokerKills: Number(values['broker-kills']),
    seed: Number(values.seed),
    say: (sentence) => process.stderr.write(`${sentence}\n`),
  });
  if (values.json) process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
  process.stdout.write(
    `${result.problems.length === 0 ? 'same as undisturbed' : result.problems.join('\n')}\n`,
  );
  process.exitCode = result.problems.length === 0 ? 0 : 1;
}
