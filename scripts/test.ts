/**
 * `npm test`: types, format and lint, boundaries, unit tests, simulated schedules, then the tests on real services. Stops at the first step that
 * fails, with its exit code. The last line counts the tests of all runs: `N passed, N failed[, N skipped]`.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { messageOf } from '#pipeline/errors.ts';
import { countTests, formatCounts, type TestCounts, unexcused, type VitestReport } from './test-counts.ts';
import { startTestServices } from './test-services.ts';

const root = join(import.meta.dirname, '..');
const bin = (name: string) => join(root, 'node_modules', '.bin', name);
const reports = await mkdtemp(join(tmpdir(), 'baleen-reports-'));
const stopping = new AbortController();
process.once('SIGINT', () => stopping.abort()).once('SIGTERM', () => stopping.abort());

/** Runs a script on the pinned Node; resolves to its exit code, 1 when a signal ended it. */
const run = (
  script: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<number> =>
  new Promise((resolve, reject) => {
    const child = spawn(bin('node'), [script, ...args], {
      cwd: root,
      stdio: 'inherit',
      env: { ...process.env, ...environment },
      signal: stopping.signal,
      killSignal: 'SIGTERM',
    });
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 1));
  });

const total = { passed: 0, failed: 0, skipped: 0 };

async function vitest(
  config: string,
  environment?: Readonly<Record<string, string>>,
): Promise<{ code: number; counts: TestCounts }> {
  const file = join(reports, `${config}.json`);
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
  const code = await run(
    bin('vitest'),
    ['run', '--config', join('scripts', config), ...reporters],
    environment,
  );
  const counts = countTests(JSON.parse(await readFile(file, 'utf8')) as VitestReport);
  total.passed += counts.passed;
  total.failed += counts.failed;
  total.skipped += counts.skipped;
  return { code, counts };
}

/** Where CI runs everything that tests need is there, so a skipped test would be a hole that nobody sees. */
function checkSkipped({ skippedNames }: TestCounts): number {
  for (const name of skippedNames) console.log(`skipped: ${name}`);
  const missing = process.env['CI'] === undefined ? [] : unexcused(skippedNames);
  if (missing.length > 0)
    console.log(`${missing.length} tests must not be skipped in CI: make what they name available`);
  total.failed += missing.length;
  return missing.length > 0 ? 1 : 0;
}

async function brokerTests(): Promise<number> {
  const services = await startTestServices(stopping.signal);
  try {
    const { code, counts } = await vitest('vitest.broker.config.ts', services.environment);
    return code === 0 ? checkSkipped(counts) : code;
  } finally {
    await services.stop();
  }
}

/** What `npm test` does, in order; each resolves to an exit code. */
const steps: readonly (readonly [name: string, work: () => Promise<number>])[] = [
  ['types', () => run(bin('tsc'), [])],
  ['format and lint', () => run(bin('biome'), ['check', '.'])],
  ['boundaries', () => run('scripts/check-boundaries.ts', [])],
  ['unit tests', async () => (await vitest('vitest.config.ts')).code],
  ['simulation', () => run('scripts/simulate.ts', ['--schedules', '2000'])],
  ['broker tests', brokerTests],
];

const seconds = (sinceMs: number) => `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`;
const startedMs = performance.now();
const done: string[] = [];
let exitCode = 0;
for (const [name, work] of steps) {
  console.log(`\n== ${name}`);
  const stepMs = performance.now();
  exitCode = await work().catch((error: unknown) => {
    console.log(messageOf(error));
    return 1;
  });
  console.log(
    `== ${name}: ${exitCode === 0 ? 'passed' : `failed with exit code ${exitCode}`} in ${seconds(stepMs)}`,
  );
  if (exitCode !== 0) {
    // A step without tests of its own, or one that died before it could count: never "0 failed" on a failure.
    if (total.failed === 0) total.failed = 1;
    done.push(`${name} failed`);
    break;
  }
  done.push(`${name} ${seconds(stepMs)}`);
}
await rm(reports, { recursive: true, force: true });
console.log(`\n${exitCode === 0 ? 'passed' : 'failed'} in ${seconds(startedMs)}: ${done.join(', ')}`);
console.log(formatCounts(total));
process.exitCode = exitCode;
