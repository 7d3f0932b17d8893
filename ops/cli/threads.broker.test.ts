/** `baleen up --threads 2`, as its user and operator see it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { readAdminAddress } from '#ops/admin/address.ts';
import { statusSchema } from '#ops/admin/status.ts';
import { totalOf } from '#ops/bench/proc.ts';
import { graph } from '#topology/graph.ts';

const BALEEN = join(import.meta.dirname, 'baleen.js');
/** Services of its own: the variables of the test run name others. */
const environment = { ...process.env };
for (const name of ['KAFKA_BROKERS', 'REGISTRY_URL', 'DATABASE_URL']) delete environment[name];

const folders: string[] = [];
const children: ChildProcess[] = [];
afterAll(async () => {
  for (const child of children) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const closed = once(child, 'close');
    child.kill('SIGTERM');
    await closed;
  }
  for (const folder of folders)
    await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 });
});

test('one status, one page of metrics and one look into the stores, and SIGTERM ends all threads in order', {
  timeout: 120_000,
}, async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'baleen-up-'));
  await chmod(dataDir, 0o711);
  folders.push(dataDir);
  const world = ['--world-blocks', '12', '--speed', 'max', '--websocket-port', '0'];
  const child = spawn(process.execPath, [BALEEN, 'up', '--threads', '2', ...world, '--data-dir', dataDir], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: environment,
  });
  children.push(child);
  let [output, errors] = ['', ''];
  child.stdout.on('data', (bytes: Buffer) => {
    output += bytes.toString();
  });
  child.stderr.on('data', (bytes: Buffer) => {
    errors += bytes.toString();
  });
  const closed = once(child, 'close');
  const ask = async (path: string): Promise<Response> => {
    const address = await readAdminAddress(dataDir);
    return fetch(`${address?.url}${path}`);
  };
  await vi.waitFor(
    async () => {
      expect(output).toContain('10 of 10 tasks, 4 sub-topologies, in 2 threads');
      const { state, tasks } = statusSchema.parse(await (await ask('/status')).json());
      expect(state).toBe('running');
      expect(tasks).toHaveLength(graph.tasks().length);
      const steps = tasks.reduce((sum, { step }) => sum + step, 0);
      expect(steps).toBeGreaterThan(1_000);
      const page = await (await ask('/metrics')).text();
      expect(totalOf(page, 'baleen_process_records_total')).toBe(steps);
      expect(page.match(/^# TYPE baleen_gaps_total /gm)).toHaveLength(1);
    },
    { timeout: 90_000, interval: 500 },
  );
  const answer = await (await ask('/state/enrich/tokens/ethereum:native')).json();
  expect(answer).toMatchObject({ found: [0, 1, 2, 3].map((partition) => ({ task: `detect-${partition}` })) });
  child.kill('SIGTERM');
  expect(await closed).toEqual([0, null]);
  expect(errors).toBe('');
  expect(output).not.toContain('warning');
});
