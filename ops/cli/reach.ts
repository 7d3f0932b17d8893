/** The services of a data directory: those of a running `up`, those configured, or its own, started for the time of a command. */

import { startServices } from '#ops/local/services.ts';
import type { Log } from '#pipeline/telemetry/log.ts';
import { readEndpoints } from './endpoints.ts';
import { buildSettings, type SettingSources } from './settings.ts';

export interface ReachedServices {
  readonly kafkaBrokers: string;
  readonly registryUrl: string;
  /** Stops what was started here; leaves alone what ran before. */
  stop(): Promise<void>;
}

export async function reachServices(options: {
  dataDir: string;
  sources: SettingSources;
  log: Log;
  say: (text: string) => void;
}): Promise<ReachedServices> {
  const { dataDir, sources, log, say } = options;
  const running = await readEndpoints(dataDir);
  if (running !== null) return { ...running, stop: async () => {} };
  const { configured, kafkaSecurity } = await buildSettings({ ...sources, provided: {}, isPreview: true });
  return startServices({
    dataDir,
    mode: 'auto',
    configured: { ...configured, kafkaSecurity },
    log: log.for('services'),
    onProgress: ({ service, state, detail }) => say(`  ${service} ${state} ${detail}`),
    signal: new AbortController().signal,
  });
}
