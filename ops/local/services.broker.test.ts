import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { silentLog } from '#pipeline/telemetry/log.ts';
import { identityOf, isRunning } from './process.ts';
import { checkKafka, checkRegistry, withDatabase } from './ready.ts';
import { type ServiceEvent, type ServiceOptions, type Services, startServices } from './services.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'baleen-services-'));
const events: ServiceEvent[] = [];
const running: Services[] = [];
const never = new AbortController().signal;
const options: ServiceOptions = {
  dataDir,
  mode: 'local',
  configured: {},
  log: silentLog,
  onProgress: (event) => events.push(event),
  signal: never,
};

const start = async (changes: Partial<ServiceOptions> = {}): Promise<Services> => {
  const services = await startServices({ ...options, ...changes });
  running.push(services);
  return services;
};

const registered = async (services: Services): Promise<unknown> =>
  (await fetch(`${services.registryUrl}/subjects`)).json();

afterAll(async () => {
  for (const services of running) await services.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

describe('local services', () => {
  test('start together, refuse a second owner, restart after a kill, keep their data and leave nothing', async () => {
    const first = await start();
    const ready = events.filter(({ state }) => state === 'ready').map(({ service }) => service);
    expect(ready.toSorted()).toEqual(['kafka', 'postgres', 'registry']);
    await expect(startServices(options)).rejects.toMatchObject({ code: 'SERVICE_FAILED' });

    await withDatabase(first.databaseUrl, never, async (client) => {
      await client.query('create table kept (n int)');
      await client.query('insert into kept values (42)');
    });
    const schema = JSON.stringify({ schema: '"string"' });
    const headers = { 'content-type': 'application/vnd.schemaregistry.v1+json' };
    const request = { method: 'POST', headers, body: schema };
    const response = await fetch(`${first.registryUrl}/subjects/kept-value/versions`, request);
    expect(response.status).toBe(200);

    // Killed by somebody else first, as in an outage: told, and started again on the same port.
    const before = first.pids();
    process.kill(before.kafka ?? 0, 'SIGKILL');
    await expect.poll(() => first.pids().kafka, { timeout: 5_000 }).toBeNull();
    expect(events.some(({ service, state }) => service === 'kafka' && state === 'failed')).toBe(true);
    // All at once, queued one after the other.
    await Promise.all([first.restart('kafka'), first.restart('registry'), first.restart('postgres')]);
    const after = first.pids();
    for (const name of ['kafka', 'registry', 'postgres'] as const) {
      expect(after[name]).not.toBeNull();
      expect(after[name]).not.toBe(before[name]);
    }
    await checkKafka(first.kafkaBrokers, never);
    expect(await registered(first)).toEqual(['kept-value']);
    await first.stop();

    const second = await start();
    expect(second).toMatchObject({
      kafkaBrokers: first.kafkaBrokers,
      registryUrl: first.registryUrl,
      databaseUrl: first.databaseUrl,
    });
    expect(await registered(second)).toEqual(['kept-value']);
    const rows = await withDatabase(second.databaseUrl, never, (client) =>
      client.query('select n from kept'),
    );
    expect(rows.rows).toEqual([{ n: 42 }]);

    const pids = Object.values(second.pids());
    const sinceMs = performance.now();
    await second.stop();
    expect(performance.now() - sinceMs).toBeLessThan(10_000);
    for (const pid of pids) expect(identityOf(pid ?? 0)).toBeNull();
    expect(readdirSync(join(dataDir, 'run'))).toEqual([]);
    expect(existsSync(join(dataDir, 'lock'))).toBe(false);
    await expect(second.restart('kafka')).rejects.toMatchObject({ code: 'SERVICE_FAILED' });
  });

  test('left behind by a killed parent are replaced, on the same ports', async () => {
    const module = JSON.stringify(new URL('./services.ts', import.meta.url).href);
    const setting = JSON.stringify({ dataDir: join(dataDir, 'orphans'), mode: 'local', configured: {} });
    const script = `
      const { startServices } = await import(${module});
      const { silentLog } = await import('#pipeline/telemetry/log.ts');
      const signal = new AbortController().signal;
      const services = await startServices({ ...${setting}, log: silentLog, onProgress: () => {}, signal });
      console.log(JSON.stringify({ brokers: services.kafkaBrokers, pids: services.pids() }));
      setInterval(() => {}, 1_000);
    `;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
      cwd: import.meta.dirname,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const line = await new Promise((resolve) => parent.stdout.once('data', resolve));
    const left = z
      .object({ brokers: z.string(), pids: z.record(z.string(), z.int()) })
      .parse(JSON.parse(String(line)));
    const identities = Object.values(left.pids).map(identityOf);
    const killed = once(parent, 'exit');
    parent.kill('SIGKILL');
    await killed;
    const services = await start({ dataDir: join(dataDir, 'orphans') });
    for (const identity of identities) expect(identity !== null && isRunning(identity)).toBe(false);
    expect(services.kafkaBrokers).toBe(left.brokers);
    await services.stop();
  });

  test('that are configured are only checked', async () => {
    const { KAFKA_BROKERS: kafkaBrokers, REGISTRY_URL, DATABASE_URL: databaseUrl } = process.env;
    const configured = { kafkaBrokers, registryUrl: REGISTRY_URL, databaseUrl };
    const services = await start({ dataDir: join(dataDir, 'configured'), configured });
    expect(services.pids()).toEqual({ kafka: null, registry: null, postgres: null });
    await checkRegistry(services.registryUrl, never);
    await services.stop();
  });

  test('leave nothing behind when the start is aborted', async () => {
    const abort = new AbortController();
    const dir = join(dataDir, 'aborted');
    const onProgress = ({ service, state }: ServiceEvent) => {
      if (service === 'kafka' && state === 'starting') abort.abort(new Error('changed my mind'));
    };
    const starting = startServices({ ...options, dataDir: dir, signal: abort.signal, onProgress });
    await expect(starting).rejects.toThrow('changed my mind');
    expect(readdirSync(join(dir, 'run'))).toEqual([]);
    expect(existsSync(join(dir, 'lock'))).toBe(false);
  });

  test('name a configured service that does not answer, without its password', async () => {
    const databaseUrl = 'postgres://user:hidden@127.0.0.1:9/nothing';
    const configured = {
      kafkaBrokers: process.env['KAFKA_BROKERS'],
      registryUrl: process.env['REGISTRY_URL'],
      databaseUrl,
    };
    const error: unknown = await startServices({
      ...options,
      dataDir: join(dataDir, 'absent'),
      configured,
    }).catch((e) => e);
    expect(error).toMatchObject({
      code: 'SERVICE_UNREACHABLE',
      message: expect.stringContaining('127.0.0.1:9'),
    });
    expect(String(error)).not.toContain('hidden');
  });
});
