/** One connected client: its messages, its subscriptions, its limits. */
import { WebSocket } from 'ws';
import type { Clock } from '#pipeline/clock.ts';
import type { SinkRecord } from '#pipeline/rooms.ts';
import type { Log } from '#pipeline/telemetry/log.ts';
import type { Topic } from '#schemas/topics.ts';
import { compileFilter } from './filter.ts';
import {
  CLOSE,
  type ClientMessage,
  caughtUp,
  type EncodedRecord,
  failure,
  parseClientMessage,
  pong,
  recordMessage,
  subscribed,
  unsubscribed,
} from './protocol.ts';
import { createSubscription, type Subscription } from './subscription.ts';

/** Subscriptions of one client. */
const MAX_SUBSCRIPTIONS = 64;
/** The past is sent on when less than this waits for the client, in bytes. */
const PAST_BUFFER_BYTES = 262_144;
/** A client that was told to go and still does not read is cut off after this. */
const EVICTION_GRACE_MS = 10_000;

export interface Client {
  /** Gives a record to the subscriptions of its topic. Never waits. */
  live(record: SinkRecord, encoded: () => EncodedRecord): void;
  /** Asks for a sign of life; cuts the client off when the last one was not answered. */
  ping(): void;
  /** Closes after everything queued; resolves when the connection is gone. */
  close(): Promise<void>;
  terminate(): void;
}

export interface ClientOptions {
  readonly socket: WebSocket;
  readonly clock: Clock;
  readonly log: Log;
  readonly topics: readonly Topic[];
  readonly maxMessagesPerSecond: number;
  readonly maxBufferedBytes: number;
  read(topic: Topic): AsyncIterable<SinkRecord>;
  /** Runs a reading of the past; only so many at once. */
  queuePast(run: () => Promise<void>): Promise<void>;
  onEvicted(): void;
}

