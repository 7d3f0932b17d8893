/** One TCP connection to one node. A broker serves the requests of a connection one after the other. */
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { PipelineError } from '../errors.ts';
import type { Log } from '../telemetry/log.ts';
import type { KafkajsInternals } from './kafkajs-internals.ts';
import type { NodeAddress } from './metadata.ts';

/** Which request, in which version; the name is for error messages. */
export interface Api {
  readonly key: number;
  readonly version: number;
  readonly name: string;
}

export interface Link {
  /** False once either side has closed it; open another one then. */
  readonly isOpen: boolean;
  /** Sends the pieces of a body, resolves with the answer after its correlation id. Rejects when the link breaks. */
  request(api: Api, body: readonly Buffer[]): Promise<Buffer>;
  /** Holds later requests back, as the broker asked. */
  throttle(throttleMs: number): void;
  /** At once: open requests are rejected. */
  close(): void;
}

/** User and password for Kafka; never logged. */
export interface SaslOptions {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
  readonly username: string;
  readonly password: string;
}

/** TLS; the certificates that are trusted, in PEM, or null for those of the system. */
export interface TlsOptions {
  readonly ca: string | null;
}

/** What every link of a client shares. */
export interface LinkSettings {
  readonly kafkajs: KafkajsInternals;
  readonly clientId: string;
  readonly log: Log;
  /** Null: plain connections. */
  readonly ssl: TlsOptions | null;
  readonly sasl: SaslOptions | null;
}

/** For TCP, and TLS over it. */
export const CONNECTION_TIMEOUT_MS = 2_000;
const AUTHENTICATION_TIMEOUT_MS = 10_000;
/** Longer than the broker's own limit for a produce request (30 s). */
export const DATA_TIMEOUT_MS = 40_000;
/** For small questions: a node that hangs must not hold the search for another one. */
export const CONTROL_TIMEOUT_MS = 5_000;

export interface LinkOptions {
  readonly address: NodeAddress;
  /** A request without an answer for so long is rejected. */
  readonly requestTimeoutMs: number;
  /** Closes the link, also while it is being opened. */
  readonly signal: AbortSignal;
}

/** A socket that sends at once (kafkajs leaves Nagle on). */
export const openSocket = (
  options: NodeAddress & { ssl: TlsOptions | null },
  onConnect: () => void,
): Socket => {
  const { host, port, ssl } = options;
  const socket =
    ssl === null
      ? connectTcp({ host, port }, onConnect)
      : connectTls(
          {
            ...{ host, port },
            ...(isIP(host) === 0 ? { servername: host } : {}),
            ...(ssl.ca === null ? {} : { ca: ssl.ca }),
          },
          onConnect,
        );
  socket.setKeepAlive(true, 60_000);
  socket.setNoDelay(true);
  return socket;
};

/** Connects and authenticates. Rejects with kafkajs' error or the system's. */
export async function openLink(settings: LinkSettings, options: LinkOptions): Promise<Link> {
  const { kafkajs, clientId, sasl } = settings;
  const { host, port } = options.address;
  const closed = Promise.withResolvers<never>();
  closed.promise.catch(() => {});
  let socket: Socket | null = null;
  const logger = kafkajs.createLogger(settings.log);
  const pool = kafkajs.createPool({
    host,
    port,
    clientId,
    logger,
    ssl: settings.ssl === null ? null : true,
    sasl,
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    requestTimeout: options.requestTimeoutMs,
    socketFactory: ({ onConnect }) => {
      socket = openSocket({ host, port, ssl: settings.ssl }, onConnect);
      // kafkajs forgets a request for authentication when the socket breaks: without this it never ends.
      socket.once('close', () => closed.reject(new Error(`the connection to ${host}:${port} was closed`)));
      return socket;
    },
  });
  const broker = kafkajs.createBroker({
    connectionPool: pool,
    logger,
    authenticationTimeout: AUTHENTICATION_TIMEOUT_MS,
  });
  let isClosed = false;
  const end = (error: Error): void => {
    if (isClosed) return;
    isClosed = true;
    options.signal.removeEventListener('abort', abort);
    closed.reject(error);
    // Disconnecting waits for open requests (a long poll): end them first.
    connection?.rejectRequests(error);
    broker.disconnect().catch(() => {});
    socket?.destroy(connection === null ? error : undefined);
  };
  const abort = (): void => end(new PipelineError('KAFKA_UNAVAILABLE', 'the Kafka client is being closed'));
  let connection: Awaited<ReturnType<typeof pool.getConnection>> | null = null;
  const connected = broker.connect().then(() => pool.getConnection(0));
  connected.catch(() => {});
  options.signal.addEventListener('abort', abort, { once: true });
  try {
    if (options.signal.aborted) abort();
    connection = await Promise.race([connected, closed.promise]);
  } catch (error) {
    end(error instanceof Error ? error : new Error(String(error)));
    throw error;
  }
  const live = connection;
  closed.promise.catch(end);

  const client = Buffer.from(clientId);
  const send = (api: Api, body: readonly Buffer[]): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      if (isClosed) throw new Error(`the connection to ${host}:${port} was closed`);
      live.failIfNotConnected();
      const correlationId = live.nextCorrelationId();
      const head = Buffer.allocUnsafe(14 + client.length);
      const size = body.reduce((sum, piece) => sum + piece.length, 10 + client.length);
      head.writeInt32BE(size, 0);
      head.writeInt16BE(api.key, 4);
      head.writeInt16BE(api.version, 6);
      head.writeInt32BE(correlationId, 8);
      head.writeInt16BE(client.length, 12);
      client.copy(head, 14);
      live.requestQueue.push({
        entry: {
          apiKey: api.key,
          apiName: api.name,
          apiVersion: api.version,
          correlationId,
          resolve: ({ payload }) => resolve(payload),
          reject,
        },
        expectResponse: true,
        sendRequest: () => {
          live.socket.cork();
          live.socket.write(head);
          for (const piece of body) live.socket.write(piece);
          live.socket.uncork();
        },
      });
    });
  return {
    get isOpen() {
      return !isClosed && live.isConnected();
    },
    request: async (api, body) => {
      if (sasl !== null && !live.isAuthenticated()) await live.authenticate();
      return send(api, body);
    },
    throttle: (throttleMs) => {
      if (throttleMs > 0) live.requestQueue.maybeThrottle(throttleMs);
    },
    close: () => end(new PipelineError('KAFKA_UNAVAILABLE', `the connection to ${host}:${port} was closed`)),
  };
}
