/** One connection from open to end: subscriptions, heartbeat, silence, and pausing while Kafka is behind. */
import { type RawData, WebSocket } from 'ws';
import type { Clock } from '#pipeline/clock.ts';
import { createRequests } from './requests.ts';
import { isEverBusy, requestsOf } from './topics.ts';
import { type Frame, frameOf, refusedTopic } from './wire.ts';

const HANDSHAKE_TIMEOUT_MS = 10_000;

/** Timeouts and limits of a connection. */
export interface SessionLimits {
  readonly pingIntervalMs: number;
  readonly pongTimeoutMs: number;
  readonly silenceMs: number;
  readonly maxFrameBytes: number;
}

/** Why a connection ended, and what the next one should do differently. */
export interface SessionEnd {
  /** For people; nothing that the other side wrote. */
  readonly reason: string;
  /** Topics that were refused: left out from now on. */
  readonly refused: readonly string[];
  /** A refusal could not be tied to a topic: ask for each topic in a request of its own. */
  readonly isUnclear: boolean;
  /** HTTP status in place of the upgrade; null when there was none. */
  readonly httpStatus: number | null;
}

export interface Session {
  readonly ended: Promise<SessionEnd>;
  /** Open, and every subscription answered. */
  isSubscribed(): boolean;
  isPaused(): boolean;
  /** Asks for a new snapshot of a topic: unsubscribes and, once that is answered, subscribes again. */
  resnapshot(topic: string): void;
}

/** Opens a connection and keeps it until it ends by itself or by the signal; `ended` never rejects. */
export function openSession(options: {
  url: string;
  topics: readonly string[];
  /** One topic in each request. */
  isSingly: boolean;
  limits: SessionLimits;
  clock: Clock;
  signal: AbortSignal;
  /** Resolves when Kafka has room. */
  writable: () => Promise<void>;
  /** Called in order of arrival for data and for what cannot be read. */
  onFrame: (frame: Frame, bytes: Buffer) => void;
}): Session {
  const { topics, limits, clock, signal } = options;
  const requests = createRequests();
  const refused = new Set<string>();
  const resnapshots = new Set<string>();
  const expectsData = topics.some(isEverBusy);
  let reason: string | null = null;
  let isUnclear = false;
  let httpStatus: number | null = null;
  let isPaused = false;
  let isAwaitingRoom = false;
  let lastDataMs = clock.nowMs();
  let lastPingMs = clock.nowMs();
  let isPongDue = false;

  // Without compression a frame cannot be larger than what came over the wire.
  const socket = new WebSocket(options.url, {
    maxPayload: limits.maxFrameBytes,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    perMessageDeflate: false,
  });

  const end = (why: string): void => {
    reason ??= why;
    socket.terminate();
  };
  const send = (request: object): void => {
    // A failed write is followed by `close`, which ends the session.
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(request), () => {});
  };
  const ask = (op: 'subscribe' | 'unsubscribe', args: readonly string[]): void =>
    send({ req_id: requests.open({ op, topics: args, sentAtMs: clock.nowMs() }), op, args });

  const onAck = (ack: Extract<Frame, { kind: 'ack' }>): void => {
    const request = requests.answer(ack.requestId, ack.op);
    const asked = request?.topics ?? [];
    const isResnapshot = asked.some((topic) => resnapshots.has(topic));
    if (!ack.isSuccess && isResnapshot) {
      end('a new snapshot was refused');
    } else if (!ack.isSuccess) {
      const topic = refusedTopic(ack.message, topics) ?? (asked.length === 1 ? asked[0] : undefined);
      if (topic === undefined) isUnclear = true;
      else refused.add(topic);
    } else if (isResnapshot && ack.op === 'unsubscribe') ask('subscribe', asked);
    else for (const topic of asked) resnapshots.delete(topic);
    // After a refusal the other topics of the connection may fall silent (seen in the field): start afresh.
    if (requests.isEmpty() && (refused.size > 0 || isUnclear)) end('a subscription was refused');
  };

  /** Two frames while there is no room: stop reading, so that the other side feels it. */
  const slowDown = (): void => {
    if (isAwaitingRoom) {
      if (!isPaused) socket.pause();
      isPaused = true;
      return;
    }
    isAwaitingRoom = true;
    void options.writable().then(
      () => {
        isAwaitingRoom = false;
        if (!isPaused) return;
        isPaused = false;
        // Nothing could arrive while paused: the waiting starts again.
        lastDataMs = clock.nowMs();
        lastPingMs = clock.nowMs();
        requests.restart(clock.nowMs());
        socket.resume();
      },
      () => end('Kafka failed'),
    );
  };

  const watch = (): void => {
    if (isPaused || socket.readyState !== WebSocket.OPEN) return;
    const now = clock.nowMs();
    const askedMs = requests.oldestMs();
    if (isPongDue && now - lastPingMs >= limits.pongTimeoutMs) end('no pong');
    else if (expectsData && now - lastDataMs >= limits.silenceMs) end('no data');
    else if (askedMs !== null && now - askedMs >= limits.pongTimeoutMs)
      end('a subscription was not answered');
    else if (!isPongDue && now - lastPingMs >= limits.pingIntervalMs) {
      isPongDue = true;
      lastPingMs = now;
      send({ op: 'ping' });
    }
  };

  socket.on('open', () => {
    lastDataMs = clock.nowMs();
    lastPingMs = clock.nowMs();
    for (const args of requestsOf(topics, options.isSingly)) ask('subscribe', args);
  });
  socket.on('message', (data, isBinary) => {
    const bytes = bytesOf(data);
    const frame = frameOf(bytes, isBinary);
    if (frame.kind === 'pong') isPongDue = false;
    else if (frame.kind === 'ack') onAck(frame);
    else {
      if (frame.kind === 'data') lastDataMs = clock.nowMs();
      options.onFrame(frame, bytes);
      slowDown();
    }
  });
  socket.on('unexpected-response', (_request, response) => {
    httpStatus = response.statusCode ?? 0;
    end(`HTTP ${httpStatus} in place of the upgrade`);
  });
  socket.on('error', (error) => {
    reason ??= isTooLarge(error) ? 'a frame above maxFrameBytes' : 'the connection failed';
  });
  const stopWatching = clock.every(watchMs(limits), watch);
  const onAbort = () => end('stopped');
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });

  const ended = new Promise<SessionEnd>((resolve) => {
    socket.on('close', (code) => {
      stopWatching();
      signal.removeEventListener('abort', onAbort);
      resolve({ reason: reason ?? `closed with code ${code}`, refused: [...refused], isUnclear, httpStatus });
    });
  });
  return {
    ended,
    isSubscribed: () => socket.readyState === WebSocket.OPEN && requests.isEmpty(),
    isPaused: () => isPaused,
    resnapshot(topic) {
      if (resnapshots.has(topic)) return;
      resnapshots.add(topic);
      ask('unsubscribe', [topic]);
    },
  };
}

/** Fine enough for the shortest of the waits. */
const watchMs = ({ pingIntervalMs, pongTimeoutMs, silenceMs }: SessionLimits): number =>
  Math.max(5, Math.min(1_000, Math.floor(Math.min(pingIntervalMs, pongTimeoutMs, silenceMs) / 4)));

const isTooLarge = (error: Error): boolean =>
  'code' in error && error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH';

function bytesOf(data: RawData): Buffer {
  if (Buffer.isBuffer(data)) return data;
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
}
