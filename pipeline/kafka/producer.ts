/**
 * Writes entries: one round outstanding, the next only when every partition of it is acknowledged. What has no
 * answer, or an error that passes, is sent again with the same bytes (reference: engine rules, section 7).
 */
import type { Clock } from '../clock.ts';
import { PipelineError } from '../errors.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { brokerErrorText, isPassing, MESSAGE_TOO_LARGE, RECORD_LIST_TOO_LARGE } from './broker-errors.ts';
import type { Cluster } from './cluster.ts';
import { createNodeLinks } from './node-links.ts';
import { type Outage, retryDelayMs } from './outage.ts';
import { PRODUCE, type ProduceAnswer, produceAnswer, produceBody } from './produce.ts';
import { type Batch, createProducerQueue, type Waiter } from './producer-queue.ts';
import type { Entry, Placement, Producer, ProducerOptions } from './types.ts';

const DEFAULT_MAX_REQUEST_BYTES = 1_000_000;
const DEFAULT_MAX_PENDING_BYTES = 16_000_000;

/** What producers and fetchers share. */
export interface DriverContext {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly log: Log;
  readonly outage: Outage;
  readonly metrics: Metrics | null;
}

interface OrderWaiter {
  /** Resolves when every entry below this order is acknowledged. */
  readonly below: number;
  readonly done: PromiseWithResolvers<void>;
}

const placeOf = ({ topic, partition }: { topic: string; partition: number }): string =>
  `${topic}/${partition}`;

const closedError = (): PipelineError =>
  new PipelineError('KAFKA_UNAVAILABLE', 'the producer was closed before Kafka had acknowledged everything');

