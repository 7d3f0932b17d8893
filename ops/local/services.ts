/** Kafka, schema registry and Postgres for one data directory: configured, from Docker, or real local processes. */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '#pipeline/clock.ts';
import { messageOf, PipelineError, printableUrl } from '#pipeline/errors.ts';
import { type KafkaSecurity, openKafka } from '#pipeline/kafka/client.ts';
import type { Log } from '#pipeline/telemetry/log.ts';
import { COMPOSE_ADDRESSES, composeRestart, composeStop, composeUp, dockerAnswers } from './docker.ts';
import { JAVA_MINIMUM, probeJava } from './java.ts';
import { kafkaPlan } from './kafka.ts';
import { lockDirectory } from './lock.ts';
import { isKafkaCached, isRegistryCached } from './maven.ts';
import { choosePorts } from './ports.ts';
import { databaseUrl, postgresPlan } from './postgres.ts';
import { checkKafka, checkPostgres, checkRegistry } from './ready.ts';
import { registryPlan, registryUrl } from './registry.ts';
import { run } from './run.ts';
import {
  createLocalService,
  endSurvivors,
  type LocalService,
  type ServiceEvent,
  type ServiceName,
} from './service.ts';

export type { ServiceEvent, ServiceName } from './service.ts';

export interface ServiceOptions {
  /** Logs, pid files and the data of all services; created when absent. Default `.baleen`. */
  readonly dataDir?: string;
  /** What is fetched once. Default `node_modules/.cache/baleen` of the project. */
  readonly cacheDir?: string;
  /** `auto`: local processes; Docker only where they cannot run. */
  readonly mode: 'auto' | 'local' | 'docker';
  /** Forget everything in `dataDir`. Refused for services that run elsewhere: their data is not ours to delete. */
  readonly isFresh?: boolean;
  /** Services that run elsewhere: only checked. `kafkaBrokers` is a list with commas. */
  readonly configured: {
    readonly kafkaBrokers?: string | undefined;
    /** How its brokers are talked to; default: plain connections. */
    readonly kafkaSecurity?: KafkaSecurity | undefined;
    readonly registryUrl?: string | undefined;
    readonly databaseUrl?: string | undefined;
  };
  readonly log: Log;
  readonly onProgress: (event: ServiceEvent) => void;
  /** Aborting during the start stops what was started; afterwards it has no effect. */
  readonly signal: AbortSignal;
}

export interface Services {
  readonly kafkaBrokers: string;
  /** Includes the path of the Confluent API. */
  readonly registryUrl: string;
  readonly databaseUrl: string;
  /** SIGKILL, then a start on the same port. Resolves when it answers. Throws SERVICE_FAILED. */
  restart(service: ServiceName): Promise<void>;
  /** Null for a service that is configured, in Docker or not running. */
  pids(): Readonly<Record<ServiceName, number | null>>;
  /** Resolves when all local processes are gone, within about 8 s. May be called again. */
  stop(): Promise<void>;
}

/** Jars and archives that are fetched once. */
export const CACHE_DIR = join(import.meta.dirname, '..', '..', 'node_modules', '.cache', 'baleen');
const ALL: readonly ServiceName[] = ['kafka', 'registry', 'postgres'];
const REACHABLE_WITHIN_MS = 10_000;

/**
 * Resolves when all three answer. Throws SERVICE_UNREACHABLE (a configured one), SERVICE_FAILED (a local one, or the
 * directory is in use), or the reason of the signal; then nothing is left running.
 */
export async function startServices(options: ServiceOptions): Promise<Services> {
  options.signal.throwIfAborted();
  const dataDir = resolve(options.dataDir ?? '.baleen');
  const cacheDir = resolve(options.cacheDir ?? CACHE_DIR);
  const { configured } = options;
  const isConfigured = {
    kafka: configured.kafkaBrokers,
    registry: configured.registryUrl,
    postgres: configured.databaseUrl,
  };
  const needed = ALL.filter((name) => isConfigured[name] === undefined);
  mkdirSync(dataDir, { recursive: true });
  const release = lockDirectory(dataDir);
  const closing = new AbortController();
  try {
    await endSurvivors(dataDir, options.log);
    if (options.isFresh === true) forgetData(dataDir, needed);
    const isDocker = needed.length > 0 && (await usesDocker(options.mode, needed, cacheDir, options.signal));
    const local = isDocker ? [] : needed;
    const ports = local.length > 0 ? await choosePorts(dataDir) : null;
    const addresses = {
      kafka: configured.kafkaBrokers ?? (ports ? `127.0.0.1:${ports.kafka}` : COMPOSE_ADDRESSES.kafka),
      registry: configured.registryUrl ?? (ports ? registryUrl(ports.registry) : COMPOSE_ADDRESSES.registry),
      postgres: configured.databaseUrl ?? (ports ? databaseUrl(ports.postgres) : COMPOSE_ADDRESSES.postgres),
    };
    const setting = { dataDir, log: options.log, onProgress: options.onProgress };
    const services = new Map<ServiceName, LocalService>();
    if (ports !== null) {
      const plans = {
        kafka: kafkaPlan({ dataDir, cacheDir, port: ports.kafka, controllerPort: ports.kafkaController }),
        registry: registryPlan({ dataDir, cacheDir, port: ports.registry }),
        postgres: postgresPlan({ dataDir, port: ports.postgres }),
      };
      for (const name of local) services.set(name, createLocalService(plans[name], setting));
    }
    const docker = isDocker ? needed : [];
    await startAll({ options, addresses, docker, services: [...services.values()], closing });
    return handle({ addresses, services, docker, closing, options, release });
  } catch (error) {
    release();
    throw error;
  }
}

