/** The port: WebSocket handshakes and two small pages. */
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { messageOf, PipelineError } from '#pipeline/errors.ts';
import type { Log } from '#pipeline/telemetry/log.ts';
import { type DoorRules, refusalOf } from './door.ts';

type Page = Readonly<Record<string, unknown>>;

export interface PortOptions extends DoorRules {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly maxMessageBytes: number;
  readonly log: Log;
  /** False: a handshake is answered with 503. */
  hasRoom(): boolean;
  onSocket(socket: WebSocket): void;
  /** What `GET /` answers; nothing secret. */
  describe(): Page;
}

export interface Port {
  /** Listens; resolves with the port taken. Throws SINK_REFUSED when it cannot. */
  open(): Promise<number>;
  /** Takes no more; cuts off what is left. */
  close(): Promise<void>;
  /** Stops handshakes, while those connected stay. */
  refuse(): void;
}

export function createPort(options: PortOptions): Port {
  const { host, log } = options;
  // Compression is off: it costs memory for each client and lets one fill another's buffers.
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: options.maxMessageBytes,
    perMessageDeflate: false,
    clientTracking: false,
  });
  let isRefusing = false;
  const server: Server = createServer(
    { maxHeaderSize: 8_192, requestTimeout: 10_000, headersTimeout: 5_000 },
    answer,
  );

  function page(method: string | undefined, path: string | undefined): readonly [number, Page] {
    if (method !== 'GET' && method !== 'HEAD') return [405, { error: 'expected GET' }];
    if (path === '/') return [200, options.describe()];
    if (path === '/health') return [200, { status: 'ok' }];
    if (path === options.path) return [426, { error: 'expected a WebSocket handshake' }];
    return [404, { error: `expected /, /health or ${options.path}` }];
  }

  function answer(request: IncomingMessage, response: ServerResponse): void {
    request.resume();
    const [status, body] = page(request.method, request.url?.split('?')[0]);
    response.writeHead(status, {
      'content-type': 'application/json',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    });
    response.end(JSON.stringify(body));
  }

  server.on('error', (error) => log.debug('the port reported an error', { error }));
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', (error) => log.debug('a handshake was cut off', { error }));
    const refusal = refusalOf(request.url ?? '', request.headers, options);
    const status = refusal ?? (isRefusing || !options.hasRoom() ? 503 : null);
    if (status === null) {
      sockets.handleUpgrade(request, socket, head, options.onSocket);
      return;
    }
    log.debug('a handshake was refused', { status });
    socket.end(
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
    );
  });

  const listen = (port: number): Promise<number> =>
    new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, () => {
        server.off('error', reject);
        const address = server.address();
        resolve(typeof address === 'object' && address !== null ? address.port : port);
      });
    });

  return {
    open: async () => {
      try {
        return await listen(options.port);
      } catch (error) {
        if (!isInUse(error)) throw refused(host, options.port, error);
        const port = await listen(0).catch((second: unknown) => Promise.reject(refused(host, 0, second)));
        log.warn('the port was in use, another one was taken', { host, wanted: options.port, port });
        return port;
      }
    },
    refuse: () => {
      isRefusing = true;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const isInUse = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';

const refused = (host: string, port: number, cause: unknown): PipelineError =>
  new PipelineError(
    'SINK_REFUSED',
    `websocket: expected to listen on ${host}:${port}, found ${messageOf(cause)}; name an address of this machine and a port that is allowed`,
    { facts: { host, port }, cause },
  );
