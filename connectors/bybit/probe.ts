/** Can the exchange be reached? Connects and pings, as a session does, and leaves. */
import { WebSocket } from 'ws';
import type { Clock } from '#pipeline/clock.ts';
import { PipelineError, printableUrl } from '#pipeline/errors.ts';

const PROBE_TIMEOUT_MS = 10_000;

/** Resolves on the first answer. Throws PROVIDER_REFUSED on HTTP 401, 403 and 404, else PROVIDER_UNAVAILABLE. */
export function probe(url: string, clock: Clock, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, {
      handshakeTimeout: PROBE_TIMEOUT_MS,
      perMessageDeflate: false,
      maxPayload: 64 * 1024,
    });
    let status: number | null = null;
    const onAbort = () => socket.terminate();
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    const closed = new AbortController();
    void clock.sleep(PROBE_TIMEOUT_MS, closed.signal).then(() => socket.terminate());
    socket.on('open', () => socket.send('{"op":"ping"}', () => {}));
    socket.on('message', () => {
      resolve();
      socket.terminate();
    });
    socket.on('unexpected-response', (_request, response) => {
      status = response.statusCode ?? null;
      socket.terminate();
    });
    // Followed by `close`, which says what is to be said.
    socket.on('error', () => {});
    socket.on('close', () => {
      closed.abort();
      signal.removeEventListener('abort', onAbort);
      const isRefused = status === 401 || status === 403 || status === 404;
      const found = status === null ? 'no connection' : `HTTP ${status}`;
      reject(
        new PipelineError(
          isRefused ? 'PROVIDER_REFUSED' : 'PROVIDER_UNAVAILABLE',
          `bybit: expected an answer to a ping at ${printableUrl(url)}, found ${found}; check connectors.bybit.url and the network, and that the exchange serves your region`,
          { facts: { url: printableUrl(url), status } },
        ),
      );
    });
  });
}