/** Everything but the lock and the log of this run. */
function forgetData(dataDir: string, local: readonly ServiceName[]): void {
  if (local.length < ALL.length) {
    throw new PipelineError(
      'CONFIG_INVALID',
      '--fresh forgets local data only, and some services are configured to run elsewhere: delete their topics and tables yourself, or leave the addresses away',
    );
  }
  for (const name of readdirSync(dataDir)) {
    if (name !== 'lock' && name !== 'logs') rmSync(join(dataDir, name), { recursive: true, force: true });
  }
}

/** Where Java or Maven is missing and a daemon answers: local processes start faster and leave nothing behind. */
async function usesDocker(
  mode: ServiceOptions['mode'],
  needed: readonly ServiceName[],
  cacheDir: string,
  signal: AbortSignal,
): Promise<boolean> {
  if (mode === 'local') return false;
  if (mode === 'docker') {
    if (await dockerAnswers(signal)) return true;
    throw new PipelineError(
      'SERVICE_FAILED',
      'Docker was asked for, but no daemon answered "docker info" within 2 s, or "docker compose" is missing: start or install it, or choose local services',
    );
  }
  const wantsKafka = needed.includes('kafka');
  const wantsRegistry = needed.includes('registry');
  if (!wantsKafka && !wantsRegistry) return false;
  const java = await probeJava(signal);
  const hasJava = java !== null && java.major >= JAVA_MINIMUM;
  const isCached = (!wantsKafka || isKafkaCached(cacheDir)) && (!wantsRegistry || isRegistryCached(cacheDir));
  const canFetch = isCached || (await run('mvn', ['-version'], { signal, timeoutMs: 30_000 })).code === 0;
  if (hasJava && canFetch) return false;
  // Without a daemon either, the local start says what to install.
  return dockerAnswers(signal);
}

/** All side by side; the first failure ends the others. */
async function startAll(parts: {
  options: ServiceOptions;
  addresses: Readonly<Record<ServiceName, string>>;
  docker: readonly ServiceName[];
  services: readonly LocalService[];
  closing: AbortController;
}): Promise<void> {
  const { options, addresses, docker, services, closing } = parts;
  const failing = new AbortController();
  const signal = AbortSignal.any([options.signal, closing.signal, failing.signal]);
  const { configured } = options;
  const starts: Promise<void>[] = services.map((service) => service.start(signal));
  if (docker.length > 0) starts.push(startDocker(docker, addresses, options, signal));
  const check = (service: ServiceName) => checkConfigured(service, addresses[service], options, signal);
  if (configured.kafkaBrokers !== undefined) starts.push(check('kafka'));
  if (configured.registryUrl !== undefined) starts.push(check('registry'));
  if (configured.databaseUrl !== undefined) starts.push(check('postgres'));
  try {
    await Promise.all(starts);
  } catch (error) {
    failing.abort(error);
    await Promise.allSettled(starts);
    await Promise.all(services.map((service) => service.stop()));
    if (docker.length > 0) await composeStop(docker).catch(() => {});
    throw error;
  }
}

async function startDocker(
  names: readonly ServiceName[],
  addresses: Readonly<Record<ServiceName, string>>,
  options: ServiceOptions,
  signal: AbortSignal,
): Promise<void> {
  const sinceMs = performance.now();
  const report = (state: ServiceEvent['state']) => {
    for (const service of names) {
      const elapsedMs = Math.round(performance.now() - sinceMs);
      options.onProgress({
        service,
        state,
        detail: `Docker, ${printableAddress(addresses[service])}`,
        elapsedMs,
      });
    }
  };
  report('starting');
  try {
    await composeUp(names, signal);
    report('ready');
  } catch (error) {
    report('failed');
    throw error;
  }
}

