/** The Java runtime of the local broker and registry. */
import { join } from 'node:path';
import { PipelineError } from '#pipeline/errors.ts';
import { run } from './run.ts';

export const JAVA_MINIMUM = 17;

export interface Java {
  readonly command: string;
  /** As printed, e.g. `17.0.15`. */
  readonly version: string;
  readonly major: number;
}

/** Small heap, quick start; neither service is busy enough to gain from the optimising compiler. */
export const JVM_FLAGS = ['-Xms128m', '-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'] as const;

/** Null when there is none that answers; it may be too old. */
export async function probeJava(signal?: AbortSignal): Promise<Java | null> {
  const home = process.env['JAVA_HOME'];
  const candidates = [...(home === undefined || home === '' ? [] : [join(home, 'bin', 'java')]), 'java'];
  for (const command of candidates) {
    const { code, output } = await run(command, ['-version'], { signal, timeoutMs: 15_000 });
    const version = code === 0 ? parseJavaVersion(output) : null;
    if (version !== null) return { command, ...version };
  }
  return null;
}

/** Reads `openjdk version "17.0.15" 2025-04-15`; before 9 the major number came second (`1.8.0_402`). */
export function parseJavaVersion(output: string): { version: string; major: number } | null {
  const version = /version "([^"]{1,40})"/.exec(output)?.[1];
  if (version === undefined) return null;
  const match = /^(?:1\.)?(\d{1,3})/.exec(version);
  return match === null ? null : { version, major: Number(match[1]) };
}

/** Throws SERVICE_FAILED when Java is missing or too old. */
export async function requireJava(service: string, signal?: AbortSignal): Promise<Java> {
  const java = await probeJava(signal);
  if (java !== null && java.major >= JAVA_MINIMUM) return java;
  throw new PipelineError(
    'SERVICE_FAILED',
    `${service} needs Java ${JAVA_MINIMUM} or newer, found ${java === null ? 'none' : java.version}: ` +
      'install a Java runtime (Debian: apt-get install openjdk-17-jre-headless maven), set JAVA_HOME, ' +
      'start Docker, or point KAFKA_BROKERS and REGISTRY_URL to running services',
    { facts: { service, found: java?.version ?? null, expected: JAVA_MINIMUM } },
  );
}
