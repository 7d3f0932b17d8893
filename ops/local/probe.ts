/** What is installed on this machine, for people who ask why something cannot start. */
import { JAVA_MINIMUM, probeJava } from './java.ts';
import { run } from './run.ts';

export interface ToolReport {
  readonly tool: 'node' | 'java' | 'mvn' | 'tar' | 'docker';
  /** Null when it is missing or does not answer. */
  readonly version: string | null;
  readonly isUsable: boolean;
  /** What it is for, and what to do when it is missing. One line. */
  readonly detail: string;
}

const NODE_MINIMUM = 26;

/** Looks at all tools side by side; never throws, except with the reason of an aborted signal. */
export const probeTools = (signal?: AbortSignal): Promise<ToolReport[]> =>
  Promise.all([
    reportNode(),
    reportJava(signal),
    reportMaven(signal),
    reportTar(signal),
    reportDocker(signal),
  ]);

function reportNode(): ToolReport {
  const version = process.versions.node;
  const isUsable = Number(version.split('.')[0]) >= NODE_MINIMUM;
  const detail = isUsable
    ? 'runs the pipeline'
    : `needs Node ${NODE_MINIMUM}: start with "npm start", which brings it`;
  return { tool: 'node', version, isUsable, detail };
}

async function reportJava(signal?: AbortSignal): Promise<ToolReport> {
  const java = await probeJava(signal);
  const isUsable = java !== null && java.major >= JAVA_MINIMUM;
  const detail = isUsable
    ? 'runs the local Kafka and schema registry'
    : `the local Kafka and schema registry need Java ${JAVA_MINIMUM} or newer: install it, start Docker, or set KAFKA_BROKERS and REGISTRY_URL`;
  return { tool: 'java', version: java?.version ?? null, isUsable, detail };
}

const reportMaven = (signal?: AbortSignal): Promise<ToolReport> =>
  report(
    'mvn',
    ['-version'],
    /Apache Maven (\S+)/,
    'fetches Kafka and the schema registry once',
    'needed for the first local start: install Maven, start Docker, or set KAFKA_BROKERS and REGISTRY_URL',
    signal,
  );

const reportTar = (signal?: AbortSignal): Promise<ToolReport> =>
  report('tar', ['--version'], /(\d+\.\d+(?:\.\d+)?)/, 'unpacks the schema registry', 'install tar', signal);

const reportDocker = (signal?: AbortSignal): Promise<ToolReport> =>
  report(
    'docker',
    ['info', '--format', '{{.ServerVersion}}'],
    /^(\d\S*)$/m,
    'can run the services instead of local ones',
    'no daemon answers; only needed where Java or Maven is missing',
    signal,
    2_000,
  );

async function report(
  tool: ToolReport['tool'],
  args: readonly string[],
  pattern: RegExp,
  purpose: string,
  advice: string,
  signal: AbortSignal | undefined,
  timeoutMs = 15_000,
): Promise<ToolReport> {
  const { code, output } = await run(tool, args, { signal, timeoutMs });
  const version = code === 0 ? (pattern.exec(output)?.[1] ?? null) : null;
  return { tool, version, isUsable: version !== null, detail: version === null ? advice : purpose };
}