const CHECKS: Readonly<Record<ServiceName, (address: string, signal: AbortSignal) => Promise<void>>> = {
  // One reachable broker is enough: it knows the others.
  kafka: (brokers, signal) => Promise.any(brokers.split(',').map((broker) => checkKafka(broker, signal))),
  registry: checkRegistry,
  postgres: checkPostgres,
};

/** Brokers that ask for TLS or a user are asked by the client itself. */
function checkOf(service: ServiceName, { configured, log }: ServiceOptions): (typeof CHECKS)[ServiceName] {
  const { kafkaSecurity: security } = configured;
  if (service !== 'kafka' || security === undefined || (security.ssl === null && security.sasl === null))
    return CHECKS[service];
  return async (brokers) => {
    const kafka = await openKafka({
      ...{ brokers: brokers.split(','), clientId: 'baleen-check', log, security },
      clock: systemClock,
    });
    await kafka.close();
  };
}

const VARIABLES: Readonly<Record<ServiceName, string>> = {
  kafka: 'KAFKA_BROKERS',
  registry: 'REGISTRY_URL',
  postgres: 'DATABASE_URL',
};

async function checkConfigured(
  service: ServiceName,
  address: string,
  options: ServiceOptions,
  signal: AbortSignal,
): Promise<void> {
  const sinceMs = performance.now();
  const place = printableAddress(address);
  const report = (state: ServiceEvent['state'], detail: string) =>
    options.onProgress({ service, state, detail, elapsedMs: Math.round(performance.now() - sinceMs) });
  report('starting', `configured, ${place}`);
  for (;;) {
    signal.throwIfAborted();
    try {
      await checkOf(service, options)(address, AbortSignal.any([signal, AbortSignal.timeout(5_000)]));
      return report('ready', `configured, ${place}`);
    } catch (error) {
      signal.throwIfAborted();
      if (performance.now() - sinceMs > REACHABLE_WITHIN_MS) {
        const reason = messageOf(error instanceof AggregateError ? error.errors[0] : error);
        report('failed', reason);
        throw new PipelineError(
          'SERVICE_UNREACHABLE',
          `${service} is configured (${VARIABLES[service]}) but does not answer at ${place}: ${reason}; ` +
            'correct the address, start that service, or leave it out to have a local one',
          { facts: { service, place }, cause: error },
        );
      }
      await sleep(250);
    }
  }
}

const printableAddress = (address: string): string =>
  address.includes('://') ? printableUrl(address) : address;

function handle(parts: {
  addresses: Readonly<Record<ServiceName, string>>;
  services: ReadonlyMap<ServiceName, LocalService>;
  docker: readonly ServiceName[];
  closing: AbortController;
  options: ServiceOptions;
  release: () => void;
}): Services {
  const { addresses, services, docker, closing, options, release } = parts;
  // One restart at a time; a stop ends the running one first.
  let queue: Promise<unknown> = Promise.resolve();
  let stopped: Promise<void> | null = null;

  const restart = async (name: ServiceName): Promise<void> => {
    closing.signal.throwIfAborted();
    if (docker.includes(name)) return composeRestart(name, closing.signal);
    const service = services.get(name);
    if (service === undefined) {
      throw new PipelineError(
        'SERVICE_FAILED',
        `${name} is configured, not ours: it cannot be restarted from here`,
      );
    }
    await service.kill();
    await service.start(closing.signal);
  };
  const stop = async (): Promise<void> => {
    closing.abort(new PipelineError('SERVICE_FAILED', 'the services are being stopped'));
    await queue;
    try {
      await Promise.all([...services.values()].map((service) => service.stop()));
      if (docker.length > 0) await composeStop(docker);
    } finally {
      release();
    }
  };
  const pid = (name: ServiceName) => services.get(name)?.pid() ?? null;
  options.log.for('services').info('ready', {
    kafka: printableAddress(addresses.kafka),
    registry: printableAddress(addresses.registry),
    postgres: printableAddress(addresses.postgres),
  });
  return {
    kafkaBrokers: addresses.kafka,
    registryUrl: addresses.registry,
    databaseUrl: addresses.postgres,
    restart: (name) => {
      const result = queue.then(() => restart(name));
      queue = result.catch(() => {});
      return result;
    },
    pids: () => ({ kafka: pid('kafka'), registry: pid('registry'), postgres: pid('postgres') }),
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}