/** Opens no connection before the first entry. */
export function createProducer(context: DriverContext, options: ProducerOptions = {}): Producer {
  const { cluster, clock, outage, metrics } = context;
  const maxRequestBytes = options.maxRequestBytes ?? DEFAULT_MAX_REQUEST_BYTES;
  const maxPendingBytes = options.maxPendingBytes ?? DEFAULT_MAX_PENDING_BYTES;
  const compression = options.compression ?? 'none';
  const closing = new AbortController();
  const links = createNodeLinks(cluster, closing.signal);
  const queue = createProducerQueue({ maxBatchBytes: maxRequestBytes, compression });
  let appended = 0;
  let pendingBytes = 0;
  let isRunning = false;
  /** Parts of the round that are not acknowledged. */
  let round: readonly Batch[] = [];
  let failure: PipelineError | null = null;
  let orderWaiters: OrderWaiter[] = [];
  let roomWaiters: PromiseWithResolvers<void>[] = [];

  const add = (topic: string, partition: number, entry: Entry, waiter: Waiter): void => {
    if (failure !== null) throw failure;
    pendingBytes += queue.add(topic, partition, entry, waiter);
    appended++;
    if (isRunning) return;
    isRunning = true;
    // What is appended in the same turn goes together.
    queueMicrotask(run);
  };

  const acknowledge = (part: Batch, answer: ProduceAnswer): void => {
    if (failure !== null) return; // all were rejected
    pendingBytes -= part.bytes;
    for (const [index, waiter] of part.waiters.entries())
      waiter?.resolve({ offset: answer.baseOffset + index, appendTimeMs: answer.appendTimeMs });
  };

  /** False: send it again. Throws KAFKA_REFUSED for an error that does not pass. */
  const settle = (part: Batch, answer: ProduceAnswer | undefined): boolean => {
    if (answer?.error === 0) {
      acknowledge(part, answer);
      return true;
    }
    const place = placeOf(part);
    if (answer === undefined) {
      outage.failed(new Error(`${place}: no answer for this partition`), { isPartition: true });
      return false;
    }
    const { error } = answer;
    if (isPassing(error)) {
      outage.failed(new Error(`${place}: ${brokerErrorText(error)}`), { isPartition: true });
      return false;
    }
    if ((error === MESSAGE_TOO_LARGE || error === RECORD_LIST_TOO_LARGE) && part.count > 1) {
      // Each may still fit by itself: topics can allow less than a request holds.
      queue.putBack(part);
      return true;
    }
    throw new PipelineError(
      'KAFKA_REFUSED',
      `${place}: Kafka refused ${part.count} records of ${part.bytes} bytes: ${brokerErrorText(error)}; ` +
        'compare the topic settings and the rights of this client',
      { facts: { topic: part.topic, partition: part.partition, code: error, bytes: part.bytes } },
    );
  };

  /** Sends the parts that one node leads; returns those to send again. */
  const sendTo = async (node: number, parts: readonly Batch[]): Promise<readonly Batch[]> => {
    let answers: ReadonlyMap<string, ProduceAnswer>;
    try {
      const link = links.open(node) ?? (await links.get(node));
      const answer = produceAnswer(await link.request(PRODUCE, produceBody(parts)));
      link.throttle(answer.throttleMs);
      answers = new Map(answer.answers.map((one) => [placeOf(one), one]));
    } catch (error) {
      links.drop(node);
      if (!closing.signal.aborted) outage.failed(error);
      return parts;
    }
    return parts.filter((part) => !settle(part, answers.get(placeOf(part))));
  };

  const attempt = async (parts: readonly Batch[]): Promise<readonly Batch[]> => {
    const byNode = Map.groupBy(parts, ({ topic, partition }) => cluster.leader(topic, partition));
    const homeless = byNode.get(null) ?? [];
    const [lost] = homeless;
    if (lost !== undefined) {
      outage.failed(new Error(`${placeOf(lost)}: no leader is known`), { isPartition: true });
    }
    const sent = [...byNode].filter((group): group is [number, Batch[]] => group[0] !== null);
    const left = await Promise.all(sent.map(([node, members]) => sendTo(node, members)));
    return [...homeless, ...left.flat()];
  };

  const refresh = async (parts: readonly Batch[]): Promise<void> => {
    try {
      await cluster.refresh(new Set(parts.map(({ topic }) => topic)));
    } catch (error) {
      if (!closing.signal.aborted) outage.failed(error);
    }
  };

  const deliver = async (): Promise<void> => {
    if (round.some(({ topic, partition }) => cluster.leader(topic, partition) === null)) await refresh(round);
    for (let tries = 0; round.length > 0; tries++) {
      if (closing.signal.aborted) throw closedError();
      const sent = round;
      round = await attempt(sent);
      if (round.length === 0) {
        // Sent once and answered: no connection, however slow, has anything of it left to send.
        if (tries === 0) for (const part of sent) queue.reuse(part);
        break;
      }
      metrics?.add('produce_retries_total', {}, round.length);
      await clock.sleep(retryDelayMs(tries), closing.signal);
      if (!closing.signal.aborted) await refresh(round);
    }
    if (failure === null) outage.recovered();
  };

  const release = (): void => {
    if (pendingBytes < maxPendingBytes && roomWaiters.length > 0) {
      const waiters = roomWaiters;
      roomWaiters = [];
      for (const waiter of waiters) waiter.resolve();
    }
    if (orderWaiters.length === 0) return;
    const oldest = queue.oldest();
    const isDone = ({ below }: OrderWaiter): boolean => below <= oldest;
    const done = orderWaiters.filter(isDone);
    orderWaiters = orderWaiters.filter((waiter) => !isDone(waiter));
    for (const waiter of done) waiter.done.resolve();
  };

  const fail = (error: PipelineError): void => {
    if (failure !== null) return;
    failure = error;
    const waiters = [...round.flatMap((part) => part.waiters), ...queue.clear()];
    // Nobody may be waiting for a promise that was made: an unheard rejection is not an error of its own.
    for (const waiter of waiters) waiter?.promise.catch(() => {});
    for (const waiter of waiters) waiter?.reject(error);
    for (const { done } of orderWaiters) done.reject(error);
    for (const waiter of roomWaiters) waiter.reject(error);
    round = [];
    orderWaiters = [];
    roomWaiters = [];
    pendingBytes = 0;
  };

  async function run(): Promise<void> {
    try {
      while (!queue.isEmpty) {
        round = queue.take(maxRequestBytes);
        await deliver();
        release();
      }
    } catch (error) {
      fail(
        error instanceof PipelineError
          ? error
          : new PipelineError('INVARIANT_BROKEN', 'the producer failed unexpectedly; report this', {
              cause: error,
            }),
      );
    } finally {
      isRunning = false;
    }
  }

  const acknowledged = (): Promise<void> => {
    if (failure !== null) return Promise.reject(failure);
    if (!isRunning) return Promise.resolve();
    const waiter = { below: appended, done: Promise.withResolvers<void>() };
    orderWaiters.push(waiter);
    return waiter.done.promise;
  };

  return {
    append: (topic, partition, entry) => add(topic, partition, entry, null),
    acknowledged,
    send: async (topic, partition, entry): Promise<Placement> => {
      const waiter = Promise.withResolvers<Placement>();
      add(topic, partition, entry, waiter);
      return waiter.promise;
    },
    get pendingBytes() {
      return pendingBytes;
    },
    writable: () => {
      if (failure !== null) return Promise.reject(failure);
      if (pendingBytes < maxPendingBytes) return Promise.resolve();
      const waiter = Promise.withResolvers<void>();
      roomWaiters.push(waiter);
      return waiter.promise;
    },
    close: async (signal) => {
      if (signal?.aborted !== true) {
        const aborted = Promise.withResolvers<void>();
        const stop = () => aborted.resolve();
        signal?.addEventListener('abort', stop, { once: true });
        await Promise.race([acknowledged().catch(() => {}), aborted.promise]);
        signal?.removeEventListener('abort', stop);
      }
      fail(closedError());
      closing.abort();
    },
  };
}
