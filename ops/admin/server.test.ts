import { createServer, request } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { PipelineError } from '#pipeline/errors.ts';
import type { FoundStore } from '#pipeline/runtime/state-view.ts';
import { keyValue } from '#pipeline/state/key-value.ts';
import { silentLog } from '#pipeline/telemetry/log.ts';
import { createMetrics } from '#pipeline/telemetry/metrics.ts';
import { type AdminOptions, type AdminServer, type StateReader, startAdmin } from './server.ts';
import { statusOf, statusSchema } from './status.ts';

const found: FoundStore = {
  subTopology: 'detect',
  processor: 'enrich',
  store: 'labels',
  declaration: keyValue(),
};
const checkpoint = { step: 7, logTimeMs: 1 };

/** Answers with what it was asked. */
const reader: StateReader = {
  find: (name) => {
    if (name === 'enrich.labels') return found;
    throw new PipelineError('CONFIG_INVALID', `no store ${name}`);
  },
  lookUp: async (_, key) => [{ task: 'detect-0', checkpoint, value: key }],
  list: async (_, { from, limit }) => ({
    entries: [{ key: from, value: limit, tasks: ['detect-0'] }],
    checkpoints: { 'detect-0': checkpoint },
    next: null,
  }),
};
const status = () =>
  statusOf({ pid: 1, startedAtMs: 0, nowMs: 5, restores: [], pipeline: null, isStopping: false });

const servers: { close(): unknown }[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});
async function start(change: Partial<AdminOptions> = {}): Promise<AdminServer> {
  const options = { host: '127.0.0.1', port: 0, metrics: createMetrics(), log: silentLog };
  const server = await startAdmin({ ...options, status, state: () => reader, ...change });
  servers.push(server);
  return server;
}
const ask = async (server: AdminServer, path: string) => {
  const response = await fetch(`${server.url}${path}`);
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() };
};

describe('the admin server', () => {
  test('gives metrics as Prometheus text', async () => {
    const { status, type, text } = await ask(await start(), '/metrics');
    expect(status).toBe(200);
    expect(type).toContain('text/plain; version=0.0.4');
    expect(text).toContain('baleen_produce_retries_total 0');
  });

  test('gives a status that other processes can read', async () => {
    const { text } = await ask(await start(), '/status');
    expect(statusSchema.parse(JSON.parse(text))).toMatchObject({ state: 'starting', pid: 1, tasks: [] });
  });

  test.each([
    ['plain', 'ethereum:0x28'],
    ['with signs of addresses', 'a/b?c#d %'],
    ['of four bytes', '\u{1f40b}'],
    ['of 3,000 characters', 'k'.repeat(3_000)],
    ['that every object has', 'constructor'],
  ])('looks up a key %s', async (_, key) => {
    const { text } = await ask(await start(), `/state/enrich/labels/${encodeURIComponent(key)}`);
    expect(JSON.parse(text)).toEqual({
      store: 'enrich.labels',
      kind: 'key-value',
      key,
      found: [{ task: 'detect-0', checkpoint, value: key }],
    });
  });

  test('lists from a key on, a hundred when no limit is given', async () => {
    const server = await start();
    const entriesOf = async (path: string) => JSON.parse((await ask(server, path)).text).entries;
    expect(await entriesOf('/state/enrich/labels')).toEqual([{ key: '', value: 100, tasks: ['detect-0'] }]);
    expect(await entriesOf('/state/enrich/labels?from=a%2Fb&limit=3')).toEqual([
      { key: 'a/b', value: 3, tasks: ['detect-0'] },
    ]);
  });

  test.each([
    ['/state/enrich/nope', 400, 'no store enrich.nope'],
    ['/state/enrich/labels?limit=0', 400, 'expected a limit from 1 to 10000'],
    ['/state/enrich/labels?limit=1&limit=2', 200, ''],
    ['/state/enrich/labels?__proto__=1', 200, ''],
    ['/else', 404, 'paths that / lists'],
  ])('answers %s with %i', async (path, wanted, words) => {
    const { status, text } = await ask(await start(), path);
    expect(status).toBe(wanted);
    expect(text).toContain(words);
  });

  test('refuses a key that is too long to be one', async () => {
    const { status } = await ask(await start(), `/state/enrich/labels/${'k'.repeat(9_000)}`);
    expect(status).toBe(414);
  });

  test('asks for patience while the tasks are being opened', async () => {
    const { status, text } = await ask(await start({ state: () => null }), '/state/enrich/labels');
    expect(status).toBe(503);
    expect(JSON.parse(text)).toMatchObject({ code: 'SERVICE_UNREACHABLE' });
  });

  test('on loopback does not answer a page of a browser that gave this address a name of its own', async () => {
    const { url } = await start();
    const statusFor = (host: string) =>
      new Promise<number | undefined>((resolve, reject) => {
        request(`${url}/status`, { headers: { host } }, (response) => {
          response.resume();
          resolve(response.statusCode);
        })
          .on('error', reject)
          .end();
      });
    expect(await statusFor('rebound.example')).toBe(403);
    expect(await statusFor('localhost:1')).toBe(200);
    expect(await statusFor(new URL(url).host)).toBe(200);
  });

  test('takes another port when the wished one is in use, and says so', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    servers.push({ close: () => other.close() });
    const address = other.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const warnings: string[] = [];
    const server = await start({ port, log: { ...silentLog, warn: (message) => warnings.push(message) } });
    expect(new URL(server.url).port).not.toBe(String(port));
    expect(warnings).toEqual(['the admin port is in use, another one was taken']);
  });

  test('says which options to correct when it cannot listen', async () => {
    await expect(start({ host: '192.0.2.1' })).rejects.toThrow('correct --admin-host and --admin-port');
  });
});
