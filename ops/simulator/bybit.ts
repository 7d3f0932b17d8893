/**
 * The v5 public WebSocket of the exchange (bybit-exchange/docs, v5/ws/connect): `/v5/public/{category}`.
 * Every connection is played its feed from the start, as soon as its subscriptions have been quiet for a moment.
 */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { setImmediate as turn } from 'node:timers/promises';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Clock } from '#pipeline/clock.ts';
import type { Log } from '#pipeline/telemetry/log.ts';
import type { BybitFeed } from './bybit-feed.ts';
import { createTopicState } from './bybit-state.ts';
import { asObject, parseJson } from './lines.ts';
import { closeServer, listen } from './listen.ts';
import { type Progress, type Speed, scaledMs } from './speed.ts';

const QUIET_MS = 50;
const MAX_REQUEST_BYTES = 64 * 1024;
const MAX_SPOT_ARGS = 10;
/** Frames in a row before other connections get their turn. */
const BURST_FRAMES = 200;
const MAX_BUFFERED_BYTES = 512 * 1024;

export interface BybitServer {
  /** Base: the category follows. */
  readonly url: string;
  progress(): readonly Progress[];
  close(): Promise<void>;
}

/** What was delivered of one feed, over all connections. */
interface Tally {
  readonly topics: Set<string>;
  sent: number;
  isDone: boolean;
}

/** Starts the server on loopback; `port` 0 takes any free one. Throws SERVICE_FAILED when it is taken. */
export async function startBybitServer(options: {
  feeds: readonly BybitFeed[];
  speed: Speed;
  port: number;
  log: Log;
  clock: Clock;
}): Promise<BybitServer> {
  const { feeds, log } = options;
  const stopped = new AbortController();
  const tallies = new Map(feeds.map((feed) => [feed, { topics: new Set<string>(), sent: 0, isDone: false }]));
  let connections = 0;
  const server = createServer((_request, response) => {
    response.writeHead(404);
    response.end();
  });
  const sockets = new WebSocketServer({ server, maxPayload: MAX_REQUEST_BYTES });
  // The HTTP server's error comes here too; `listen` reports it.
  sockets.on('error', () => {});
  sockets.on('connection', (socket, request) => {
    const category = /^\/v5\/public\/([a-z]+)$/.exec((request.url ?? '').split('?')[0] ?? '')?.[1];
    socket.on('error', (error) => log.debug('an exchange connection failed', { error }));
    if (category === undefined) {
      socket.close(1008, 'no such path');
      return;
    }
    connections += 1;
    const feed = feeds.find((candidate) => candidate.category === category) ?? emptyFeed(category);
    const tally = tallies.get(feed) ?? { topics: new Set<string>(), sent: 0, isDone: false };
    const connection = {
      ...options,
      socket,
      feed,
      tally,
      connId: connId(connections),
      stopped: stopped.signal,
    };
    serve(connection);
  });
  const port = await listen(server, options.port, 'the exchange');
  return {
    url: `ws://127.0.0.1:${port}/v5/public`,
    progress: () => feeds.map((feed) => progressOf(feed, tallies.get(feed)!)),
    close: async () => {
      stopped.abort();
      await closeServer(server, sockets);
    },
  };
}

const emptyFeed = (category: string): BybitFeed => ({
  category,
  counts: new Map(),
  isTopic: () => false,
  frames: () => [],
});
const connId = (count: number): string =>
  createHash('sha256').update(`connection ${count}`).digest('hex').slice(0, 20);

function progressOf(feed: BybitFeed, tally: Tally): Progress {
  const provider = `bybit-${feed.category}`;
  if (feed.counts === null) return { provider, sent: tally.sent, total: null, isDone: false };
  const counted = [...feed.counts].filter(([topic]) => tally.topics.size === 0 || tally.topics.has(topic));
  const total = counted.reduce((sum, [, count]) => sum + count, 0);
  return { provider, sent: tally.sent, total, isDone: feed.counts.size === 0 || tally.isDone };
}

function serve(connection: {
  socket: WebSocket;
  feed: BybitFeed;
  tally: Tally;
  connId: string;
  stopped: AbortSignal;
  speed: Speed;
  log: Log;
  clock: Clock;
}): void {
  const { socket, feed, tally, clock } = connection;
  const subscribed = new Set<string>();
  const state = createTopicState();
  const ended = new AbortController();
  const signal = AbortSignal.any([connection.stopped, ended.signal]);
  let isPlaying = false;
  let quiet = new AbortController();
  socket.on('close', () => ended.abort());

  const play = async (): Promise<void> => {
    isPlaying = true;
    const startMs = clock.nowMs();
    let sent = 0;
    let played = 0;
    for await (const frame of feed.frames()) {
      const waitMs = startMs + scaledMs(frame.atMs, connection.speed) - clock.nowMs();
      if (connection.speed !== 'max' && waitMs > 1) await clock.sleep(waitMs, signal);
      else if (played % BURST_FRAMES === 0) await turn();
      if (signal.aborted) return;
      played += 1;
      state.apply(frame.topic, frame.text);
      if (!subscribed.has(frame.topic)) continue;
      const written = send(socket, frame.text);
      if (socket.bufferedAmount > MAX_BUFFERED_BYTES) await written;
      sent += 1;
      if (feed.counts === null) tally.sent += 1;
      else tally.sent = Math.max(tally.sent, sent);
    }
    // A pong shows that the client has read all that was sent before the ping.
    socket.once('pong', () => {
      tally.isDone = true;
    });
    socket.ping();
  };
  /** Clients send several requests; playing starts after the last of them. */
  const playWhenQuiet = async (): Promise<void> => {
    quiet.abort();
    const mine = new AbortController();
    quiet = mine;
    await clock.sleep(QUIET_MS, AbortSignal.any([signal, mine.signal]));
    if (!mine.signal.aborted && !signal.aborted && !isPlaying && subscribed.size > 0) await play();
  };

  socket.on('message', (bytes) => {
    const request = asObject(parseJson(String(bytes))?.value);
    const op = request?.op;
    const fields = {
      conn_id: connection.connId,
      ...(request?.req_id === undefined ? {} : { req_id: request.req_id }),
      op,
    };
    const answer = (success: boolean, ret_msg: string) =>
      void send(socket, JSON.stringify({ success, ret_msg, ...fields }));
    if (op === 'ping') return answer(true, 'pong');
    if (op !== 'subscribe' && op !== 'unsubscribe') return answer(false, 'error:request is not valid');
    const args = Array.isArray(request?.args) ? request.args.map(String) : [];
    if (feed.category === 'spot' && args.length > MAX_SPOT_ARGS) return answer(false, 'args size >10');
    const unknown = args.find((topic) => !feed.isTopic(topic));
    if (args.length === 0 || unknown !== undefined)
      return answer(false, `error:handler not found,topic:${(unknown ?? '').slice(0, 100)}`);
    answer(true, feed.category === 'spot' ? op : '');
    if (op === 'unsubscribe') {
      for (const topic of args) subscribed.delete(topic);
      return;
    }
    for (const topic of args) {
      subscribed.add(topic);
      tally.topics.add(topic);
      const snapshot = state.snapshot(topic);
      if (snapshot !== null) void send(socket, snapshot);
    }
    playWhenQuiet().catch((error: unknown) => connection.log.error('playing a feed failed', { error }));
  });
}

/** Resolves when the text has left for the network, or the connection is gone. */
const send = (socket: WebSocket, text: string): Promise<void> =>
  new Promise((resolve) => socket.send(text, () => resolve()));
