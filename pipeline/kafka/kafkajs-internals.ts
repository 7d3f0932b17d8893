/** The only deep imports of kafkajs 2.2.4: its connections (TLS, SASL, request table). Tested for presence at start. */
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import { PipelineError } from '../errors.ts';
import type { Log } from '../telemetry/log.ts';

/** The part of kafkajs' connection that is used. */
export interface KafkajsConnection {
  readonly socket: Socket;
  isConnected(): boolean;
  isAuthenticated(): boolean;
  authenticate(): Promise<void>;
  failIfNotConnected(): void;
  nextCorrelationId(): number;
  /** Ends every open request with an error. */
  rejectRequests(error: Error): void;
  readonly requestQueue: {
    push(request: {
      entry: {
        apiKey: number;
        apiName: string;
        apiVersion: number;
        correlationId: number;
        resolve: (answer: { payload: Buffer }) => void;
        reject: (error: Error) => void;
      };
      expectResponse: boolean;
      sendRequest: () => void;
    }): void;
    maybeThrottle(throttleMs: number): void;
  };
}

export interface KafkajsPool {
  getConnection(index: number): Promise<KafkajsConnection>;
}

export interface KafkajsBroker {
  /** Connects, asks for versions, authenticates. */
  connect(): Promise<void>;
  disconnect(): Promise<void>;
}

export type SocketFactory = (options: {
  host: string;
  port: number;
  ssl: unknown;
  onConnect: () => void;
}) => Socket;

interface PoolOptions {
  host: string;
  port: number;
  clientId: string;
  logger: unknown;
  ssl: boolean | null;
  sasl: object | null;
  socketFactory: SocketFactory;
  connectionTimeout: number;
  requestTimeout: number;
}

interface RequestQueue {
  readonly pending: readonly unknown[];
}

export interface KafkajsInternals {
  createPool(options: PoolOptions): KafkajsPool;
  createBroker(options: {
    connectionPool: KafkajsPool;
    logger: unknown;
    authenticationTimeout: number;
  }): KafkajsBroker;
  /** kafkajs' log lines go to ours at debug: what matters is said once, by the driver. */
  createLogger(log: Log): unknown;
}

type Constructor<O, T> = new (options: O) => T;
interface LogEntry {
  readonly namespace: string;
  readonly log: { readonly message: string };
}
type LogCreator = () => (entry: LogEntry) => void;

/** For `logLevel` and `logCreator` of kafkajs' public client too. */
export const kafkajsLogCreator =
  (log: Log): LogCreator =>
  () =>
  ({ namespace, log: line }) =>
    log.debug('kafkajs says', { namespace, detail: line.message });

/** Loads what is needed; throws INVARIANT_BROKEN when the installed kafkajs does not have it. */
export function loadKafkajs(): KafkajsInternals {
  const require = createRequire(import.meta.url);
  const missing: string[] = [];
  const load = (path: string): unknown => {
    try {
      return require(path);
    } catch {
      missing.push(path);
      return {};
    }
  };
  const functionAt = (holder: unknown, name: string, path: string): unknown => {
    const found: unknown = Object(holder)[name];
    if (typeof found !== 'function') missing.push(`${path}: ${name}`);
    return found;
  };
  const Broker = load('kafkajs/src/broker');
  const Pool = load('kafkajs/src/network/connectionPool');
  const Queue = load('kafkajs/src/network/requestQueue');
  const loggers = load('kafkajs/src/loggers');
  for (const name of ['connect', 'disconnect']) functionAt(Object(Broker).prototype, name, 'broker');
  functionAt(Object(Pool).prototype, 'getConnection', 'connectionPool');
  const schedule = functionAt(Object(Queue).prototype, 'scheduleCheckPendingRequests', 'requestQueue');
  const createLogger = functionAt(loggers, 'createLogger', 'loggers');
  if (missing.length > 0) {
    throw new PipelineError(
      'INVARIANT_BROKEN',
      `the Kafka driver expects kafkajs 2.2.4 and did not find in it: ${missing.join(', ')}; reinstall with npm ci`,
    );
  }
  const BrokerClass = Broker as Constructor<Parameters<KafkajsInternals['createBroker']>[0], KafkajsBroker>;
  const PoolClass = Pool as Constructor<PoolOptions, KafkajsPool>;
  stopIdleTimer(Object(Queue).prototype, schedule as (this: RequestQueue) => void);
  return {
    createPool: (options) => new PoolClass(options),
    createBroker: (options) => new BrokerClass(options),
    createLogger: (log) =>
      (createLogger as (options: { level: number; logCreator: LogCreator }) => unknown)({
        level: KAFKAJS_LOG_LEVEL,
        logCreator: kafkajsLogCreator(log),
      }),
  };
}

/** Info and above; its debug lines are several for each request. */
export const KAFKAJS_LOG_LEVEL = 4;

const CURED = Symbol.for('baleen.kafkajs.idle-timer');

/**
 * Without this every connection that has sent anything re-arms a timer of 1 ms for ever (2 % of a core each, and
 * `TimeoutNegativeWarning`). With nothing pending there is nothing to check: `push` schedules again when there is.
 */
function stopIdleTimer(
  prototype: Record<PropertyKey, unknown>,
  schedule: (this: RequestQueue) => void,
): void {
  if (prototype[CURED] === true) return;
  prototype[CURED] = true;
  prototype.scheduleCheckPendingRequests = function (this: RequestQueue) {
    if (this.pending.length > 0) schedule.call(this);
  };
}
