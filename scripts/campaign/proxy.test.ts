import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { kafkaRequest } from '#ops/local/ready.ts';
import { clientIdOf, type SpoilingProxy, startProxy } from './proxy.ts';

/** First request of a client with a name. */
function hello(name: string): Buffer {
  const named = Buffer.concat([Buffer.from([0, name.length]), Buffer.from(name)]);
  return Buffer.concat([kafkaRequest(18, 0, Buffer.alloc(0)).subarray(0, 12), named]);
}

/** A server that sends back what it gets, behind a proxy. */
async function echoing(): Promise<SpoilingProxy> {
  const server = createServer((socket) => socket.on('error', () => {}).pipe(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not a TCP server');
  const proxy = await startProxy(address.port);
  onTestFinished(async () => {
    await proxy.close();
    server.close();
  });
  return proxy;
}

interface Client {
  readonly socket: Socket;
  received(): string;
}

async function open(proxy: SpoilingProxy, name: string): Promise<Client> {
  const socket = connect({ host: '127.0.0.1', port: proxy.port });
  onTestFinished(() => {
    socket.destroy();
  });
  socket.on('error', () => {});
  let bytes = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
  });
  await once(socket, 'connect');
  const start = hello(name);
  socket.write(start);
  return { socket, received: () => bytes.subarray(start.length).toString() };
}

const isA = (clientId: string): boolean => clientId === 'a';

describe('a proxy', () => {
  test('finds the name of a client, also in pieces', () => {
    const bytes = hello('worker-1');
    expect(clientIdOf(bytes)).toBe('worker-1');
    expect(clientIdOf(bytes.subarray(0, 13))).toBeNull();
    expect(clientIdOf(bytes.subarray(0, 17))).toBeNull();
  });

  test('passes everything on, in order', async () => {
    const { socket, received } = await open(await echoing(), 'a');
    const text = 'x'.repeat(300_000);
    socket.write(text);
    socket.write('end');
    await expect.poll(() => received().length).toBe(300_003);
    expect(received()).toBe(`${text}end`);
  });

  test('resets only the connections that are meant', async () => {
    const proxy = await echoing();
    const [a, b] = [await open(proxy, 'a'), await open(proxy, 'b')];
    await expect.poll(() => proxy.reset(isA)).toBe(1);
    await expect.poll(() => a.socket.destroyed).toBe(true);
    b.socket.write('still');
    await expect.poll(b.received).toBe('still');
  });

  test('holds what is sent and delivers it later', async () => {
    const proxy = await echoing();
    const [a, b] = [await open(proxy, 'a'), await open(proxy, 'b')];
    a.socket.write('1');
    await expect.poll(a.received).toBe('1');
    const release = proxy.spoil(isA, { mode: 'hold' });
    a.socket.write('2');
    b.socket.write('x');
    await expect.poll(b.received).toBe('x');
    expect(a.received()).toBe('1');
    release();
    await expect.poll(a.received).toBe('12');
  });

  test('loses a connection for good while new ones work', async () => {
    const proxy = await echoing();
    const a = await open(proxy, 'a');
    await expect.poll(() => proxy.lose(isA)).toBe(1);
    a.socket.write('gone');
    const again = await open(proxy, 'a');
    again.socket.write('here');
    await expect.poll(again.received).toBe('here');
    expect(a.received()).toBe('');
    expect(a.socket.destroyed).toBe(false);
  });

  test('refuses until the rule is taken away, and delays while it is slow', async () => {
    const proxy = await echoing();
    const allow = proxy.spoil(isA, { mode: 'refuse' });
    const refused = await open(proxy, 'a');
    await expect.poll(() => refused.socket.destroyed).toBe(true);
    allow();
    proxy.spoil(isA, { mode: 'slow', delayMs: 50 });
    const startedMs = performance.now();
    const slow = await open(proxy, 'a');
    slow.socket.write('x');
    await expect.poll(slow.received).toBe('x');
    expect(performance.now() - startedMs).toBeGreaterThan(95);
  });
});
