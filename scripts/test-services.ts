/**
 * Real services for `npm test`: what the environment names, and for the rest local ones in a new folder. Besides what
 * `broker-services.ts` gives to a run of its own, tests can have this broker killed and started again.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startServices } from '#ops/local/services.ts';
import { messageOf } from '#pipeline/errors.ts';
import { createLog } from '#pipeline/telemetry/log.ts';

export interface TestServices {
  /** To be added to the environment of the tests. */
  readonly environment: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/** Throws what `startServices` throws. */
export async function startTestServices(signal: AbortSignal): Promise<TestServices> {
  const { KAFKA_BROKERS, REGISTRY_URL, DATABASE_URL } = process.env;
  const folder = await mkdtemp(join(tmpdir(), 'baleen-test-'));
  const services = await startServices({
    dataDir: folder,
    mode: 'auto',
    configured: { kafkaBrokers: KAFKA_BROKERS, registryUrl: REGISTRY_URL, databaseUrl: DATABASE_URL },
    log: createLog({ path: join(folder, 'services.log') }),
    onProgress: ({ service, state, detail, elapsedMs }) => {
      if (state === 'ready' || state === 'failed')
        console.log(`${service} ${state} after ${elapsedMs} ms: ${detail}`);
    },
    signal,
  });
  // A test that kills the broker does so with a command; the services belong to this process, so it asks here.
  const door = createServer((_request, response) => {
    services.restart('kafka').then(
      () => response.end(),
      (error: unknown) => response.writeHead(500).end(messageOf(error)),
    );
  });
  await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve));
  const { port } = door.address() as AddressInfo;
  const ask = `fetch('http://127.0.0.1:${port}').then(({ ok }) => process.exit(ok ? 0 : 1))`;
  const isOurs = KAFKA_BROKERS === undefined;
  return {
    environment: {
      KAFKA_BROKERS: services.kafkaBrokers,
      REGISTRY_URL: services.registryUrl,
      DATABASE_URL: services.databaseUrl,
      ...(isOurs ? { KAFKA_KILL_AND_RESTART: `"${process.execPath}" -e "${ask}"` } : {}),
    },
    stop: async () => {
      door.close();
      await services.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
