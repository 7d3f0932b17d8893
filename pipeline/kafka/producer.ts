/**
 * Writes entries: one round outstanding, the next only when every partition of it is acknowledged. What has no
 * answer, or an error that passes, is sent again with the same bytes (reference: engine rules, section 7).
 *
 * Where partitions are independent, one that takes nothing is put aside: what goes there is tried again by itself, and the
 * others go on.
 */
import type { Clock } from '../clock.ts';
import { PipelineError } from '../errors.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Cluster } from './cluster.ts';
import { type Outage, retryDelayMs } from './outage.ts';
import type { ProduceAnswer } from './produce.ts';
import { createSender } from './produce-send.ts';
import { type Batch, createProducerQueue, type Waiter } from './producer-queue.ts';
import type { Entry, Placement, Producer, ProducerOptions } from './types.ts';

const DEFAULT_MAX_REQUEST_BYTES = 1_000_000;
const DEFAULT_MAX_PENDING_BYTES = 16_000_000;
/** Times that a round is sent whole: a leader that moves comes back within them more often than not. */
const TRIES_TOGETHER = 4;

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

const closedError = (): PipelineError =>
  new PipelineError('KAFKA_UNAVAILABLE', 'the producer was closed before Kafka had acknowledged everything');

/** Opens no connection before the first entry. */
export function createProducer(context: DriverContext, options: ProducerOptions = {}): Producer {
  const { cluster, clock, outage, metrics } = context;
  const { isIndependent = false } = options;
  const maxRequestBytes = options.maxRequestBytes ?? DEFAULT_MAX_REQUEST_BYTES;
  const maxPendingBytes = options.maxPendingBytes ?? DEFAULT_MAX_PENDING_BYTES;
  const compression = options.compression ?? 'none';
  const closing = new AbortController();
  const queue = createProducerQueue({ maxBatchBytes: maxRequestBytes, compression });
  let appended = 0;
  let pendingBytes = 0;
  let isRunning = false;
  /** Parts of the round that are not acknowledged. */
  let round: readonly Batch[] = [];
  /** Parts that are tried again by themselves; at most one of a partition. */
  const aside = new Set<Batch>();
  let failure: PipelineError | null = null;
  let orderWaiters: OrderWaiter[] = [];
  let roomWaiters: PromiseWithResolvers<void>[] = [];

  const add = (topic: string, partition: number, entry: Entry, waiter: Waiter): void => {
    if (failure !== null) throw failure;
    pendingBytes += queue.add(topic, partition, entry, waiter);
    appended++;
    start();
  };

  const start = (): void => {
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

  const senderOptions = {
    ...{ context, signal: closing.signal, onAcknowledged: acknowledge },
    // Each may still fit by itself: topics can allow less than a request holds.
    onTooLarge: queue.putBack,
  };
  const sender = createSender(senderOptions);
  /** On connections of its own: a broker lets a request wait behind one that waits for followers. */
  const asideSender = createSender(senderOptions);

  const deliver = async (): Promise<void> => {
    if (round.some(({ topic, partition }) => cluster.leader(topic, partition) === null))
      await sender.refresh(round);
    for (let tries = 0; round.length > 0; tries++) {
      if (closing.signal.aborted) throw closedError();
      const sent = round;
      round = await sender.send(sent);
      if (round.length === 0) {
        // Sent once and answered: no connection, however slow, has anything of it left to send.
        if (tries === 0) for (const part of sent) queue.reuse(part);
        break;
      }
      metrics?.add('produce_retries_total', {}, round.length);
      if (isIndependent && tries + 1 >= TRIES_TOGETHER) {
        for (const part of round) void deliverAside(part, tries);
        round = [];
        return;
      }
      await clock.sleep(retryDelayMs(tries), closing.signal);
      if (!closing.signal.aborted) await sender.refresh(round);
    }
    if (failure === null) outage.recovered();
  };

  /** Sends one part until it is acknowledged; what follows it in its partition waits meanwhile, and nothing else. */
  const deliverAside = async (part: Batch, triesBefore: number): Promise<void> => {
    queue.hold(part);
    aside.add(part);
    try {
      for (let tries = triesBefore; ; tries++) {
        await clock.sleep(retryDelayMs(tries), closing.signal);
        if (!closing.signal.aborted) await asideSender.refresh([part]);
        if (closing.signal.aborted || failure !== null) return;
        if ((await asideSender.send([part])).length === 0) break;
        metrics?.add('produce_retries_total', {}, 1);
      }
      aside.delete(part);
      queue.free(part);
      release();
      start();
    } catch (error) {
      failWith(error);
    }
  };

  const release = (): void => {
    if (pendingBytes < maxPendingBytes && roomWaiters.length > 0) {
      const waiters = roomWaiters;
      roomWaiters = [];
      for (const waiter of waiters) waiter.resolve();
    }
    if (orderWaiters.length === 0) return;
    const oldest = Math.min(queue.oldest(), ...[...round, ...aside].map(({ order }) => order));
    const isDone = ({ below }: OrderWaiter): boolean => below <= oldest;
    const done = orderWaiters.filter(isDone);
    orderWaiters = orderWaiters.filter((waiter) => !isDone(waiter));
    for (const waiter of done) waiter.done.resolve();
  };

  const fail = (error: PipelineError): void => {
    if (failure !== null) return;
    failure = error;
    const waiters = [...[...round, ...aside].flatMap((part) => part.waiters), ...queue.clear()];
    // Nobody may be waiting for a promise that was made: an unheard rejection is not an error of its own.
    for (const waiter of waiters) waiter?.promise.catch(() => {});
    for (const waiter of waiters) waiter?.reject(error);
    for (const { done } of orderWaiters) done.reject(error);
    for (const waiter of roomWaiters) waiter.reject(error);
    round = [];
    aside.clear();
    orderWaiters = [];
    roomWaiters = [];
    pendingBytes = 0;
  };

  const failWith = (error: unknown): void =>
    fail(
      error instanceof PipelineError
        ? error
        : new PipelineError('INVARIANT_BROKEN', 'the producer failed unexpectedly; report this', {
            cause: error,
          }),
    );

  async function run(): Promise<void> {
    try {
      while (!queue.isEmpty) {
        round = queue.take(maxRequestBytes);
        await deliver();
        release();
      }
    } catch (error) {
      failWith(error);
    } finally {
      isRunning = false;
    }
  }

  const acknowledged = (): Promise<void> => {
    if (failure !== null) return Promise.reject(failure);
    if (!isRunning && aside.size === 0) return Promise.resolve();
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
    isHeldUp: queue.isHeld,
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
