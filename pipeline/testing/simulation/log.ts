/** A log as Kafka keeps one, and a client whose requests get lost, are answered late, in part or not at all. */
import { PipelineError } from '#pipeline/errors.ts';
import type { Admin, Entry, Fetcher, FetchHandler, Kafka, KafkaRecord } from '#pipeline/kafka/types.ts';
import { createSimulatedProducer } from './producer.ts';
import type { Owner, Scheduler } from './scheduler.ts';

export interface Partition {
  readonly isAppendTime: boolean;
  readonly records: KafkaRecord[];
  /** Records before it are deleted. */
  start: number;
  /** Of the broker's clock, for append time. */
  skewMs: number;
  /** How readily it is fetched: 1 as soon as possible. */
  speed: number;
  /** Nobody can write to it. */
  isStuck: boolean;
}

/** How bad the world is; all zero: calm. */
export interface Faults {
  /** A partition's part of a request is not stored. */
  refused: number;
  /** It is stored, and the answer is lost. */
  unanswered: number;
  /** A copy of the request is still on the way, and arrives some time later. */
  ghosts: number;
  /** Longest way of a request or answer. */
  delayMs: number;
}

export const CALM: Readonly<Faults> = { refused: 0, unanswered: 0, ghosts: 0, delayMs: 0 };

export class SimulatedLog {
  readonly topics = new Map<string, readonly Partition[]>();
  readonly scheduler: Scheduler;
  faults: Readonly<Faults> = CALM;
  /** What is stored instead of an entry, as if somebody else had written it first. */
  forge: (topic: string, entry: Entry) => Entry = (_topic, entry) => entry;
  /** Hears at which moment somebody looks for records since some time. */
  onLook: (topic: string) => void = () => {};
  readonly #fetches = new Set<(topic: string, partition: number) => void>();

  constructor(scheduler: Scheduler) {
    this.scheduler = scheduler;
  }

  create(topic: string, partitions: number, isAppendTime: boolean): void {
    const create = (): Partition => ({
      isAppendTime,
      records: [],
      start: 0,
      skewMs: 0,
      speed: 1,
      isStuck: false,
    });
    this.topics.set(topic, Array.from({ length: partitions }, create));
  }

  partition(topic: string, partition: number): Partition {
    const found = this.topics.get(topic)?.[partition];
    if (found === undefined) throw new Error(`no partition ${topic}/${partition}`);
    return found;
  }

  append(topic: string, partition: number, given: Entry): number {
    const entry = this.forge(topic, given);
    const { isAppendTime, records, skewMs } = this.partition(topic, partition);
    const offset = records.length;
    const timestampMs = isAppendTime ? this.scheduler.nowMs + skewMs : entry.timestampMs;
    records.push({ ...entry, offset, timestampMs });
    for (const fetch of this.#fetches) fetch(topic, partition);
    return offset;
  }

  onAppend(fetch: (topic: string, partition: number) => void): () => void {
    this.#fetches.add(fetch);
    return () => this.#fetches.delete(fetch);
  }

  /** The client of one process; `speed` 1: it fetches as soon as possible. */
  client(
    owner: Owner,
    options: { onStored?: (topic: string, isInPart: boolean) => void; speed?: number } = {},
  ): Kafka {
    const { onStored = () => {}, speed = 1 } = options;
    return {
      producer: ({ isIndependent = false } = {}) =>
        createSimulatedProducer(this, owner, { onStored, isIndependent }),
      fetcher: (handler) => createFetcher(this, owner, speed, handler),
      admin: () => createAdmin(this, owner),
      join: () => {
        throw new Error('groups are not simulated: shares are');
      },
      close: async () => {},
    };
  }
}

function createFetcher(log: SimulatedLog, owner: Owner, ownSpeed: number, handler: FetchHandler): Fetcher {
  const { scheduler } = log;
  const { random } = scheduler;
  const positions = new Map<
    string,
    { topic: string; partition: number; offset: number; isPaused: boolean }
  >();
  let isScheduled = false;
  let isClosed = false;

  const fetch = (): void => {
    isScheduled = false;
    if (isClosed) return;
    const ready = [...positions.values()].filter(({ topic, partition, offset, isPaused }) => {
      const { records, speed, start } = log.partition(topic, partition);
      return !isPaused && (offset < records.length || offset < start) && random.chance(speed * ownSpeed);
    });
    if (ready.length > 0) {
      const place = random.pick(ready);
      const { topic, partition, offset } = place;
      const { records, start } = log.partition(topic, partition);
      if (offset < start) {
        positions.delete(`${topic}/${partition}`);
        const message = `${topic}/${partition}: offset ${offset} is deleted, the log starts at ${start}`;
        handler.onError(topic, partition, new PipelineError('OFFSET_OUT_OF_RANGE', message));
      } else {
        const batch = records.slice(offset, offset + random.between(1, 9));
        place.offset = offset + batch.length;
        handler.onRecords(topic, partition, batch, records.length);
      }
    }
    const isBehind = [...positions.values()].some(
      ({ topic, partition, offset, isPaused }) =>
        !isPaused && offset < log.partition(topic, partition).records.length,
    );
    if (isBehind) schedule();
  };
  const schedule = (): void => {
    if (isScheduled || isClosed) return;
    isScheduled = true;
    scheduler.after(random.between(0, Math.max(1, log.faults.delayMs)), owner, fetch);
  };
  const stopListening = log.onAppend((topic, partition) => {
    if (positions.get(`${topic}/${partition}`)?.isPaused === false) schedule();
  });
  return {
    add: (topic, partition, offset) => {
      positions.set(`${topic}/${partition}`, { topic, partition, offset, isPaused: false });
      schedule();
    },
    remove: (topic, partition) => {
      positions.delete(`${topic}/${partition}`);
    },
    pause: (topic, partition) => {
      const place = positions.get(`${topic}/${partition}`);
      if (place !== undefined) place.isPaused = true;
    },
    resume: (topic, partition) => {
      const place = positions.get(`${topic}/${partition}`);
      if (place !== undefined) place.isPaused = false;
      schedule();
    },
    close: async () => {
      isClosed = true;
      stopListening();
    },
  };
}

function firstSince(records: readonly KafkaRecord[], sinceMs: number): number {
  const at = records.findIndex(({ timestampMs }) => timestampMs >= sinceMs);
  return at === -1 ? records.length : at;
}

function createAdmin(log: SimulatedLog, owner: Owner): Admin {
  const { scheduler } = log;
  const answer = <T>(ask: () => T): Promise<T> =>
    new Promise((resolve) => {
      scheduler.after(scheduler.random.between(0, log.faults.delayMs), owner, () => resolve(ask()));
    });
  const unused = async (): Promise<never> => {
    throw new Error('the engine does not ask this once it runs');
  };
  return {
    offsets: (topic, sinceMs) =>
      answer(() => {
        if (sinceMs !== undefined) log.onLook(topic);
        return (log.topics.get(topic) ?? []).map(({ start, records }, partition) => ({
          partition,
          start: sinceMs === undefined ? start : firstSince(records, sinceMs),
          end: records.length,
        }));
      }),
    deleteRecords: (topic, partition, offset) =>
      answer(() => {
        const found = log.partition(topic, partition);
        found.start = Math.max(found.start, offset);
      }),
    commitOffsets: () => answer(() => {}),
    createTopics: unused,
    topics: unused,
    settings: unused,
    deleteTopics: unused,
    brokerCount: unused,
    close: async () => {},
  };
}
