/** A real Kafka broker (one node, KRaft) from the published jars. Facts: one process is broker and controller. */
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PipelineError } from '#pipeline/errors.ts';
import { type Java, JVM_FLAGS, requireJava } from './java.ts';
import { kafkaJars } from './maven.ts';
import { checkKafka } from './ready.ts';
import { lastLines, run } from './run.ts';
import type { ServicePlan } from './service.ts';

/** Any 16 bytes in base64 will do; one data directory is one cluster. */
export const CLUSTER_ID = 'YmFsZWVuLWxvY2FsLWthZg';

/** Settings of the local broker and of the one in `docker-compose.kafka.yml`; a test compares them. */
export const BROKER_SETTINGS = {
  'auto.create.topics.enable': 'false',
  'offsets.topic.replication.factor': '1',
  'offsets.topic.num.partitions': '4',
  'transaction.state.log.replication.factor': '1',
  'transaction.state.log.min.isr': '1',
  'transaction.state.log.num.partitions': '4',
  'share.coordinator.state.topic.replication.factor': '1',
  'share.coordinator.state.topic.min.isr': '1',
  'group.initial.rebalance.delay.ms': '0',
  'group.min.session.timeout.ms': '1000',
  'transaction.max.timeout.ms': '900000',
  'transaction.abort.timed.out.transaction.cleanup.interval.ms': '1000',
  'num.network.threads': '2',
  'num.io.threads': '4',
  'num.recovery.threads.per.data.dir': '2',
  'log.segment.bytes': '134217728',
  'log.cleaner.dedupe.buffer.size': '8388608',
  // Recorded data is older than any retention: topics say themselves what may go.
  'log.retention.ms': '-1',
  'message.max.bytes': '16777216',
  'replica.fetch.max.bytes': '16777216',
  // After a kill the old registration must expire before the broker is let in again: 9 s by default.
  'broker.session.timeout.ms': '1500',
  'broker.heartbeat.interval.ms': '300',
} as const satisfies Record<string, string>;

const LOGGING = `status=error
appender.c.type=Console
appender.c.name=C
appender.c.layout.type=PatternLayout
appender.c.layout.pattern=%d{yyyy-MM-dd HH:mm:ss.SSS} %p %c{1} %m%n
rootLogger.level=warn
rootLogger.appenderRef.c.ref=C
`;

/** What makes a broker one of several; see `kafka-cluster.ts`. */
export interface BrokerVariant {
  /** Added to the settings below, or in their place. */
  readonly properties?: Readonly<Record<string, string>>;
  /** Instead of `JVM_FLAGS`. */
  readonly jvmFlags?: readonly string[];
  /** More arguments of the format, such as the first users. */
  readonly formatArgs?: readonly string[];
}

/** The content of `server.properties`. */
export function renderProperties(
  options: { port: number; controllerPort: number; logDir: string } & BrokerVariant,
): string {
  const properties: Record<string, string> = {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${options.controllerPort}`,
    listeners: `PLAINTEXT://127.0.0.1:${options.port},CONTROLLER://127.0.0.1:${options.controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${options.port}`,
    'inter.broker.listener.name': 'PLAINTEXT',
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
    'log.dirs': options.logDir,
    ...BROKER_SETTINGS,
    ...options.properties,
  };
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${escapeValue(value)}\n`)
    .join('');
}

/** In a properties file a backslash escapes, and everything but ASCII is written as a code. */
const escapeValue = (value: string): string =>
  value
    .replaceAll('\\', '\\\\')
    .replaceAll(/[^\x20-\x7e]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);

export function kafkaPlan(
  options: {
    dataDir: string;
    cacheDir: string;
    port: number;
    controllerPort: number;
  } & BrokerVariant,
): ServicePlan {
  const { jvmFlags = JVM_FLAGS, formatArgs = [] } = options;
  const home = join(options.dataDir, 'kafka');
  const logDir = join(home, 'data');
  const propertiesPath = join(home, 'server.properties');
  // A class archive halves the start. It is written when the broker stops: here first, into the cache when whole.
  const draft = join(home, 'classes.jsa');
  let archive = '';
  let isRecording = false;

  const format = async (java: Java, classPath: string, signal: AbortSignal): Promise<void> => {
    if (existsSync(join(logDir, 'meta.properties'))) return;
    const flags = existsSync(archive) ? [`-XX:SharedArchiveFile=${archive}`] : [];
    const tool = ['kafka.tools.StorageTool', 'format', '-t', CLUSTER_ID, '-c', propertiesPath, ...formatArgs];
    // A format that was interrupted is completed.
    const args = [...jvmFlags, ...flags, loggingFlag(home), '-cp', classPath, ...tool, '--ignore-formatted'];
    const result = await run(java.command, args, { cwd: home, signal, timeoutMs: 60_000 });
    if (result.code === 0) return;
    throw new PipelineError(
      'SERVICE_FAILED',
      `could not format ${logDir} for Kafka: ${lastLines(result.output)}; is the disk full or read-only?`,
    );
  };

  return {
    name: 'kafka',
    address: `127.0.0.1:${options.port}`,
    attempts: 1,
    prepare: async (signal, onDownload) => {
      const java = await requireJava('Kafka', signal);
      const jars = await kafkaJars({ cacheDir: options.cacheDir, onDownload, signal });
      // In fixed order: a class archive is good for one class path only.
      const names = readdirSync(jars).filter((name) => name.endsWith('.jar'));
      const classPath = names
        .sort()
        .map((name) => join(jars, name))
        .join(':');
      archive = archivePath(options.cacheDir, java, classPath);
      mkdirSync(home, { recursive: true });
      writeFileSync(propertiesPath, renderProperties({ ...options, logDir }));
      writeFileSync(join(home, 'log4j2.properties'), LOGGING);
      await format(java, classPath, signal);
      isRecording = !existsSync(archive);
      rmSync(draft, { force: true });
      const sharing = isRecording ? `-XX:ArchiveClassesAtExit=${draft}` : `-XX:SharedArchiveFile=${archive}`;
      const main = ['-cp', classPath, 'kafka.Kafka', propertiesPath];
      return {
        command: java.command,
        args: [...jvmFlags, sharing, loggingFlag(home), ...main],
        cwd: home,
      };
    },
    checkReady: (signal) => checkKafka(`127.0.0.1:${options.port}`, signal),
    afterStop: (byItself) => {
      // Killed while it wrote: the draft is not whole.
      if (isRecording && byItself && existsSync(draft)) {
        copyFileSync(draft, `${archive}.${process.pid}`);
        renameSync(`${archive}.${process.pid}`, archive);
      }
      rmSync(draft, { force: true });
    },
  };
}

const loggingFlag = (home: string): string => `-Dlog4j2.configurationFile=${join(home, 'log4j2.properties')}`;

function archivePath(cacheDir: string, java: Java, classPath: string): string {
  const key = createHash('sha256').update(`${java.command}\n${java.version}\n${classPath}`).digest('hex');
  return join(cacheDir, `kafka-classes-${key.slice(0, 12)}.jsa`);
}
