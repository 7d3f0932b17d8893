/**
 * Set-up of the broker tests: real services for one run, below a temporary directory. What KAFKA_BROKERS,
 * REGISTRY_URL and DATABASE_URL already name is used instead. Workers inherit the three variables.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startServices } from '#ops/local/services.ts';
import { createLog } from '#pipeline/telemetry/log.ts';

/** Starts what is not configured; resolves to the teardown. A failed start fails the run. */
export default async function setup(): Promise<() => Promise<void>> {
  const dataDir = mkdtempSync(join(tmpdir(), 'baleen-broker-tests-'));
  const services = await startServices({
    dataDir,
    mode: 'auto',
    configured: {
      kafkaBrokers: process.env['KAFKA_BROKERS'] || undefined,
      registryUrl: process.env['REGISTRY_URL'] || undefined,
      databaseUrl: process.env['DATABASE_URL'] || undefined,
    },
    log: createLog({ level: 'warn' }),
    onProgress: ({ service, state, detail, elapsedMs }) => {
      if (state === 'downloading' || state === 'ready') {
        console.log(`${service}: ${state}, ${detail} (${(elapsedMs / 1_000).toFixed(1)} s)`);
      }
    },
    signal: new AbortController().signal,
  }).catch((error: unknown) => {
    rmSync(dataDir, { recursive: true, force: true });
    throw error;
  });
  process.env['KAFKA_BROKERS'] = services.kafkaBrokers;
  process.env['REGISTRY_URL'] = services.registryUrl;
  process.env['DATABASE_URL'] = services.databaseUrl;
  return async () => {
    await services.stop();
    rmSync(dataDir, { recursive: true, force: true });
  };
}
