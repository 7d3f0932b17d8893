/** The campaign's own way to the brokers: plain kafkajs, so that a fault of the driver cannot hide itself. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import kafkajs, { type Admin, type Consumer, type Kafka, type KafkaMessage } from 'kafkajs';
import type { Seen } from './wire.ts';

export const openPlainKafka = (brokers: readonly string[]): Kafka =>
  new kafkajs.Kafka({
    clientId: 'campaign',
    brokers: [...brokers],
    logLevel: kafkajs.logLevel.NOTHING,
    retry: { initialRetryTime: 100, maxRetryTime: 1_000, retries: 10 },
  });

/** The partition of a key, as kafkajs computes it. */
export function plainPartition(key: string, partitions: number): number {
  const metadata = Array.from({ length: partitions }, (_, partitionId) => ({
    partitionId,
    leader: 0,
    isr: [],
    replicas: [],
    partitionErrorCode: 0,
  }));
  const partition = kafkajs.Partitioners.DefaultPartitioner();
  return partition({ topic: '', partitionMetadata: metadata, message: { key, value: null } });
}

export type TakeRecord = (topic: string, partition: number, offset: number, record: Seen) => void;

export interface PlainReader {
  /** Reads on in the background, from where it was. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Whether everything is read that is there now. */
  isAtEnd(admin: Admin): Promise<boolean>;
}

/**
 * Reads topics from their beginning to their end, now and then. kafkajs may start anew wherever it likes after trouble:
 * what was taken is dropped, and a hole is asked for again.
 */
export function createPlainReader(options: {
  kafka: Kafka;
  topics: ReadonlyMap<string, number>;
  group: string;
  take: TakeRecord;
}): PlainReader {
  const { kafka, topics, take } = options;
  const nexts = new Map<string, number>();
  let consumer: Consumer | null = null;
  let groups = 0;

  const seekAll = (reader: Consumer): void => {
    for (const [topic, partitions] of topics) {
      for (let partition = 0; partition < partitions; partition += 1) {
        reader.seek({ topic, partition, offset: String(nexts.get(`${topic}/${partition}`) ?? 0) });
      }
    }
  };
  const takeAll = (
    reader: Consumer,
    topic: string,
    partition: number,
    messages: readonly KafkaMessage[],
  ): void => {
    const name = `${topic}/${partition}`;
    for (const message of messages) {
      const offset = Number(message.offset);
      const next = nexts.get(name) ?? 0;
      if (offset < next) continue;
      if (offset > next) {
        reader.seek({ topic, partition, offset: String(next) });
        return;
      }
      nexts.set(name, next + 1);
      take(topic, partition, offset, seenOf(message));
    }
  };
  const stop = async (): Promise<void> => {
    const running = consumer;
    consumer = null;
    // It waits for brokers that may be gone.
    await Promise.race([running?.disconnect().catch(() => {}), sleep(5_000, undefined, { ref: false })]);
  };

  return {
    start: async () => {
      groups += 1;
      const reader = kafka.consumer({
        groupId: `${options.group}-${groups}`,
        maxWaitTimeInMs: 200,
        sessionTimeout: 10_000,
        allowAutoTopicCreation: false,
      });
      consumer = reader;
      await reader.connect();
      await reader.subscribe({ topics: [...topics.keys()], fromBeginning: true });
      const joined = new Promise<void>((resolve) => {
        reader.on(reader.events.GROUP_JOIN, () => {
          seekAll(reader);
          resolve();
        });
      });
      await reader.run({
        autoCommit: false,
        eachBatch: async ({ batch: { topic, partition, messages } }) => {
          if (consumer === reader) takeAll(reader, topic, partition, messages);
        },
      });
      await joined;
    },
    stop,
    isAtEnd: async (admin) => {
      for (const topic of topics.keys()) {
        for (const { partition, high } of await admin.fetchTopicOffsets(topic))
          if ((nexts.get(`${topic}/${partition}`) ?? 0) < Number(high)) return false;
      }
      return true;
    },
  };
}

function seenOf({ timestamp, key, value, headers }: KafkaMessage): Seen {
  const named = Object.entries(headers ?? {}).map(([name, held]) => {
    const first = Array.isArray(held) ? held[0] : held;
    return [name, first === undefined ? undefined : Buffer.from(first)] as const;
  });
  return { timestampMs: Number(timestamp), key, value, headers: Object.fromEntries(named) };
}

/** Makes the first replica of every partition its leader (ElectLeaders, version 0; any broker passes it on). */
export async function electPreferredLeaders(port: number): Promise<void> {
  // Size, api key 43, version 0, correlation id, client id (null); then no list of topics (all), and a limit of 10 s.
  const request = Buffer.alloc(4 + 10 + 8);
  request.writeInt32BE(18, 0);
  request.writeInt16BE(43, 4);
  request.writeInt16BE(-1, 12);
  request.writeInt32BE(-1, 14);
  request.writeInt32BE(10_000, 18);
  const socket = connect({ host: '127.0.0.1', port });
  try {
    socket.write(request);
    await once(socket, 'data', { signal: AbortSignal.timeout(12_000) });
  } finally {
    socket.destroy();
  }
}
