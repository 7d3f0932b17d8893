/**
 * Records for programs and pages, as JSON over WebSocket (RFC 6455). The protocol, with examples, is in
 * `ops/websocket.md`; in short:
 *
 *     -> {"op":"subscribe","id":"a","topic":"alerts.v1","filter":{"ruleId":"eth-over-100","severityAtLeast":50},"from":"earliest"}
 *     <- {"type":"subscribed","id":"a"}
 *     <- {"type":"record","id":"a","topic":"alerts.v1","key":"ethereum:native","position":"alert-0:7","partition":0,
 *         "offset":7,"logTimeMs":1763700000123,"record":{"id":"...","op":"assert",...}}
 *     <- {"type":"caught-up","id":"a"}
 *
 * `retracted` instead of `record`: taken back. Exact integers are decimal text. Nothing is kept: a client that was away
 * subscribes from earliest and skips what it has by `position`. A slow client is told and closed (1013); it never holds
 * up the others. Fails at the start only, when it cannot listen (SINK_REFUSED).
 */
import { z } from 'zod';
import { defineSink } from '#pipeline/rooms.ts';
import { alerts, enrichedTransfers, scoresEvents } from '#schemas/topics.ts';
import { type Client, createClient } from './client.ts';
import { type EncodedRecord, encodeRecord } from './protocol.ts';
import { createPort } from './server.ts';
import { createTurns } from './turns.ts';

const inputs = [alerts, scoresEvents, enrichedTransfers];

/** Readings of the past at once, over all clients. */
const PASTS_AT_ONCE = 4;
/** What clients are given to take what is queued for them when the sink closes. */
const CLOSE_GRACE_MS = 3_000;

const config = z.strictObject({
  host: z.string().min(1).default('127.0.0.1').meta({ description: 'address to listen on' }),
  port: z
    .int()
    .min(0)
    .max(65_535)
    .default(8_787)
    .meta({ description: 'another free one is taken when in use; 0: any' }),
  path: z.string().startsWith('/').default('/ws').meta({ description: 'path of the handshake' }),
  allowedOrigins: z.array(z.url()).default([]).meta({
    description: 'pages that may connect, such as https://desk.example; programs send none and may',
  }),
  token: z.string().min(16).nullable().default(null).meta({
    description: 'asked for at the handshake (?token= or Authorization: Bearer); null: none',
    secret: true,
  }),
  maxClients: z.int().min(1).default(1_000).meta({ description: 'further ones are answered with 503' }),
  maxMessageBytes: z.int().min(64).default(16_384).meta({ description: 'largest message of a client' }),
  maxMessagesPerSecond: z
    .int()
    .min(1)
    .default(50)
    .meta({ description: 'of a client; more closes it (1008)' }),
  maxBufferedBytes: z
    .int()
    .min(1_024)
    .default(8_388_608)
    .meta({ description: 'what may wait for a client; more closes it (1013)' }),
  pingIntervalMs: z
    .int()
    .min(100)
    .default(30_000)
    .meta({ description: 'a client that misses one is cut off' }),
});

export default defineSink({
  name: 'websocket',
  summary: 'Live alerts, scores and transfers for programs and pages, over WebSocket.',
  config,
  inputs,
  create: (settings, context) => {
    const { clock } = context;
    const log = context.log.for('websocket');
    const clients = new Set<Client>();
    const queuePast = createTurns(PASTS_AT_ONCE);
    const counts = { connected: 0, evicted: 0, records: 0 };
    let listening: Promise<number> | null = null;
    let port: number | null = null;
    let stopPings = () => {};
    let closing: Promise<void> | null = null;

    const door = createPort({
      ...settings,
      log,
      hasRoom: () => clients.size < settings.maxClients,
      describe: () => ({
        name: 'baleen',
        path: settings.path,
        topics: inputs.map(({ name, key }) => ({ name, key })),
        clients: clients.size,
        ...counts,
      }),
      onSocket: (socket) => {
        counts.connected += 1;
        const client = createClient({
          ...settings,
          socket,
          clock,
          log,
          topics: inputs,
          read: context.read,
          queuePast,
          onEvicted: () => {
            counts.evicted += 1;
          },
        });
        clients.add(client);
        socket.once('close', () => clients.delete(client));
      },
    });

    async function close(): Promise<void> {
      stopPings();
      if (listening === null) return;
      const hasOpened = await listening.then(
        () => true,
        () => false,
      );
      if (!hasOpened) return;
      door.refuse();
      const waiting = new AbortController();
      await Promise.race([
        Promise.all([...clients].map((client) => client.close())),
        clock.sleep(CLOSE_GRACE_MS, waiting.signal),
      ]);
      waiting.abort();
      for (const client of clients) client.terminate();
      await door.close();
    }

    return {
      check: async (signal) => {
        signal.throwIfAborted();
        listening ??= door.open();
        port = await listening;
        stopPings();
        stopPings = clock.every(settings.pingIntervalMs, () => {
          for (const client of clients) client.ping();
        });
      },
      load: () => Promise.resolve(null),
      write: (batch) => {
        for (const record of batch.records) {
          let encoded: EncodedRecord | null = null;
          const once = () => (encoded ??= encodeRecord(record));
          for (const client of clients) client.live(record, once);
        }
        counts.records += batch.records.length;
        return Promise.resolve();
      },
      close: () => (closing ??= close()),
      status: () => ({
        detail: `${clients.size} ${clients.size === 1 ? 'client' : 'clients'}`,
        ...(port === null ? {} : { url: `ws://${printableHost(settings.host)}:${port}${settings.path}` }),
      }),
    };
  },
});

/** IPv6 addresses need brackets in a URL. */
const printableHost = (host: string): string => (host.includes(':') ? `[${host}]` : host);
