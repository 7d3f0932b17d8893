/**
 * Reads partitions: one long poll for each node, the next one open while an answer is handled. Offsets are never
 * reset or skipped: what cannot be read on is reported and let go (reference: engine rules, sections 1 and 6).
 */
import { messageOf, PipelineError } from '../errors.ts';
import { decodeBatches, offsetAfter } from './batch-decode.ts';
import { brokerErrorText, isPassing, OFFSET_OUT_OF_RANGE } from './broker-errors.ts';
import { FETCH, type FetchAnswer, fetchAnswer, fetchBody } from './fetch.ts';
import { createNodeLinks } from './node-links.ts';
import { outOfRangeError } from './out-of-range.ts';
import { retryDelayMs } from './outage.ts';
import type { DriverContext } from './producer.ts';
import type { Fetcher, FetcherOptions, FetchHandler } from './types.ts';

/** A partition asked for again while a poll without it is open waits until that returns (kafka-driver, trap 3). */
const MAX_WAIT_SOME_PAUSED_MS = 10;
const MAX_WAIT_MS = 500;
/** A poll that is so late has a dead connection: a half-open one never says so by itself. */
const LATE_ANSWER_MS = 15_000;
const DEFAULT_MAX_BYTES = 1_000_000;
const DEFAULT_PARTITION_MAX_BYTES = 250_000;

/** One `add` of a partition; adding it again makes another one, and answers for the old one are dropped. */
interface Reading {
  readonly topic: string;
  readonly partition: number;
  offset: number;
  isPaused: boolean;
  /** Node that is asked for it; null while the leader is being looked for. */
  node: number | null;
  /** Its offset is being compared with the log. */
  isInDoubt: boolean;
  /** Errors in a row. */
  failures: number;
}

/** A poll on its way. */
interface Poll {
  readonly asked: ReadonlyMap<string, Reading>;
  readonly payload: Promise<Buffer>;
}

interface Arrival {
  readonly reading: Reading;
  readonly from: number;
  readonly answer: FetchAnswer;
}

const keyOf = (topic: string, partition: number): string => `${topic}/${partition}`;

