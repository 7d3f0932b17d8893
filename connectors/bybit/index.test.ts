import { createServer } from 'node:http';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { ConnectorContext } from '#pipeline/rooms.ts';
import { connectorConformance } from '#pipeline/testing/conformance/connector.ts';
import { memoryConnectorContext } from '#pipeline/testing/connector-context.ts';
import { ledgerCoverage, rawBybit } from '#schemas/topics.ts';
import { type Exchange, startExchange } from './fixtures/exchange.ts';
import bybit from './index.ts';

const BOOK = 'orderbook.200.BTCUSDT';
const SPOT = { categories: { spot: { symbols: ['BTCUSDT'] } } };
const book = (type: string, u: number) => ({
  topic: BOOK,
  type,
  ts: 1,
  data: { s: 'BTCUSDT', b: [], a: [], u },
});
const trade = (i: number) => ({ topic: 'publicTrade.BTCUSDT', type: 'snapshot', data: [{ i }] });

connectorConformance(bybit, async () => {
  const exchange = await startExchange();
  const subscribed = (connector: ReturnType<typeof bybit.create>) =>
    vi.waitFor(() => expect(connector.status().detail).toContain('subscribed'));
  return {
    config: { url: exchange.url, ...SPOT },
    topic: rawBybit,
    async sendGood(index, connector) {
      await subscribed(connector);
      exchange.send(trade(index));
    },
    holds: ({ value }, index) =>
      value instanceof Object && 'body' in value && String(value.body) === JSON.stringify(trade(index)),
    async sendBad(connector) {
      await subscribed(connector);
      exchange.send('{');
    },
    async disconnect() {
      const before = exchange.connectionCount;
      exchange.disconnect();
      await vi.waitFor(() => expect(exchange.connectionCount).toBe(before + 1));
    },
    close: () => exchange.close(),
  };
});

