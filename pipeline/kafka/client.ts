/** Opens the client: kafkajs' connections under an own codec for the two hot requests (produce, fetch). */
import kafkajsClient, { type KafkaConfig, type SASLOptions } from 'kafkajs';
import type { Clock } from '../clock.ts';
import { isPipelineError, messageOf, PipelineError } from '../errors.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { createAdmin } from './admin.ts';
import { createCluster } from './cluster.ts';
import { createFetcher } from './fetcher.ts';
import { kafkajsLogCreator, loadKafkajs } from './kafkajs-internals.ts';
import { CONNECTION_TIMEOUT_MS, openSocket, type SaslOptions, type TlsOptions } from './link.ts';
import { joinGroup } from './membership.ts';
import { createOutage } from './outage.ts';
import { createProducer, type DriverContext } from './producer.ts';
import type { Admin, Fetcher, Kafka } from './types.ts';

/** How every connection is protected. */
export interface KafkaSecurity {
  /** Null: no TLS. */
  readonly ssl: TlsOptions | null;
  /** Null: nobody logs in. */
  readonly sasl: SaslOptions | null;
}

const PLAIN: KafkaSecurity = { ssl: null, sasl: null };

export interface KafkaOptions {
  /** `host:port` each; any of them is enough to find the others. */
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly log: Log;
  readonly clock: Clock;
  readonly metrics?: Metrics;
  /** Default: plain connections without a user. */
  readonly security?: KafkaSecurity;
}

/** kafkajs types each mechanism by itself. */
const saslOf = ({ mechanism, username, password }: SaslOptions): SASLOptions => {
  if (mechanism === 'plain') return { mechanism, username, password };
  if (mechanism === 'scram-sha-256') return { mechanism, username, password };
  return { mechanism, username, password };
};

const kafkajsConfig = (options: KafkaOptions, { ssl, sasl }: KafkaSecurity, log: Log): KafkaConfig => ({
  clientId: options.clientId,
  brokers: [...options.brokers],
  ssl: ssl !== null,
  ...(sasl === null ? {} : { sasl: saslOf(sasl) }),
  connectionTimeout: CONNECTION_TIMEOUT_MS,
  retry: { initialRetryTime: 50, maxRetryTime: 1_000, retries: 8 },
  socketFactory: ({ onConnect, host, port }) => openSocket({ host, port, ssl }, onConnect),
  logLevel: kafkajsClient.logLevel.INFO,
  logCreator: kafkajsLogCreator(log),
});

/**
 * Connects to the first broker that answers. Throws KAFKA_UNAVAILABLE when none does, KAFKA_REFUSED when the
 * credentials are not accepted, CONFIG_INVALID for an unreadable address. Closing the client closes its producers
 * and fetchers at once: close a producer first to wait for its acknowledgements.
 */
export async function openKafka(options: KafkaOptions): Promise<Kafka> {
  const { brokers, clock, security = PLAIN } = options;
  const log = options.log.for('kafka');
  if (brokers.length === 0) {
    throw new PipelineError('CONFIG_INVALID', 'KAFKA_BROKERS: expected at least one host:port, found none');
  }
  const kafkajs = loadKafkajs();
  const cluster = createCluster({ kafkajs, clientId: options.clientId, log, ...security }, brokers);
  try {
    await cluster.refresh([]);
  } catch (error) {
    cluster.close();
    const cause = isPipelineError(error) ? error.cause : error;
    if (cause instanceof Error && cause.name === 'KafkaJSSASLAuthenticationError') {
      throw new PipelineError(
        'KAFKA_REFUSED',
        `Kafka at ${brokers.join(',')} refused user and password: ${messageOf(cause)}; correct the sasl settings`,
      );
    }
    throw error;
  }
  const outage = createOutage({ log, clock, brokers });
  const context: DriverContext = { cluster, clock, log, outage, metrics: options.metrics ?? null };
  const closers = new Set<() => Promise<void>>();
  let isClosed = false;

  /** What comes too late is closed at once: it must not wait for what nobody answers any more. */
  const closeLater = (close: () => Promise<void>): void => {
    closers.add(close);
    if (isClosed) void close();
  };

  /** Those come and go: one that was closed is let go of. */
  const kept = <T extends Fetcher | Admin>(part: T): T => {
    const close = (): Promise<void> => {
      closers.delete(close);
      return part.close();
    };
    closeLater(close);
    return { ...part, close };
  };
  return {
    producer: (producerOptions) => {
      const producer = createProducer(context, producerOptions);
      closeLater(() => producer.close(AbortSignal.abort()));
      return producer;
    },
    fetcher: (handler, fetcherOptions) => kept(createFetcher(context, handler, fetcherOptions)),
    admin: () => kept(createAdmin({ cluster, clock, client: kafkajsConfig(options, security, log) })),
    join: (groupOptions) => {
      const membership = joinGroup(context, groupOptions);
      closeLater(membership.leave);
      return membership;
    },
    close: async () => {
      isClosed = true;
      await Promise.all([...closers].map((close) => close()));
      closers.clear();
      cluster.close();
    },
  };
}
