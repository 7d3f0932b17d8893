import { once } from 'node:events';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { ConnectorContext } from '#pipeline/rooms.ts';
import { connectorConformance } from '#pipeline/testing/conformance/connector.ts';
import { memoryConnectorContext } from '#pipeline/testing/connector-context.ts';
import { rawHelius } from '#schemas/topics.ts';
import { createAuthorizer, deliveryOf } from './delivery.ts';
import helius from './index.ts';

const SECRET = 'Bearer 0123456789abcdef';
const SIGNATURE = '5'.repeat(88);
const signatureOf = (index: number) => `${'5'.repeat(86)}${String(index + 11)}`;

const post = (url: string | undefined, body: string | Buffer, headers: Record<string, string> = {}) =>
  fetch(url ?? '', {
    method: 'POST',
    body: new Uint8Array(Buffer.from(body)),
    headers: { authorization: SECRET, 'content-type': 'application/json', ...headers },
  });

connectorConformance(helius, async () => ({
  config: { authorization: SECRET },
  topic: rawHelius,
  async sendGood(index, connector) {
    await vi.waitFor(() => expect(connector.status().url).toBeDefined());
    await post(connector.status().url, JSON.stringify([{ signature: signatureOf(index) }]));
  },
  holds: ({ key }, index) => key === signatureOf(index),
  async sendBad(connector) {
    await post(connector.status().url, 'no json');
  },
  close: () => {},
}));

describe('deliveryOf', () => {
  test.each([
    [
      'an array of transactions',
      JSON.stringify([{ signature: SIGNATURE }, {}]),
      'enhanced-transactions',
      SIGNATURE,
    ],
    ['no transactions', '[]', 'enhanced-transactions', 'none'],
    [
      'a signature of another alphabet',
      `[{"signature":"${'0'.repeat(88)}"}]`,
      'enhanced-transactions',
      'none',
    ],
    ['a hostile prototype', '[{"__proto__":{"signature":"x"}}]', 'enhanced-transactions', 'none'],
    ['an object', '{}', 'unreadable', 'none'],
    ['an array of other things', '[{},1]', 'unreadable', 'none'],
    ['no JSON', '[{', 'unreadable', 'none'],
    ['nothing', '', 'unreadable', 'none'],
    ['bytes that are no UTF-8', Buffer.from([0x5b, 0x22, 0xff, 0x22, 0x5d]), 'unreadable', 'none'],
    ['very deep nesting', '['.repeat(100_000), 'unreadable', 'none'],
  ])('takes %s', (_, body, kind, key) => {
    expect(deliveryOf(Buffer.from(body))).toEqual({ kind, key });
  });
});

test('only the exact header is authorised', () => {
  const isAuthorized = createAuthorizer(SECRET);
  expect(isAuthorized(SECRET)).toBe(true);
  for (const header of [undefined, '', SECRET.toLowerCase(), `${SECRET} `])
    expect(isAuthorized(header)).toBe(false);
});

interface Change {
  readonly method?: string;
  readonly path?: string;
  readonly body?: string | Buffer;
  readonly headers?: Record<string, string>;
}