export function createClient(options: ClientOptions): Client {
  const { socket, clock, log, topics } = options;
  const subscriptions = new Map<string, Subscription>();
  let isAlive = true;
  let isLeaving = false;
  let secondStartMs = clock.nowMs();
  let messagesInSecond = 0;
  const closed = new Promise<void>((resolve) => {
    socket.once('close', () => {
      isLeaving = true;
      for (const subscription of subscriptions.values()) subscription.cancel();
      subscriptions.clear();
      resolve();
    });
  });

  function send(text: string): void {
    if (isLeaving || socket.readyState !== WebSocket.OPEN) return;
    socket.send(text);
    if (socket.bufferedAmount > options.maxBufferedBytes) {
      options.onEvicted();
      log.warn('a slow client was evicted', { bufferedBytes: socket.bufferedAmount });
      dismiss(
        CLOSE.tryLater,
        failure('TOO_SLOW', 'more waits for this client than may; connect again and filter more'),
      );
    }
  }

  /** Tells why, closes, and cuts off a client that does not take even that. */
  function dismiss(code: number, reason: string): void {
    if (isLeaving) return;
    isLeaving = true;
    for (const subscription of subscriptions.values()) subscription.cancel();
    subscriptions.clear();
    socket.send(reason);
    socket.close(code);
    const waiting = new AbortController();
    void closed.then(() => waiting.abort());
    void clock.sleep(EVICTION_GRACE_MS, waiting.signal).then(() => socket.terminate());
  }

  /** Resolves when little waits for the client, or when it is gone. */
  async function writable(): Promise<void> {
    while (!isLeaving && socket.bufferedAmount > PAST_BUFFER_BYTES) {
      // An empty pong goes behind what is queued: it is written when that is.
      await Promise.race([closed, new Promise<void>((resolve) => socket.pong('', false, () => resolve()))]);
    }
  }

  function isWithinRate(): boolean {
    const nowMs = clock.nowMs();
    if (nowMs - secondStartMs >= 1_000) {
      secondStartMs = nowMs;
      messagesInSecond = 0;
    }
    messagesInSecond += 1;
    return messagesInSecond <= options.maxMessagesPerSecond;
  }

  /** The answer; records follow it. */
  function subscribe(message: Extract<ClientMessage, { op: 'subscribe' }>): string {
    const { id, from } = message;
    const topic = topics.find(({ name }) => name === message.topic);
    if (topic === undefined) {
      return failure('TOPIC_UNKNOWN', `expected one of ${topics.map(({ name }) => name).join(', ')}`, id);
    }
    if (subscriptions.has(id)) {
      return failure('SUBSCRIPTION_EXISTS', 'this id is in use; unsubscribe it, or take another', id);
    }
    if (subscriptions.size >= MAX_SUBSCRIPTIONS) {
      return failure('TOO_MANY_SUBSCRIPTIONS', `expected at most ${MAX_SUBSCRIPTIONS}; unsubscribe one`, id);
    }
    const compiled = compileFilter(topic, message.filter);
    if (!compiled.ok) return failure('FILTER_INVALID', compiled.reason, id);
    const subscription = createSubscription({
      topic: topic.name,
      filter: compiled.filter,
      from,
      writable,
      send: (record) => send(recordMessage(id, record)),
    });
    subscriptions.set(id, subscription);
    if (from === 'earliest') void catchUp(id, subscription, topic);
    return subscribed(id);
  }

  async function catchUp(id: string, subscription: Subscription, topic: Topic): Promise<void> {
    const isCurrent = () => subscriptions.get(id) === subscription;
    try {
      // After the answer to the subscription, which is sent in this turn.
      await Promise.resolve();
      await options.queuePast(async () => {
        if (isCurrent()) await subscription.catchUp(() => options.read(topic));
      });
      if (isCurrent()) send(caughtUp(id));
    } catch (error) {
      log.warn('the past could not be read for a client', { topic: topic.name, error });
      subscription.cancel();
      if (isCurrent()) subscriptions.delete(id);
      send(
        failure(
          'PAST_UNAVAILABLE',
          'the past could not be read, the subscription has ended; subscribe again',
          id,
        ),
      );
    }
  }

  function unsubscribe(id: string): string {
    const subscription = subscriptions.get(id);
    if (subscription === undefined)
      return failure('SUBSCRIPTION_UNKNOWN', 'there is no such subscription', id);
    subscription.cancel();
    subscriptions.delete(id);
    return unsubscribed(id);
  }

  function answer(message: ClientMessage | null): string {
    if (message === null) {
      return failure(
        'MESSAGE_INVALID',
        'expected JSON with op subscribe, unsubscribe or ping; see ops/websocket.md',
      );
    }
    if (message.op === 'subscribe') return subscribe(message);
    return message.op === 'unsubscribe' ? unsubscribe(message.id) : pong();
  }

  socket.on('message', (data, isBinary) => {
    isAlive = true;
    if (isLeaving) return;
    if (isWithinRate()) {
      send(answer(isBinary ? null : parseClientMessage(String(data))));
    } else {
      const limit = `expected at most ${options.maxMessagesPerSecond} messages in a second`;
      dismiss(CLOSE.policy, failure('RATE_LIMITED', limit));
    }
  });
  socket.on('pong', () => {
    isAlive = true;
  });
  // Broken frames and oversized messages: the library closes the connection; without a listener it would end the process.
  socket.on('error', (error) => log.debug('a client was cut off', { error }));

  return {
    live: (record, encoded) => {
      for (const subscription of subscriptions.values()) {
        if (subscription.topic === record.topic.name) subscription.live(record, encoded);
      }
    },
    ping: () => {
      if (!isAlive) socket.terminate();
      isAlive = false;
      if (socket.readyState === WebSocket.OPEN) socket.ping();
    },
    close: async () => {
      for (const subscription of subscriptions.values()) subscription.cancel();
      subscriptions.clear();
      isLeaving = true;
      socket.close(CLOSE.goingAway, 'the server stops');
      await closed;
    },
    terminate: () => socket.terminate(),
  };
}