/** Opens no connection before the first partition is added. */
export function createFetcher(
  context: DriverContext,
  handler: FetchHandler,
  options: FetcherOptions = {},
): Fetcher {
  const { cluster, clock, log, outage } = context;
  const closing = new AbortController();
  const { signal } = closing;
  const links = createNodeLinks(cluster, signal, (options.maxWaitMs ?? MAX_WAIT_MS) + LATE_ANSWER_MS);
  /** In the order of their turn: those that gave data go last. */
  const readings = new Map<string, Reading>();
  const loops = new Map<number, Promise<void>>();
  let isSeeking = false;
  let changed = Promise.withResolvers<void>();

  const ring = (): void => {
    changed.resolve();
    changed = Promise.withResolvers();
  };
  const isCurrent = (reading: Reading): boolean =>
    readings.get(keyOf(reading.topic, reading.partition)) === reading;

  const report = (reading: Reading, error: Error): void => {
    if (signal.aborted || !isCurrent(reading)) return;
    readings.delete(keyOf(reading.topic, reading.partition));
    try {
      handler.onError(reading.topic, reading.partition, error);
    } catch (thrown) {
      log.error('the handler of fetch errors threw', {
        topic: reading.topic,
        partition: reading.partition,
        error: thrown,
      });
    }
  };

  const place = (reading: Reading, node: number): void => {
    reading.node = node;
    if (!loops.has(node)) loops.set(node, pollNode(node));
    ring();
  };

  const homeless = (): Reading[] =>
    [...readings.values()].filter(({ node, isInDoubt }) => node === null && !isInDoubt);

  /** Looks for leaders until every partition has one. */
  const findLeaders = async (): Promise<void> => {
    for (let lost = homeless(); lost.length > 0 && !signal.aborted; lost = homeless()) {
      const failures = Math.min(...lost.map((reading) => reading.failures));
      if (failures > 0) await clock.sleep(retryDelayMs(failures - 1), signal);
      if (signal.aborted) return;
      try {
        await cluster.refresh(new Set(lost.map(({ topic }) => topic)));
      } catch (error) {
        if (!signal.aborted) outage.failed(error);
      }
      for (const reading of lost) {
        if (!isCurrent(reading) || reading.node !== null) continue;
        const node = cluster.leader(reading.topic, reading.partition);
        if (node !== null) place(reading, node);
        else {
          reading.failures++;
          const where = keyOf(reading.topic, reading.partition);
          outage.partitionFailed('read from', where, 'no leader is known');
        }
      }
    }
  };

  const seek = (): void => {
    if (isSeeking) return;
    isSeeking = true;
    void findLeaders().finally(() => {
      isSeeking = false;
      // One may have lost its leader between the last look and here.
      if (homeless().length > 0 && !signal.aborted) seek();
    });
  };

  const unsettle = (reading: Reading): void => {
    reading.failures++;
    reading.node = null;
    seek();
  };

  /** The broker says that the offset does not exist: certain only when start and end say so too. */
  const doubt = async (reading: Reading): Promise<void> => {
    reading.node = null;
    reading.isInDoubt = true;
    try {
      const ranges = await cluster.offsets(reading.topic);
      const range = ranges.find(({ partition }) => partition === reading.partition);
      const error = range === undefined ? null : outOfRangeError(reading, range);
      if (error !== null) {
        report(reading, error);
        return;
      }
    } catch (error) {
      if (!signal.aborted) outage.failed(error);
    }
    reading.isInDoubt = false;
    if (!signal.aborted && isCurrent(reading)) unsettle(reading);
  };

  const ask = (node: number): Poll | null => {
    const link = links.open(node);
    if (link === null || signal.aborted) return null;
    const mine = [...readings.values()].filter((reading) => reading.node === node);
    const wants = mine.filter(({ isPaused }) => !isPaused);
    if (wants.length === 0) return null;
    const body = fetchBody(wants, {
      maxWaitMs: options.maxWaitMs ?? (wants.length < mine.length ? MAX_WAIT_SOME_PAUSED_MS : MAX_WAIT_MS),
      maxBytes: options.maxBytes ?? DEFAULT_MAX_BYTES,
      partitionMaxBytes: options.partitionMaxBytes ?? DEFAULT_PARTITION_MAX_BYTES,
    });
    const payload = link.request(FETCH, [body]);
    payload.catch(() => {}); // awaited by the loop, which may be busy with the answer before
    return {
      asked: new Map(wants.map((reading) => [keyOf(reading.topic, reading.partition), reading])),
      payload,
    };
  };

  /** Moves the offsets on, so that the next poll can go out before the records are looked at. */
  const advance = (poll: Poll, answers: readonly FetchAnswer[]): Arrival[] => {
    const arrivals: Arrival[] = [];
    for (const answer of answers) {
      const key = keyOf(answer.topic, answer.partition);
      const reading = poll.asked.get(key);
      if (reading === undefined || !isCurrent(reading) || reading.node === null) continue;
      if (answer.error === OFFSET_OUT_OF_RANGE) void doubt(reading);
      else if (isPassing(answer.error)) {
        outage.partitionFailed('read from', key, brokerErrorText(answer.error));
        unsettle(reading);
      } else if (answer.error !== 0) report(reading, refused(reading, brokerErrorText(answer.error)));
      else {
        reading.failures = 0;
        outage.partitionRecovered('read from', key);
        const from = reading.offset;
        try {
          reading.offset = offsetAfter(answer.bytes, from);
        } catch (error) {
          report(reading, refused(reading, messageOf(error), error));
        }
        if (reading.offset === from || !isCurrent(reading)) continue;
        readings.delete(key);
        readings.set(key, reading);
        arrivals.push({ reading, from, answer });
      }
    }
    return arrivals;
  };

  const deliver = ({ reading, from, answer }: Arrival): void => {
    if (signal.aborted || !isCurrent(reading)) return;
    let records: ReturnType<typeof decodeBatches>;
    try {
      records = decodeBatches(answer.bytes, from);
    } catch (error) {
      report(reading, refused(reading, messageOf(error), error));
      return;
    }
    if (records.length === 0) return;
    try {
      handler.onRecords(reading.topic, reading.partition, records, answer.endOffset);
    } catch (error) {
      report(reading, error instanceof Error ? error : new Error(messageOf(error)));
    }
  };

  const nodeFailed = async (node: number, failures: number, error: unknown): Promise<void> => {
    links.drop(node);
    if (signal.aborted) return;
    outage.failed(error);
    for (const reading of readings.values()) {
      if (reading.node !== node) continue;
      reading.node = null;
      reading.failures = Math.max(reading.failures, failures);
    }
    seek();
    await clock.sleep(retryDelayMs(failures), signal);
  };

  async function pollNode(node: number): Promise<void> {
    let poll: Poll | null = null;
    let failures = 0;
    while (!signal.aborted) {
      const bell = changed.promise;
      try {
        const isNeeded = [...readings.values()].some((reading) => reading.node === node && !reading.isPaused);
        if (poll === null && isNeeded && links.open(node) === null) await links.get(node);
        poll ??= ask(node);
        if (poll === null) {
          await bell;
          continue;
        }
        const answer = fetchAnswer(await poll.payload);
        if (answer.error !== 0)
          throw new Error(`a fetch from node ${node}: ${brokerErrorText(answer.error)}`);
        failures = 0;
        outage.recovered();
        links.open(node)?.throttle(answer.throttleMs);
        const arrivals = advance(poll, answer.answers);
        poll = ask(node);
        for (const arrival of arrivals) deliver(arrival);
      } catch (error) {
        poll = null;
        await nodeFailed(node, failures++, error);
      }
    }
  }

  const change = (topic: string, partition: number, isPaused: boolean): void => {
    const reading = readings.get(keyOf(topic, partition));
    if (reading === undefined || reading.isPaused === isPaused) return;
    reading.isPaused = isPaused;
    ring();
  };

  return {
    add: (topic, partition, offset) => {
      const reading = {
        topic,
        partition,
        offset,
        isPaused: false,
        node: null,
        isInDoubt: false,
        failures: 0,
      };
      readings.set(keyOf(topic, partition), reading);
      const node = cluster.leader(topic, partition);
      if (node === null) seek();
      else place(reading, node);
    },
    remove: (topic, partition) => {
      readings.delete(keyOf(topic, partition));
    },
    pause: (topic, partition) => change(topic, partition, true),
    resume: (topic, partition) => change(topic, partition, false),
    close: async () => {
      closing.abort();
      ring();
      readings.clear();
      // A search for leaders may hang on a dead broker for seconds; it ends by itself and calls nobody.
      await Promise.all(loops.values());
    },
  };
}

const refused = (reading: Reading, what: string, cause?: unknown): PipelineError =>
  new PipelineError(
    'KAFKA_REFUSED',
    `${keyOf(reading.topic, reading.partition)}: cannot be read on from offset ${reading.offset}: ${what}; ` +
      'look at the topic and the rights of this client',
    { facts: { topic: reading.topic, partition: reading.partition, offset: reading.offset }, cause },
  );
