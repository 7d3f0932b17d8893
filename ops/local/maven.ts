/** What is fetched once through Maven into the cache: the broker's jars and the registry's archive. */
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { PipelineError } from '#pipeline/errors.ts';
import { identityOf } from './process.ts';
import { lastLines, type RunResult, run } from './run.ts';

export const KAFKA_VERSION = '4.3.1';
export const REGISTRY_VERSION = '3.0.9';

/** 2.8 on purpose: newer ones insist on the registry's parent POM, which was never published. */
const PLUGIN = 'org.apache.maven.plugins:maven-dependency-plugin:2.8';
const TIMEOUT_MS = 15 * 60_000;

export interface Fetch {
  readonly cacheDir: string;
  /** Called when something has to be fetched, not when it is there. */
  onDownload(detail: string): void;
  readonly signal: AbortSignal;
}

export const isKafkaCached = (cacheDir: string): boolean => existsSync(kafkaDir(cacheDir));
export const isRegistryCached = (cacheDir: string): boolean => existsSync(registryDir(cacheDir));

const kafkaDir = (cacheDir: string): string => join(cacheDir, `kafka-${KAFKA_VERSION}`);
const registryDir = (cacheDir: string): string => join(cacheDir, `registry-${REGISTRY_VERSION}`);

/** The folder of the broker's jars. Throws SERVICE_FAILED. */
export const kafkaJars = (fetch: Fetch): Promise<string> =>
  once(kafkaDir(fetch.cacheDir), fetch, `Kafka ${KAFKA_VERSION}, 54 MB, once`, async (into) => {
    copyFileSync(join(import.meta.dirname, 'pom.xml'), join(into, 'pom.xml'));
    const goal = [`${PLUGIN}:copy-dependencies`, '-DincludeScope=runtime', `-DoutputDirectory=${into}`];
    check('Kafka', await maven(goal, into, fetch.signal));
    rmSync(join(into, 'pom.xml'));
  });

/** The folder with the registry's runner jar. Throws SERVICE_FAILED. */
export const registryFiles = (fetch: Fetch): Promise<string> =>
  once(
    registryDir(fetch.cacheDir),
    fetch,
    `schema registry ${REGISTRY_VERSION}, 109 MB, once`,
    async (into) => {
      const archive = join(into, 'registry.tar.gz');
      const artifact = `io.apicurio:apicurio-registry-app:${REGISTRY_VERSION}:tar.gz:all`;
      const goal = [`${PLUGIN}:get`, `-Dartifact=${artifact}`, '-Dtransitive=false', `-Ddest=${archive}`];
      check('the schema registry', await maven(goal, into, fetch.signal));
      const unpacked = await run('tar', ['-xzf', archive, '-C', into], { signal: fetch.signal });
      check('the schema registry', unpacked, 'tar');
      rmSync(archive);
    },
  );

// Two Maven processes must not write the same local repository, so fetches wait for each other.
let queue: Promise<unknown> = Promise.resolve();

function maven(goal: readonly string[], cwd: string, signal: AbortSignal): Promise<RunResult> {
  const result = queue.then(() => run('mvn', ['-q', '-B', ...goal], { cwd, signal, timeoutMs: TIMEOUT_MS }));
  queue = result.catch(() => undefined);
  return result;
}

function check(what: string, result: RunResult, tool: 'mvn' | 'tar' = 'mvn'): void {
  if (result.code === 0) return;
  const next = result.isInstalled
    ? 'check the network (and proxy settings of Maven), then start again'
    : `install ${tool === 'mvn' ? 'Maven (Debian: apt-get install maven)' : 'tar'}, start Docker, or point KAFKA_BROKERS and REGISTRY_URL to running services`;
  throw new PipelineError(
    'SERVICE_FAILED',
    `could not fetch ${what}: ${tool} ${result.isInstalled ? `ended with ${result.code}: ${firstError(result.output)}` : 'is not installed'}; ${next}`,
    { facts: { tool, code: result.code } },
  );
}

/** Maven prints its reason first and pages of advice after it. */
const firstError = (output: string): string =>
  (/\[ERROR\] (.*)/.exec(output)?.[1] ?? lastLines(output)).slice(0, 500);

/** Builds beside the target and renames: a folder that is there is complete. */
async function once(
  target: string,
  fetch: Fetch,
  detail: string,
  build: (into: string) => Promise<void>,
): Promise<string> {
  if (existsSync(target)) return target;
  fetch.onDownload(detail);
  mkdirSync(fetch.cacheDir, { recursive: true });
  removeLeftovers(fetch.cacheDir);
  const into = `${target}.part-${process.pid}`;
  rmSync(into, { recursive: true, force: true });
  mkdirSync(into);
  try {
    await build(into);
    try {
      renameSync(into, target);
    } catch (error) {
      // Another process was faster: its folder is as good.
      if (!existsSync(target)) throw error;
    }
    return target;
  } finally {
    rmSync(into, { recursive: true, force: true });
  }
}

function removeLeftovers(cacheDir: string): void {
  for (const name of readdirSync(cacheDir)) {
    const pid = /\.part-(\d+)$/.exec(name)?.[1];
    if (pid !== undefined && identityOf(Number(pid)) === null) {
      rmSync(join(cacheDir, name), { recursive: true, force: true });
    }
  }
}