describe('bybit', () => {
  const cleanups: (() => Promise<void> | void)[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  async function receive(
    options: Parameters<typeof startExchange>[0] = {},
    settings: object = {},
    change: Partial<ConnectorContext> = {},
  ) {
    const exchange = await startExchange(options);
    cleanups.push(() => exchange.close());
    const memory = memoryConnectorContext();
    const config = bybit.config.parse({ url: exchange.url, ...SPOT, ...settings });
    const connector = bybit.create(config, { ...memory.context, ...change });
    const controller = new AbortController();
    const ended = connector.run(controller.signal);
    ended.catch(() => {});
    const stop = async () => {
      controller.abort();
      await ended;
    };
    cleanups.push(() => stop().catch(() => {}));
    const idle = () => vi.waitFor(() => expect(connector.status().isIdle).toBe(true));
    const bodies = () => memory.records(rawBybit).map(({ value }) => String(value?.body));
    const ledger = () =>
      memory.records(ledgerCoverage).map(({ value }) => `${value?.state} ${value?.first}..${value?.last}`);
    return { exchange, memory, connector, ended, stop, idle, bodies, ledger };
  }

  const asked = ({ requests }: Exchange, op: string) =>
    requests.filter((request) => request.op === op).map(({ args }) => args);

  test('keeps frames byte for byte under category and symbol, and control frames not at all', async () => {
    const { exchange, memory, idle } = await receive();
    await idle();
    const text = ' {"topic":"tickers.BTCUSDT", "price":1e400}';
    exchange.send(text);
    exchange.send(Buffer.from([1, 2]));
    await vi.waitFor(() => expect(memory.records(rawBybit)).toHaveLength(2));
    expect(memory.records(rawBybit)).toMatchObject([
      { key: 'spot:BTCUSDT', value: { source: 'bybit:spot', kind: 'frame', body: Buffer.from(text) } },
      { key: 'spot:unknown', value: { kind: 'unreadable', body: Buffer.from([1, 2]) } },
    ]);
  });

  test('holds one connection for each category', async () => {
    const symbols = ['BTCUSDT'];
    const { exchange, idle } = await receive({}, { categories: { spot: { symbols }, linear: { symbols } } });
    await idle();
    expect(exchange.connectionCount).toBe(2);
    expect(asked(exchange, 'subscribe').flat()).toHaveLength(7);
  });

  test('connects again and subscribes again, and notes what the book has missed', async () => {
    const { exchange, idle, ledger, memory } = await receive();
    await idle();
    exchange.send(book('snapshot', 10));
    await vi.waitFor(() => expect(ledger()).toEqual(['seen 10..10']));
    exchange.disconnect();
    await vi.waitFor(() => expect(exchange.connectionCount).toBe(2));
    await idle();
    exchange.send(book('snapshot', 20));
    await vi.waitFor(() =>
      expect(ledger().slice(1)).toEqual(['missing 11..19', 'repaired 11..19', 'seen 20..20']),
    );
    expect(asked(exchange, 'subscribe')).toHaveLength(2);
    expect(await memory.context.metrics.total('connector_reconnects_total')).toBe(1);
  });

  test('asks for a new snapshot when updates are missing, on the same connection', async () => {
    const { exchange, idle, ledger, bodies, memory } = await receive();
    await idle();
    for (const frame of [book('snapshot', 10), book('delta', 11), book('delta', 14)]) exchange.send(frame);
    await vi.waitFor(() => expect(asked(exchange, 'subscribe')).toHaveLength(2));
    expect(asked(exchange, 'unsubscribe')).toEqual([[BOOK]]);
    expect(asked(exchange, 'subscribe')[1]).toEqual([BOOK]);
    exchange.send(book('snapshot', 15));
    await vi.waitFor(() => expect(ledger()).toEqual(['seen 10..10', 'missing 12..13', 'repaired 12..13']));
    expect(memory.records(ledgerCoverage)[1]).toMatchObject({
      key: `bybit:spot:${BOOK}`,
      value: { source: `bybit:spot:${BOOK}`, what: 'updates', hash: null },
    });
    expect(bodies()).toHaveLength(4);
    expect(exchange.connectionCount).toBe(1);
    await idle();
  });

  test.each([true, false])(
    'leaves out a refused topic and starts afresh (named in the refusal: %s)',
    async (isNaming) => {
      const { exchange, idle, memory } = await receive({ refuse: ['tickers.BTCUSDT'], isNaming });
      await vi.waitFor(() => expect(asked(exchange, 'subscribe').at(-1)).not.toContain('tickers.BTCUSDT'));
      await idle();
      const connector = { connector: 'bybit', reason: 'topic' };
      expect(await memory.context.metrics.total('connector_refused_total', connector)).toBe(1);
      exchange.send(trade(1));
      await vi.waitFor(() => expect(memory.records(rawBybit)).toHaveLength(1));
    },
  );

  test('says so when every topic was refused, and still stops', async () => {
    const topics = ['tickers.NO'];
    const { memory } = await receive({ refuse: topics }, { categories: { spot: { topics } } });
    await vi.waitFor(() => expect(memory.lines.filter(({ level }) => level === 'error')).toHaveLength(2));
  });

  test('pings, and connects again when no pong comes', async () => {
    let isMute = false;
    const { exchange, idle } = await receive(
      { isMute: () => isMute },
      { pingIntervalMs: 20, pongTimeoutMs: 500 },
    );
    await idle();
    await vi.waitFor(() => expect(asked(exchange, 'ping').length).toBeGreaterThan(2));
    expect(exchange.connectionCount).toBe(1);
    isMute = true;
    await vi.waitFor(() => expect(exchange.connectionCount).toBeGreaterThan(1), 5_000);
    isMute = false;
    await vi.waitFor(async () => idle(), 5_000);
  });

  test('connects again when no data comes although pongs do', async () => {
    const { exchange } = await receive({}, { pingIntervalMs: 20, silenceMs: 100 });
    await vi.waitFor(() => expect(exchange.connectionCount).toBeGreaterThan(1), 5_000);
  });

  test('refuses a frame above the limit and connects again', async () => {
    const { exchange, idle, bodies, memory } = await receive({}, { maxFrameBytes: 1_024 });
    await idle();
    exchange.send('x'.repeat(2_000));
    await vi.waitFor(() => expect(exchange.connectionCount).toBe(2));
    expect(bodies()).toEqual([]);
    expect(memory.lines.at(-1)?.fields).toMatchObject({ reason: 'a frame above maxFrameBytes' });
  });

  test('stops reading while Kafka is behind, and loses nothing', async () => {
    const { exchange, idle, bodies, memory, connector } = await receive();
    await idle();
    memory.setWritable(false);
    exchange.send(trade(0));
    exchange.send(trade(1));
    await vi.waitFor(() => expect(connector.status().detail).toContain('waiting for Kafka'));
    await vi.waitFor(() => expect(bodies()).toHaveLength(2));
    for (const index of [2, 3, 4]) exchange.send(trade(index));
    exchange.send('x');
    expect(connector.status().isIdle).toBe(false);
    memory.setWritable(true);
    await vi.waitFor(() => expect(bodies()).toHaveLength(6));
    await idle();
  });

  test('stops while it is not reading', async () => {
    const { exchange, idle, memory, connector, stop } = await receive();
    await idle();
    memory.setWritable(false);
    for (const index of [0, 1, 2]) exchange.send(trade(index));
    await vi.waitFor(() => expect(connector.status().detail).toContain('waiting for Kafka'));
    await stop();
    expect(connector.status().detail).toContain('not connected');
  });

  test('ends with the error when Kafka refuses a record for good', async () => {
    const refusing = { emit: () => Promise.reject(new Error('full')) };
    const { exchange, idle, ended } = await receive({}, {}, refusing);
    await idle();
    exchange.send(trade(0));
    await expect(ended).rejects.toThrow('full');
  });

  test('tells a refusal from an exchange that is away', async () => {
    const refusing = createServer((_, response) => response.writeHead(403).end());
    refusing.on('upgrade', (_, socket) => socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n'));
    await new Promise<void>((resolve) => refusing.listen(0, '127.0.0.1', resolve));
    const address = refusing.address();
    const url = `ws://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
    const connector = bybit.create(bybit.config.parse({ url, ...SPOT }), memoryConnectorContext().context);
    const { signal } = new AbortController();
    await expect(connector.check(signal)).rejects.toMatchObject({ code: 'PROVIDER_REFUSED' });
    await new Promise((resolve) => refusing.close(resolve));
    await expect(connector.check(signal)).rejects.toMatchObject({ code: 'PROVIDER_UNAVAILABLE' });
  });
});
