/** Which Kafka and registry a command talks to. */
import { PipelineError } from '#pipeline/errors.ts';
import { readEndpoints } from './endpoints.ts';
import { buildSettings, type SettingSources } from './settings.ts';

export interface Located {
  readonly kafkaBrokers: readonly string[];
  readonly registryUrl: string;
}

/**
 * The configured services, else those of the running `up` of the data directory. Throws SERVICE_UNREACHABLE when
 * there are none, CONFIG_INVALID when only one of the two is configured.
 */
export async function locateServices(options: {
  readonly dataDir: string;
  readonly sources: SettingSources;
}): Promise<Located> {
  const { configured } = await buildSettings({ ...options.sources, provided: {}, isPreview: true });
  const running = await readEndpoints(options.dataDir);
  const brokers = configured.kafkaBrokers ?? running?.kafkaBrokers ?? null;
  const registry = configured.registryUrl ?? running?.registryUrl ?? null;
  if (brokers === null && registry === null) {
    throw new PipelineError(
      'SERVICE_UNREACHABLE',
      `nothing is running for the data directory ${options.dataDir}: start it with "baleen up" (and name its --data-dir), or set KAFKA_BROKERS and REGISTRY_URL`,
    );
  }
  if (brokers === null || registry === null) {
    const missing = brokers === null ? 'KAFKA_BROKERS (kafka.brokers)' : 'REGISTRY_URL (registry.url)';
    throw new PipelineError(
      'CONFIG_INVALID',
      `${missing} is not set and no "baleen up" is running: set it too`,
    );
  }
  return { kafkaBrokers: brokers.split(','), registryUrl: registry };
}
