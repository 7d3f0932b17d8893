/** Writes the input at a fixed pace: seeded readings, with the engine's own driver, which is under test here as well. */
import { systemClock } from '#pipeline/clock.ts';
import { openKafka } from '#pipeline/kafka/client.ts';
import { localSerde } from '#pipeline/serde/serde.ts';
import type { Log } from '#pipeline/telemetry/log.ts';
import { Random } from '#pipeline/testing/simulation/scheduler.ts';
import { graph, type Reading, readings, STATIONS } from './topology.ts';

export const FEED_CLIENT = 'feed';
const SENSORS_OF_GROUP = 10;
const GROUPS = ['a', 'b', 'c', 'd'] as const;
/** How far event time lies behind; more than the grace period, so that some come late. */
const MAX_BEHIND_MS = 1_600;
const STEP_MS = 20;
/** Ahead of everything before: closes every window. */
const FLUSH_AHEAD_MS = 600_000;

export interface Feed {
  /** Readings acknowledged, and the append time of the latest. */
  acknowledged(): { readonly count: number; readonly latestMs: number };
  /** Settles when the driver gives up. */
  readonly failed: Promise<Error>;
  /** Stops the pace, closes all windows, and waits for the acknowledgements. Resolves with the append time of the last. */
  finish(): Promise<number>;
  /** Numbers of the acknowledged readings are 0 to this, exclusive, once `finish` has resolved. */
  sent(): number;
  close(): Promise<void>;
}

export async function startFeed(options: {
  brokers: readonly string[];
  seed: number;
  perSecond: number;
  physicalName: (topic: string) => string;
  log: Log;
}): Promise<Feed> {
  const clock = systemClock;
  const { brokers, log } = options;
  const kafka = await openKafka({ brokers, clientId: FEED_CLIENT, log, clock });
  const producer = kafka.producer();
  const serde = localSerde(graph.topics);
  const random = new Random(options.seed);
  const topic = options.physicalName(readings.name);
  const { promise: failed, resolve: fail } = Promise.withResolvers<Error>();
  let number = 0;
  let count = 0;
  let latestMs = 0;

  const send = async (reading: Omit<Reading, 'number'>): Promise<number> => {
    const station = number % STATIONS;
    const value = serde.encode(readings, { number: BigInt(number), ...reading });
    number += 1;
    const entry = { timestampMs: clock.nowMs(), key: Buffer.from(`station-${station}`), value, headers: [] };
    const { appendTimeMs } = await producer.send(topic, station % readings.partitions, entry);
    count += 1;
    latestMs = Math.max(latestMs, appendTimeMs);
    return appendTimeMs;
  };
  const sendOne = (): void => {
    const sensor = `${random.pick(GROUPS)}${random.below(SENSORS_OF_GROUP)}`;
    const eventTimeMs = clock.nowMs() - random.below(MAX_BEHIND_MS);
    send({ sensor, value: BigInt(random.between(-1_000, 1_000)), eventTimeMs }).catch(fail);
  };
  const startMs = clock.nowMs();
  let due = 0;
  const stopPace = clock.every(STEP_MS, () => {
    const now = Math.floor(((clock.nowMs() - startMs) * options.perSecond) / 1_000);
    // What an outage held up is not made up for: the pace stays fixed.
    if (producer.pendingBytes > 1_000_000) due = now;
    for (; due < now; due += 1) sendOne();
  });

  /** One reading of every sensor, which reach every task. */
  const flush = (): Promise<readonly number[]> => {
    const eventTimeMs = clock.nowMs() + FLUSH_AHEAD_MS;
    const sensors = GROUPS.flatMap((group) =>
      Array.from({ length: SENSORS_OF_GROUP }, (_, at) => `${group}${at}`),
    );
    return Promise.all(sensors.map((sensor) => send({ sensor, value: 0n, eventTimeMs })));
  };

  return {
    acknowledged: () => ({ count, latestMs }),
    failed,
    finish: async () => {
      stopPace();
      const lastMs = Math.max(...(await flush()));
      // Shows on both partitions that nothing earlier follows, and lets the timers before it fire.
      await clock.sleep(2_000);
      await flush();
      return lastMs;
    },
    sent: () => number,
    close: async () => {
      stopPace();
      await producer.close(AbortSignal.timeout(2_000));
      await kafka.close();
    },
  };
}
