/** The whole way, as a user runs it: `baleen up` over recordings, with a subscriber, then `baleen replay`. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';
import WebSocket from 'ws';
import { readEndpoints } from './endpoints.ts';
import type { Report } from './report.ts';

const BALEEN = join(import.meta.dirname, 'baleen.js');
const RECORDINGS = resolve(process.env['BALEEN_RECORDINGS'] ?? '../shared/data');
/** Services of its own: the variables of the test run name others. */
const environment = { ...process.env };
for (const name of ['KAFKA_BROKERS', 'REGISTRY_URL', 'DATABASE_URL']) delete environment[name];

const folders: string[] = [];
const newFolder = async (): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'baleen-up-'));
  await chmod(folder, 0o711);
  folders.push(folder);
  return folder;
};
afterAll(async () => {
  for (const folder of folders)
    await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 });
});

const start = (...given: readonly string[]): ChildProcess =>
  spawn(process.execPath, [BALEEN, ...given], { stdio: ['ignore', 'pipe', 'pipe'], env: environment });

const ended = (child: ChildProcess): Promise<number | null> =>
  new Promise((done) => (child.exitCode === null ? child.once('exit', done) : done(child.exitCode)));

interface LiveAlert {
  readonly id: string;
  readonly amountRaw: string;
  readonly ruleId: string;
}

/** Subscribes as soon as `up` listens; collects every alert from the first on. */
async function subscribe(dataDir: string): Promise<LiveAlert[]> {
  let url: string | null = null;
  while (url === null) {
    url = (existsSync(dataDir) ? await readEndpoints(dataDir) : null)?.websocketUrl ?? null;
    if (url === null) await sleep(50);
  }
  const received: LiveAlert[] = [];
  const socket = new WebSocket(url);
  socket.once('open', () =>
    socket.send(JSON.stringify({ op: 'subscribe', id: 'a', topic: 'alerts.v1', from: 'earliest' })),
  );
  socket.on('message', (bytes) => {
    const message = JSON.parse(bytes.toString()) as { type: string; record?: LiveAlert };
    if (message.type === 'record' && message.record !== undefined) received.push(message.record);
  });
  return received;
}

describe('the recorded data', () => {
  test.skipIf(!existsSync(RECORDINGS))(
    'gives each alert once, everywhere, exact to the wei, and again byte by byte in a replay',
    { timeout: 240_000 },
    async () => {
      const dataDir = await newFolder();
      const path = join(dataDir, 'report.json');
      const input = ['--recordings', RECORDINGS, '--speed', 'max', '--exit-when-done'];
      const run = start('up', ...input, '--report', path, '--data-dir', dataDir, '--websocket-port', '0');
      const [received, code] = await Promise.all([subscribe(dataDir), ended(run)]);
      expect(code).toBe(0);

      const report = JSON.parse(await readFile(path, 'utf8')) as Report;
      expect(report).toMatchObject({ blocks: 260, transactions: 58_171, gaps: 0, deadLetters: 0 });
      expect(report.alerts['eth-over-100']).toBe(68);
      expect(report.topics['alerts.v1']).toMatchObject({ records: 68, distinctIds: 68 });
      expect(report.postgres['alerts']).toBe(68);
      expect(report.topics['market.trades.v1']?.distinctIds).toBe(79 + 20);
      expect(report.coverage['evm:1']).toMatchObject({ seen: 260, repaired: 0 });
      expect(report.coverage['evm:1']?.missing).toBeGreaterThan(0);

      expect(new Set(received.map(({ id }) => id)).size).toBe(68);
      expect(received).toHaveLength(68);
      const sum = received.reduce((total, { amountRaw }) => total + BigInt(amountRaw), 0n);
      expect(sum).toBe(56_241_519_997_577_872_205_340n);

      const replayed = execFileSync(process.execPath, [BALEEN, 'replay', '--json', '--data-dir', dataDir], {
        encoding: 'utf8',
        env: environment,
      });
      expect(JSON.parse(replayed)).toMatchObject({ different: 0 });
    },
  );
});
