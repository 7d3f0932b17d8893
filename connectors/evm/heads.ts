/** Announces heads: `newHeads` over WebSocket, or polling while there is no socket. */
import WebSocket, { type RawData } from 'ws';
import { backoffMs, type Clock } from '#pipeline/clock.ts';
import { isPipelineError, printableUrl } from '#pipeline/errors.ts';
import type { Log } from '#pipeline/telemetry/log.ts';
import type { Metrics } from '#pipeline/telemetry/metrics.ts';
import type { RpcClient } from './client.ts';
import { parseQuantity, parseSocketMessage } from './parse.ts';
import { type Head, SUBSCRIBE } from './wire.ts';

/** A header is about 2 kB. */
const MAX_FRAME_BYTES = 1024 * 1024;

export interface HeadsOptions {
  readonly wsUrl: string | null;
  readonly pollIntervalMs: number;
  readonly headTimeoutMs: number;
  readonly requestTimeoutMs: number;
}

/** Announces heads until the signal aborts, then resolves. Heads may repeat; none is dropped. */
export async function watchHeads(parts: {
  rpc: RpcClient;
  options: HeadsOptions;
  clock: Clock;
  log: Log;
  metrics: Metrics;
  signal: AbortSignal;
  onHead: (head: Head) => void;
}): Promise<void> {
  const { rpc, options, clock, log, metrics, signal, onHead } = parts;
  const { wsUrl } = options;
  let isSubscribed = false;

  async function poll(): Promise<void> {
    while (!signal.aborted) {
      // First the pause: a socket that is about to open announces heads itself.
      if (wsUrl !== null) await clock.sleep(options.pollIntervalMs, signal);
      if (!isSubscribed && !signal.aborted) await pollOnce();
      if (wsUrl === null) await clock.sleep(options.pollIntervalMs, signal);
    }
  }

  async function pollOnce(): Promise<void> {
    try {
      const answer = await rpc.call({ method: 'eth_blockNumber', params: [], signal });
      const number = answer.kind === 'result' ? parseQuantity(answer.bytes) : null;
      if (number === null) countMalformed();
      // A node that is still looking for its peers says 0: no beginning of anything.
      else if (!isSubscribed && number > 0) onHead({ number, hash: null });
    } catch (error) {
      if (signal.aborted) return;
      if (!isPipelineError(error, 'PROVIDER_UNAVAILABLE')) throw error;
      log.debug('no answer to the question for the head', { error });
    }
  }

  const countMalformed = () =>
    metrics.add('connector_refused_total', { connector: 'evm', reason: 'malformed-head' });

  async function subscribe(url: string): Promise<void> {
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      const wasSubscribed = await holdSocket(url);
      if (signal.aborted) return;
      if (wasSubscribed) attempt = 0;
      await clock.sleep(backoffMs(attempt), signal);
      metrics.add('connector_reconnects_total', { connector: 'evm' });
    }
  }

  /** One connection, from opening to its end; tells whether the node accepted the subscription. */
  function holdSocket(url: string): Promise<boolean> {
    const where = printableUrl(url);
    const socket = new WebSocket(url, {
      maxPayload: MAX_FRAME_BYTES,
      handshakeTimeout: options.requestTimeoutMs,
    });
    let wasSubscribed = false;
    let lastHeadMs = clock.nowMs();

    const receive = (frame: Buffer): void => {
      const message = parseSocketMessage(frame);
      if (message === null) {
        countMalformed();
      } else if (message.kind === 'refused') {
        log.warn('subscription refused, polling instead', { url: where, code: message.code });
        socket.terminate();
      } else {
        isSubscribed = true;
        wasSubscribed = true;
        if (message.kind === 'subscribed') log.info('subscribed to heads', { url: where });
        else announce(message.head);
      }
    };
    const announce = (head: Head): void => {
      lastHeadMs = clock.nowMs();
      onHead(head);
    };
    // A connection can die without a sign (NAT, half-open TCP): silence is the only symptom.
    const stopWatchdog = clock.every(Math.ceil(options.headTimeoutMs / 4), () => {
      if (clock.nowMs() - lastHeadMs <= options.headTimeoutMs) return;
      log.warn('no head for too long, opening the socket again', { url: where });
      socket.terminate();
    });
    const end = () => socket.terminate();
    signal.addEventListener('abort', end, { once: true });

    return new Promise((resolve) => {
      socket.on('open', () => socket.send(SUBSCRIBE));
      socket.on('message', (data) => receive(bytesOf(data)));
      // `close` follows. Only the code is logged: some messages contain the URL.
      socket.on('error', (error) => {
        if (!signal.aborted) log.warn('socket failed', { url: where, code: codeOf(error) });
      });
      socket.on('close', () => {
        stopWatchdog();
        signal.removeEventListener('abort', end);
        isSubscribed = false;
        if (wasSubscribed && !signal.aborted) log.warn('socket closed, opening it again', { url: where });
        resolve(wasSubscribed);
      });
    });
  }

  await Promise.all([poll(), ...(wsUrl === null ? [] : [subscribe(wsUrl)])]);
}

const bytesOf = (data: RawData): Buffer =>
  Buffer.isBuffer(data) ? data : Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);

const codeOf = (error: Error): string =>
  'code' in error && typeof error.code === 'string' ? error.code : error.name;
