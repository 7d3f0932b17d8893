/** Topics, settings and offsets, over kafkajs' public admin where that is exact and own requests where it is not. */
// kafkajs is CommonJS: not every name of it can be imported by itself.
import kafkajs, { type KafkaConfig, type Admin as KafkajsAdmin } from 'kafkajs';
import type { Clock } from '../clock.ts';
import { isPipelineError, messageOf, PipelineError } from '../errors.ts';
import { brokerErrorText, isPassing, LEADER_NOT_AVAILABLE } from './broker-errors.ts';
import type { Cluster } from './cluster.ts';
import {
  DELETE_RECORDS,
  deleteRecordsAnswer,
  deleteRecordsBody,
  FIND_COORDINATOR,
  findCoordinatorAnswer,
  findCoordinatorBody,
  OFFSET_COMMIT,
  offsetCommitAnswer,
  offsetCommitBody,
} from './offset-requests.ts';
import { retryDelayMs } from './outage.ts';
import type { Admin, OffsetRange, TopicSpec } from './types.ts';

const ATTEMPTS = 40;
const CREATE_TIMEOUT_MS = 30_000;
const DELETE_TIMEOUT_MS = 4_000;

/** Connects on the first call that needs kafkajs. */
export function createAdmin(options: { cluster: Cluster; clock: Clock; client: KafkaConfig }): Admin {
  const { cluster, clock, client } = options;
  const closing = new AbortController();
  let opened: Promise<KafkajsAdmin> | null = null;

  const open = (): Promise<KafkajsAdmin> => {
    opened ??= (async () => {
      const admin = new kafkajs.Kafka(client).admin();
      await admin.connect();
      return admin;
    })();
    // A failed connection is not kept.
    opened.catch(() => {
      opened = null;
    });
    return opened;
  };

  const withAdmin = async <T>(doing: string, call: (admin: KafkajsAdmin) => Promise<T>): Promise<T> => {
    try {
      return await call(await open());
    } catch (error) {
      throw translated(doing, error);
    }
  };

  /** Repeats what says KAFKA_UNAVAILABLE, for about half a minute. */
  const patiently = async <T>(call: () => Promise<T>): Promise<T> => {
    for (let attempt = 0; ; attempt++) {
      try {
        return await call();
      } catch (error) {
        const isOver = attempt >= ATTEMPTS || closing.signal.aborted;
        if (isOver || !isPipelineError(error, 'KAFKA_UNAVAILABLE')) throw error;
        await clock.sleep(retryDelayMs(attempt), closing.signal);
      }
    }
  };

  /** Right after creation leaders come and go: done when all partitions of the topic give their offsets. */
  const untilReady = (topic: string, sinceMs?: number): Promise<readonly OffsetRange[]> =>
    patiently(() => cluster.offsets(topic, sinceMs));

  const create = async (specs: readonly TopicSpec[]): Promise<void> =>
    withAdmin('creation of topics', async (admin) => {
      // `false` says that some existed already: somebody else was faster, and that is as good.
      await admin.createTopics({
        waitForLeaders: false,
        timeout: CREATE_TIMEOUT_MS,
        topics: specs.map(({ name, partitions, replication, settings }) => ({
          topic: name,
          numPartitions: partitions,
          replicationFactor: replication,
          configEntries: Object.entries(settings).map(([key, value]) => ({ name: key, value })),
        })),
      });
    });

  return {
    createTopics: async (specs) => {
      const existing = await cluster.topics();
      const missing = specs.filter(({ name }) => !existing.has(name));
      if (missing.length > 0) await create(missing);
      // Others may hold a partition that cannot be used for a while: that stops its readers and writers, not the start of all.
      await Promise.all(missing.map(({ name }) => untilReady(name)));
      return missing.map(({ name }) => name);
    },
    topics: () => cluster.topics(),
    settings: (topics) =>
      withAdmin('reading of topic settings', async (admin) => {
        if (topics.length === 0) return new Map();
        const { resources } = await admin.describeConfigs({
          includeSynonyms: false,
          resources: topics.map((name) => ({ type: kafkajs.ConfigResourceTypes.TOPIC, name })),
        });
        return new Map(
          resources.map(({ resourceName, configEntries }) => [
            resourceName,
            Object.fromEntries(configEntries.map(({ configName, configValue }) => [configName, configValue])),
          ]),
        );
      }),
    offsets: untilReady,
    deleteTopics: (topics) =>
      withAdmin('deletion of topics', async (admin) => {
        if (topics.length > 0) await admin.deleteTopics({ topics: [...topics], timeout: CREATE_TIMEOUT_MS });
      }),
    // kafkajs looks for the leader before it has loaded the metadata, and fails.
    deleteRecords: (topic, partition, offset) =>
      patiently(async () => {
        await cluster.refresh([topic]);
        const leader = cluster.leader(topic, partition);
        const body = deleteRecordsBody(topic, partition, offset, DELETE_TIMEOUT_MS);
        const error =
          leader === null
            ? LEADER_NOT_AVAILABLE
            : deleteRecordsAnswer(await cluster.ask(leader, DELETE_RECORDS, body));
        if (error === 0) return;
        throw new PipelineError(
          isPassing(error) ? 'KAFKA_UNAVAILABLE' : 'KAFKA_REFUSED',
          `${topic}/${partition}: Kafka did not delete the records before ${offset}: ${brokerErrorText(error)}; compare the rights of this client`,
          { facts: { topic, partition, offset, code: error } },
        );
      }),
    commitOffsets: (group, offsets) =>
      patiently(async () => {
        if (offsets.length === 0) return;
        const found = findCoordinatorAnswer(
          await cluster.ask(null, FIND_COORDINATOR, findCoordinatorBody(group)),
        );
        const error =
          found.error !== 0
            ? found.error
            : offsetCommitAnswer(
                await cluster.ask(found.node, OFFSET_COMMIT, offsetCommitBody(group, offsets)),
              );
        if (error === 0) return;
        throw new PipelineError(
          isPassing(error) ? 'KAFKA_UNAVAILABLE' : 'KAFKA_REFUSED',
          `group ${group}: Kafka did not take the offsets: ${brokerErrorText(error)}; only lag tools miss them`,
          { facts: { group, code: error } },
        );
      }),
    brokerCount: () => cluster.brokerCount(),
    close: async () => {
      closing.abort();
      const admin = await opened?.catch(() => null);
      await admin?.disconnect();
    },
  };
}

const isAnswer = (error: unknown): boolean =>
  error instanceof Error && (error.name === 'KafkaJSProtocolError' || 'errors' in error);

/** Everything that is not an answer of Kafka is a failure of the connection. */
function translated(doing: string, error: unknown): PipelineError {
  if (isPipelineError(error)) return error;
  const details =
    error instanceof Error && 'errors' in error && Array.isArray(error.errors)
      ? error.errors.map(messageOf).join('; ')
      : messageOf(error);
  return isAnswer(error)
    ? new PipelineError('KAFKA_REFUSED', `${doing}: Kafka refused: ${details}`, { cause: error })
    : new PipelineError('KAFKA_UNAVAILABLE', `${doing}: Kafka does not answer: ${details}; try again`, {
        cause: error,
      });
}
