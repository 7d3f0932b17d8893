/** A real schema registry (Apicurio, with the Confluent API) on a file of its own. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { JVM_FLAGS, requireJava } from './java.ts';
import { REGISTRY_VERSION, registryFiles } from './maven.ts';
import { checkRegistry } from './ready.ts';
import type { ServicePlan } from './service.ts';

/** Base address for clients of the Confluent API. */
export const registryUrl = (port: number): string => `http://127.0.0.1:${port}/apis/ccompat/v7`;

/** System properties of the registry. The database file is relative to its working directory. */
export const registrySettings = (port: number): Readonly<Record<string, string>> => ({
  'quarkus.http.host': '127.0.0.1',
  'quarkus.http.port': String(port),
  'apicurio.storage.kind': 'sql',
  'apicurio.storage.sql.kind': 'h2',
  // No write delay: by default H2 may lose the last half second when killed, and with it ids already in use.
  'apicurio.datasource.url': 'jdbc:h2:file:./db;WRITE_DELAY=0',
});

// No class archive here: writing it takes over 7 s at the stop, for 2 s at the start.
export function registryPlan(options: { dataDir: string; cacheDir: string; port: number }): ServicePlan {
  const home = join(options.dataDir, 'registry');
  return {
    name: 'registry',
    address: registryUrl(options.port),
    attempts: 1,
    prepare: async (signal, onDownload) => {
      const java = await requireJava('the schema registry', signal);
      const files = await registryFiles({ cacheDir: options.cacheDir, onDownload, signal });
      mkdirSync(home, { recursive: true });
      const settings = Object.entries(registrySettings(options.port)).map(
        ([key, value]) => `-D${key}=${value}`,
      );
      const jar = join(files, `apicurio-registry-app-${REGISTRY_VERSION}-runner.jar`);
      return { command: java.command, args: [...JVM_FLAGS, ...settings, '-jar', jar], cwd: home };
    },
    checkReady: (signal) => checkRegistry(registryUrl(options.port), signal),
  };
}
