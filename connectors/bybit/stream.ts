/** One category: connects, connects again, turns frames into raw records and gaps into ledger entries. */
import { backoffMs, untilAborted } from '#pipeline/clock.ts';
import { printableUrl } from '#pipeline/errors.ts';
import type { ConnectorContext } from '#pipeline/rooms.ts';
import type { RecordSchema, ValueOf } from '#schemas/avro.ts';
import type { Coverage } from '#schemas/coverage.ts';
import { ledgerCoverage, rawBybit, type Topic } from '#schemas/topics.ts';
import { type BookSequence, createBookSequence, type UpdateRange } from './book-sequence.ts';
import { openSession, type Session, type SessionEnd, type SessionLimits } from './session.ts';
import type { Category } from './topics.ts';
import type { Frame } from './wire.ts';

/** 500 connections in 5 minutes are allowed; this stays far below. */
const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 5_000;
/** A connection that lived this long did not fail for the reason that the ones before it failed for. */
const STABLE_MS = 30_000;
/** HTTP 401 and 403 mean a blocked region or address, or a limit that takes minutes to pass. */
const FIRST_REFUSED_BACKOFF_MS = 10_000;
const MAX_REFUSED_BACKOFF_MS = 600_000;

export interface Stream {
  /** Runs until aborted; resolves when everything emitted is acknowledged, rejects when an emit failed. */
  run(signal: AbortSignal): Promise<void>;
  isIdle(): boolean;
  /** One line for people. */
  detail(): string;
}

/** A stream of one category over one connection at a time. */
export function createStream(options: {
  category: Category;
  url: string;
  topics: readonly string[];
  limits: SessionLimits;
  context: ConnectorContext;
}): Stream {
  const { category, url, limits, context } = options;
  const log = context.log.for(`bybit:${category}`);
  const books = new Map<string, BookSequence>();
  const unacknowledged = new Set<Promise<void>>();
  const failed = new AbortController();
  let topics = options.topics;
  let session: Session | null = null;
  let frames = 0;

  const emit = <S extends RecordSchema>(topic: Topic<S>, key: string, value: ValueOf<S>): void => {
    const acknowledged = context
      .emit(topic, key, value)
      .then(() => context.metrics.add('connector_records_total', { connector: 'bybit' }))
      .catch((error: unknown) => failed.abort(error))
      .finally(() => unacknowledged.delete(acknowledged));
    unacknowledged.add(acknowledged);
  };
  const cover = (topic: string, state: Coverage['state'], { first, last }: UpdateRange): void => {
    const source = `bybit:${category}:${topic}`;
    emit(ledgerCoverage, source, {
      source,
      state,
      what: 'updates',
      first: BigInt(first),
      last: BigInt(last),
      hash: null,
      atMs: context.clock.nowMs(),
    });
    if (state !== 'missing') return;
    log.warn('order book updates are missing', { topic, first, last });
  };

  const onFrame = (frame: Frame, bytes: Buffer): void => {
    const isData = frame.kind === 'data';
    frames += 1;
    emit(rawBybit, `${category}:${isData ? frame.symbol : 'unknown'}`, {
      source: `bybit:${category}`,
      kind: isData ? 'frame' : 'unreadable',
      receivedAtMs: context.clock.nowMs(),
      body: bytes,
    });
    if (!isData) {
      context.metrics.add('connector_refused_total', { connector: 'bybit', reason: 'unreadable' });
      return;
    }
    // Unasked topics are kept as they come, but no state is kept for them: it would have no bound.
    if (frame.book === null || !topics.includes(frame.topic)) return;
    const book = books.get(frame.topic) ?? createBookSequence();
    books.set(frame.topic, book);
    const { updateId } = frame.book;
    if (!frame.book.isSnapshot) {
      const missing = book.delta(updateId);
      if (missing === null) return;
      cover(frame.topic, 'missing', missing);
      session?.resnapshot(frame.topic);
      return;
    }
    const { isFirst, missing, repaired } = book.snapshot(updateId);
    if (missing !== null) cover(frame.topic, 'missing', missing);
    for (const range of repaired) cover(frame.topic, 'repaired', range);
    if (isFirst) cover(frame.topic, 'seen', { first: updateId, last: updateId });
  };

  const reportRefused = (refused: readonly string[]): void => {
    for (const topic of refused) {
      context.metrics.add('connector_refused_total', { connector: 'bybit', reason: 'topic' });
      log.error('topic refused by the exchange and left out; correct the symbols of the category', { topic });
    }
    topics = topics.filter((topic) => !refused.includes(topic));
  };

  const connect = async (isSingly: boolean, signal: AbortSignal): Promise<SessionEnd> => {
    for (const book of books.values()) book.reconnect();
    const { clock } = context;
    const writable = () => context.writable();
    session = openSession({ url, topics, isSingly, limits, clock, signal, writable, onFrame });
    const end = await session.ended;
    session = null;
    return end;
  };

  return {
    async run(stopped) {
      const signal = AbortSignal.any([stopped, failed.signal]);
      let attempt = 0;
      let isSingly = false;
      while (!signal.aborted && topics.length > 0) {
        const openedAtMs = context.clock.nowMs();
        const end = await connect(isSingly, signal);
        if (signal.aborted) break;
        reportRefused(end.refused);
        isSingly ||= end.isUnclear;
        if (context.clock.nowMs() - openedAtMs >= STABLE_MS) attempt = 0;
        const waitMs = waitAfter(end, attempt);
        attempt += 1;
        context.metrics.add('connector_reconnects_total', { connector: 'bybit' });
        log.warn('connection ended; connecting again', {
          url: printableUrl(url),
          reason: end.reason,
          waitMs,
        });
        await context.clock.sleep(waitMs, signal);
      }
      if (topics.length === 0) {
        log.error('no topic left to receive; correct the symbols of the category', { category });
        await untilAborted(signal);
      }
      await Promise.all(unacknowledged);
      if (failed.signal.aborted) throw failed.signal.reason;
    },
    isIdle: () =>
      unacknowledged.size === 0 &&
      (topics.length === 0 || (session?.isSubscribed() === true && !session.isPaused())),
    detail: () => `${category}: ${stateOf(session)}, ${topics.length} topics, ${frames} frames`,
  };
}

const waitAfter = ({ httpStatus }: SessionEnd, attempt: number): number =>
  httpStatus === 401 || httpStatus === 403
    ? backoffMs(attempt, FIRST_REFUSED_BACKOFF_MS, MAX_REFUSED_BACKOFF_MS)
    : backoffMs(attempt, FIRST_BACKOFF_MS, MAX_BACKOFF_MS);

function stateOf(session: Session | null): string {
  if (session === null) return 'not connected';
  if (session.isPaused()) return 'waiting for Kafka';
  return session.isSubscribed() ? 'subscribed' : 'connecting';
}
