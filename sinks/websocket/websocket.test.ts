import { afterEach, describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { systemClock } from '#pipeline/clock.ts';
import type { Sink, SinkContext, SinkRecord } from '#pipeline/rooms.ts';
import { silentLog } from '#pipeline/telemetry/log.ts';
import { createMetrics } from '#pipeline/telemetry/metrics.ts';
import { sampleBatch, sinkExam } from '#pipeline/testing/conformance/sink.ts';
import { alerts } from '#schemas/topics.ts';
import { HOSTILE_TEXTS, sampleAlert, sampleValue } from '../sample-records.ts';
import websocket from './index.ts';

const context = (past: readonly SinkRecord[] = []): SinkContext => ({
  clock: systemClock,
  log: silentLog,
  metrics: createMetrics(),
  // The past of a test has values of the topic that is asked for.
  read: async function* () {
    yield* past as never[];
  },
});

for (const { name, run } of sinkExam({
  definition: websocket,
  config: () => websocket.config.parse({ port: 0 }),
  context,
  sample: sampleValue,
  hostileTexts: HOSTILE_TEXTS,
})) {
  test(name, run);
}

const record = (sequence: number, value = sampleAlert(`a${sequence}`)): SinkRecord => ({
  topic: alerts,
  partition: 0,
  offset: sequence,
  key: 'ethereum:native',
  value,
  logTimeMs: sequence,
  writer: 'alert-0',
  sequence,
});
const batch = (...records: SinkRecord[]) => ({ records, before: [], after: [], resume: [] });
const subscribe = (options: object = {}) => ({ op: 'subscribe', id: 's', topic: 'alerts.v1', ...options });

describe('clients', () => {
  const sinks: Sink[] = [];
  const sockets: WebSocket[] = [];
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.terminate();
    for (const sink of sinks.splice(0)) await sink.close();
  });

  async function open(config: object = {}, past: readonly SinkRecord[] = []): Promise<Sink> {
    const sink = websocket.create(websocket.config.parse({ port: 0, ...config }), context(past));
    sinks.push(sink);
    await sink.check(new AbortController().signal);
    return sink;
  }

  function connect(sink: Sink, options: { query?: string; headers?: Record<string, string> } = {}) {
    const socket = new WebSocket(`${sink.status().url}${options.query ?? ''}`, {
      headers: options.headers ?? {},
    });
    sockets.push(socket);
    const received: Record<string, unknown>[] = [];
    socket.on('message', (data) => received.push(JSON.parse(String(data))));
    const closed = new Promise<number>((resolve) => socket.on('close', resolve));
    const opened = new Promise<void>((resolve, reject) => socket.on('open', resolve).on('error', reject));
    return {
      socket,
      received,
      closed,
      opened,
      /** Sends, and waits until a message of this type has come. */
      ask: async (message: unknown, type: string) => {
        await opened;
        socket.send(typeof message === 'string' ? message : JSON.stringify(message));
        await vi.waitFor(() => expect(received.map((each) => each.type)).toContain(type));
      },
      /** Waits for the ids of the records received. */
      hasRecords: (...ids: string[]) =>
        vi.waitFor(() =>
          expect(
            received.filter(({ record }) => record !== undefined).map(({ record }) => Object(record).id),
          ).toEqual(ids),
        ),
    };
  }

  test('receive what they subscribed to, until they unsubscribe', async () => {
    const sink = await open();
    const client = connect(sink);
    await client.ask(subscribe({ filter: { ruleId: 'eth-over-100', severityAtLeast: 50 } }), 'subscribed');
    await sink.write(batch(record(1), record(2, sampleAlert('low', { severity: 49 })), record(3)));
    await sink.write(batch(record(4, sampleAlert('back', { op: 'retract' }))));
    await client.hasRecords('a1', 'a3', 'back');
    expect(client.received.at(-1)).toMatchObject({ type: 'retracted', id: 's', position: 'alert-0:4' });
    await client.ask({ op: 'unsubscribe', id: 's' }, 'unsubscribed');
    await sink.write(batch(record(5)));
    await client.ask({ op: 'ping' }, 'pong');
    await client.hasRecords('a1', 'a3', 'back');
    expect(sink.status().detail).toBe('1 client');
  });

  test('receive the past, then the present, each record once', async () => {
    const sink = await open({}, [record(1), record(2)]);
    const client = connect(sink);
    await client.ask(subscribe({ from: 'earliest' }), 'caught-up');
    await sink.write(batch(record(2), record(3)));
    await client.hasRecords('a1', 'a2', 'a3');
  });

  test('receive a past larger than what may wait for them', async () => {
    const past = Array.from({ length: 2_000 }, (_, index) => record(index + 1));
    const sink = await open({ maxBufferedBytes: 524_288 }, past);
    const client = connect(sink);
    await client.ask(subscribe({ from: 'earliest' }), 'subscribed');
    await vi.waitFor(() => expect(client.received.at(-1)).toEqual({ type: 'caught-up', id: 's' }), 5_000);
    expect(client.received).toHaveLength(2_002);
  });

  test.each([
    ['{', 'MESSAGE_INVALID'],
    [subscribe({ topic: 'plan.v1' }), 'TOPIC_UNKNOWN'],
    [subscribe({ filter: { rule: 1 } }), 'FILTER_INVALID'],
    [{ op: 'unsubscribe', id: 'x' }, 'SUBSCRIPTION_UNKNOWN'],
  ])('are told what is wrong with %j', async (message, code) => {
    const client = connect(await open());
    await client.ask(message, 'error');
    expect(client.received).toEqual([expect.objectContaining({ type: 'error', code })]);
  });

  test('that do not read are told and closed, and hold nobody up', async () => {
    const sink = await open({ maxBufferedBytes: 65_536 });
    const [slow, other] = [connect(sink), connect(sink)];
    await slow.ask(subscribe(), 'subscribed');
    await other.ask(subscribe({ filter: { ruleId: 'other' } }), 'subscribed');
    slow.socket.pause();
    const large = sampleAlert('large', { text: 'x'.repeat(1_000_000) });
    for (let sequence = 1; sequence <= 20; sequence += 1) await sink.write(batch(record(sequence, large)));
    await sink.write(batch(record(21, sampleAlert('other', { ruleId: 'other' }))));
    await other.hasRecords('other');
    slow.socket.resume();
    expect(await slow.closed).toBe(1013);
    expect(slow.received.at(-1)).toMatchObject({ type: 'error', code: 'TOO_SLOW' });
  });

  test('that send too much or too often are closed', async () => {
    const sink = await open({ maxMessagesPerSecond: 3, maxMessageBytes: 64 });
    const [often, much] = [connect(sink), connect(sink)];
    await Promise.all([often.opened, much.opened]);
    for (let count = 0; count < 9; count += 1) often.socket.send('{"op":"ping"}');
    expect(await often.closed).toBe(1008);
    much.socket.send('x'.repeat(65));
    expect(await much.closed).toBe(1009);
  });

  test('need the token where one is set, and a listed origin where they have one', async () => {
    const token = 'sixteen characters';
    const sink = await open({ token, allowedOrigins: ['https://desk.example'], maxClients: 2 });
    await expect(connect(sink).opened).rejects.toThrow('401');
    const evil = connect(sink, { query: `?token=${token}`, headers: { origin: 'https://evil.example' } });
    await expect(evil.opened).rejects.toThrow('403');
    await connect(sink, { headers: { authorization: `Bearer ${token}`, origin: 'https://desk.example' } })
      .opened;
    await connect(sink, { query: `?token=${token}` }).opened;
    await expect(connect(sink, { query: `?token=${token}` }).opened).rejects.toThrow('503');
  });

  test('receive what is queued for them when the sink closes', async () => {
    const sink = await open();
    const client = connect(sink);
    await client.ask(subscribe(), 'subscribed');
    const large = sampleAlert('large', { text: 'x'.repeat(1_000_000) });
    await sink.write(batch(record(1, large), record(2, large), record(3)));
    await sink.close();
    expect(await client.closed).toBe(1001);
    await client.hasRecords('large', 'large', 'a3');
  });

  test('that give no sign of life are cut off', async () => {
    const sink = await open({ pingIntervalMs: 100 });
    const client = connect(sink);
    await client.opened;
    client.socket.pause();
    await vi.waitFor(() => expect(sink.status().detail).toBe('0 clients'), 5_000);
  });

  test('and pages find topics and health on the same port, without secrets', async () => {
    const sink = await open({ token: 'sixteen characters' });
    const base = sink.status().url?.replace('ws://', 'http://').replace('/ws', '');
    const index = await (await fetch(`${base}/`)).text();
    expect(JSON.parse(index)).toMatchObject({ path: '/ws', clients: 0 });
    expect(index).not.toContain('sixteen');
    expect(await (await fetch(`${base}/health`)).json()).toEqual({ status: 'ok' });
    expect((await fetch(`${base}/ws`)).status).toBe(426);
    expect((await fetch(`${base}/`, { method: 'POST', body: 'x' })).status).toBe(405);
  });

  test('find the sink on another port when its own is in use', async () => {
    const first = await open();
    const port = Number(new URL(first.status().url ?? '').port);
    const second = await open({ port });
    expect(Number(new URL(second.status().url ?? '').port)).not.toBe(port);
    await connect(second).opened;
  });
});

test('a batch for nobody costs nothing and is taken', async () => {
  const sink = websocket.create(websocket.config.parse({ port: 0 }), context());
  await sink.write(sampleBatch([alerts], { texts: ['a'], sample: sampleValue }));
  await sink.close();
});
