/** The services from `docker-compose.kafka.yml`, where a Docker daemon runs them. */
import { join } from 'node:path';
import { PipelineError } from '#pipeline/errors.ts';
import { lastLines, run } from './run.ts';
import type { ServiceName } from './service.ts';

/** Addresses on the host, as fixed in the compose file. */
export const COMPOSE_ADDRESSES: Readonly<Record<ServiceName, string>> = {
  kafka: '127.0.0.1:19092',
  registry: 'http://127.0.0.1:18081/apis/ccompat/v7',
  postgres: 'postgres://baleen:baleen@127.0.0.1:15432/baleen',
};

export const COMPOSE_FILE = join(import.meta.dirname, '..', '..', 'docker-compose.kafka.yml');

/** Whether a daemon answers within 2 s, and the compose plugin is there. */
export async function dockerAnswers(signal?: AbortSignal): Promise<boolean> {
  const answers = async (args: readonly string[]): Promise<boolean> =>
    (await run('docker', args, { signal, timeoutMs: 2_000 })).code === 0;
  return (
    (await answers(['info', '--format', '{{.ServerVersion}}'])) && (await answers(['compose', 'version']))
  );
}

/** Starts the named services and waits for their health checks; images may be fetched first. */
export const composeUp = (services: readonly ServiceName[], signal: AbortSignal): Promise<void> =>
  compose(['up', '-d', '--wait', ...services], 15 * 60_000, signal);

/** The data stay in their volumes. */
export const composeStop = (services: readonly ServiceName[]): Promise<void> =>
  compose(['stop', '--timeout', '6', ...services], 30_000);

/** SIGKILL, then up again on the same port. */
export async function composeRestart(service: ServiceName, signal: AbortSignal): Promise<void> {
  await compose(['kill', '--signal', 'SIGKILL', service], 30_000, signal);
  await composeUp([service], signal);
}

async function compose(args: readonly string[], timeoutMs: number, signal?: AbortSignal): Promise<void> {
  const result = await run('docker', ['compose', '-f', COMPOSE_FILE, ...args], { signal, timeoutMs });
  if (result.code === 0) return;
  throw new PipelineError(
    'SERVICE_FAILED',
    `docker compose ${args[0]} failed: ${lastLines(result.output)}; ` +
      'see "docker compose -f docker-compose.kafka.yml logs", or use local services instead',
    { facts: { command: args.join(' '), code: result.code } },
  );
}