describe('helius', () => {
  const stops: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const stop of stops.splice(0)) await stop();
  });

  async function listening(settings: object = {}, change: Partial<ConnectorContext> = {}) {
    const memory = memoryConnectorContext();
    const config = helius.config.parse({ authorization: SECRET, ...settings });
    const connector = helius.create(config, { ...memory.context, ...change });
    const controller = new AbortController();
    const ended = connector.run(controller.signal);
    stops.push(async () => {
      controller.abort();
      await ended;
    });
    const url = await vi.waitFor(() => {
      const found = connector.status().url;
      if (found === undefined) throw new Error('not listening yet');
      return found;
    });
    const refused = (reason: string) =>
      memory.context.metrics.total('connector_refused_total', { connector: 'helius', reason });
    return { memory, connector, controller, ended, url, refused };
  }

  test('keeps the body byte for byte under the first signature', async () => {
    const { memory, url } = await listening();
    const body = `[ {"signature":"${SIGNATURE}", "amount": 1e400} ]\n`;
    const response = await post(url, body, { 'content-type': 'text/odd' });
    expect([response.status, await response.text()]).toEqual([200, '']);
    expect(memory.records(rawHelius)).toMatchObject([
      { key: SIGNATURE, value: { source: 'helius', kind: 'enhanced-transactions', body: Buffer.from(body) } },
    ]);
  });

  test('takes a delivery without content type', async () => {
    const { memory, url } = await listening();
    const sent = request(url, { method: 'POST', headers: { authorization: SECRET } });
    sent.end('[]');
    const [response] = await once(sent, 'response');
    expect(response.statusCode).toBe(200);
    response.resume();
    expect(memory.records(rawHelius)).toHaveLength(1);
  });

  test('answers 200 only after Kafka has acknowledged the record', async () => {
    const gate = Promise.withResolvers<void>();
    const { connector, url } = await listening({}, { emit: () => gate.promise });
    let isAnswered = false;
    const answer = post(url, '[]').then((response) => {
      isAnswered = true;
      return response.status;
    });
    await vi.waitFor(() => expect(connector.status().isIdle).toBe(false));
    expect(isAnswered).toBe(false);
    gate.resolve();
    expect(await answer).toBe(200);
    expect(connector.status().isIdle).toBe(true);
  });

  test('answers 503 with a time to wait when Kafka takes too long or fails', async () => {
    const gate = Promise.withResolvers<void>();
    const slow = await listening({ ackTimeoutMs: 30 }, { emit: () => gate.promise });
    const response = await post(slow.url, '[]');
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '5']);
    expect(await slow.refused('kafka')).toBe(1);
    expect(slow.connector.status().isIdle).toBe(false);
    gate.resolve();
    const failing = await listening({}, { emit: () => Promise.reject(new Error('gone')) });
    expect((await post(failing.url, '[]')).status).toBe(503);
    const full = await listening({ ackTimeoutMs: 30 });
    full.memory.setWritable(false);
    expect((await post(full.url, '[]')).status).toBe(503);
    full.memory.setWritable(true);
    expect(full.memory.records(rawHelius)).toEqual([]);
  });

  test('keeps an unreadable delivery and answers 200, so that it is not sent again', async () => {
    const { memory, url } = await listening();
    expect((await post(url, '{"a":')).status).toBe(200);
    expect(memory.records(rawHelius)).toMatchObject([
      { key: 'none', value: { kind: 'unreadable', body: Buffer.from('{"a":') } },
    ]);
  });

  test.each([
    ['another secret', 'unauthorized', 401, { headers: { authorization: 'Bearer wrong' } }],
    ['no secret', 'unauthorized', 401, { headers: { authorization: '' } }],
    ['a compressed body', 'encoding', 415, { headers: { 'content-encoding': 'gzip' }, body: gzipSync('[]') }],
    ['a body that is too large', 'too-large', 413, { body: 'x'.repeat(2_001) }],
    ['another method', 'method', 405, { method: 'GET' }],
    ['another path', 'path', 404, { path: '/other' }],
  ] satisfies [string, string, number, Change][])(
    'refuses %s and says nothing more',
    async (_, reason, status, change: Change) => {
      const { memory, url, refused } = await listening({ maxBodyBytes: 2_000 });
      const { method = 'POST', path = '', body = '[]', headers = {} } = change;
      const response = await fetch(url + path, {
        method,
        headers: { authorization: SECRET, ...headers },
        ...(method === 'POST' ? { body: new Uint8Array(Buffer.from(body)) } : {}),
      });
      expect([response.status, await response.text()]).toEqual([status, '']);
      expect(await refused(reason)).toBe(1);
      expect(memory.records(rawHelius)).toEqual([]);
    },
  );

  test('refuses a body without length once it grows too large', async () => {
    const { url, refused } = await listening({ maxBodyBytes: 2_000 });
    const sent = request(url, { method: 'POST', headers: { authorization: SECRET } });
    sent.on('error', () => {});
    sent.write('x'.repeat(1_500));
    sent.write('x'.repeat(1_500));
    const [response] = await once(sent, 'response');
    expect(response.statusCode).toBe(413);
    sent.destroy();
    expect(await refused('too-large')).toBe(1);
  });

  test('answers 503 above the bytes in flight, and takes more when they have gone', async () => {
    const gate = Promise.withResolvers<void>();
    const { connector, url, refused } = await listening(
      { maxBodyBytes: 100, maxInFlightBytes: 150 },
      { emit: () => gate.promise },
    );
    const first = post(url, ' '.repeat(98) + '[]');
    await vi.waitFor(() => expect(connector.status().isIdle).toBe(false));
    expect((await post(url, ' '.repeat(98) + '[]')).status).toBe(503);
    expect(await refused('overloaded')).toBe(1);
    gate.resolve();
    expect((await first).status).toBe(200);
    await vi.waitFor(async () => expect((await post(url, ' '.repeat(98) + '[]')).status).toBe(200));
  });

  test('takes another port when its own is in use, and says so', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const address = taken.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const { memory, url } = await listening({ port });
    expect(new URL(url).port).not.toBe(String(port));
    expect(memory.lines.find(({ level }) => level === 'warn')?.fields).toMatchObject({ wanted: port, url });
    expect((await post(url, '[]')).status).toBe(200);
    taken.close();
  });

  test('answers what is in flight before it ends', async () => {
    const gate = Promise.withResolvers<void>();
    const { connector, controller, ended, url } = await listening({}, { emit: () => gate.promise });
    const answer = post(url, '[]');
    await vi.waitFor(() => expect(connector.status().isIdle).toBe(false));
    controller.abort();
    gate.resolve();
    expect((await answer).status).toBe(200);
    await ended;
    await expect(post(url, '[]')).rejects.toThrow();
  });

  test('fails its check on a host that is not its own', async () => {
    const config = helius.config.parse({ authorization: SECRET, host: '192.0.2.1' });
    const connector = helius.create(config, memoryConnectorContext().context);
    await expect(connector.check(new AbortController().signal)).rejects.toMatchObject({
      code: 'PROVIDER_REFUSED',
    });
  });

  test('logs neither secrets nor bodies', async () => {
    const { memory, url } = await listening();
    await post(url, '[{"name":"PRIVATE"');
    await post(url, '[]', { authorization: 'WRONG' });
    expect(JSON.stringify(memory.lines)).not.toMatch(/PRIVATE|WRONG|0123456789abcdef/);
  });
});
