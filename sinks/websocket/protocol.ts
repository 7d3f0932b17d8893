/** Messages in both directions; `ops/websocket.md` is the page for people. Pure. */
import { z } from 'zod';
import type { SinkRecord } from '#pipeline/rooms.ts';

/** Why a message, a subscription or a connection was refused. Never reused for something else. */
export type ProtocolErrorCode =
  | 'MESSAGE_INVALID'
  | 'TOPIC_UNKNOWN'
  | 'FILTER_INVALID'
  | 'SUBSCRIPTION_EXISTS'
  | 'SUBSCRIPTION_UNKNOWN'
  | 'TOO_MANY_SUBSCRIPTIONS'
  | 'PAST_UNAVAILABLE'
  | 'RATE_LIMITED'
  | 'TOO_SLOW';

/** Close codes (RFC 6455, section 7.4.1; 1013: IANA registry, "try again later"). */
export const CLOSE = { goingAway: 1001, policy: 1008, tryLater: 1013 } as const;

const id = z.string().min(1).max(64);

const clientMessage = z.discriminatedUnion('op', [
  z.strictObject({
    op: z.literal('subscribe'),
    id,
    topic: z.string().max(128),
    // Read by `compileFilter`, which knows the fields of the topic.
    filter: z.unknown().optional(),
    from: z.enum(['latest', 'earliest']).default('latest'),
  }),
  z.strictObject({ op: z.literal('unsubscribe'), id }),
  z.strictObject({ op: z.literal('ping') }),
]);

export type ClientMessage = z.infer<typeof clientMessage>;

/** Null when it is not a message of the protocol. */
export function parseClientMessage(text: string): ClientMessage | null {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return null;
  }
  return clientMessage.safeParse(json).data ?? null;
}

export const subscribed = (subscription: string): string =>
  JSON.stringify({ type: 'subscribed', id: subscription });
export const unsubscribed = (subscription: string): string =>
  JSON.stringify({ type: 'unsubscribed', id: subscription });
export const caughtUp = (subscription: string): string =>
  JSON.stringify({ type: 'caught-up', id: subscription });
export const pong = (): string => JSON.stringify({ type: 'pong' });
/** `subscription`: which one it is about, if about one. */
export const failure = (code: ProtocolErrorCode, message: string, subscription?: string): string =>
  JSON.stringify({
    type: 'error',
    ...(subscription === undefined ? {} : { id: subscription }),
    code,
    message,
  });

/** The part of a record message that is the same for every subscriber: encoded once. */
export interface EncodedRecord {
  readonly type: 'record' | 'retracted';
  /** JSON without its opening brace. */
  readonly rest: string;
}

/** Exact integers become decimal text, so that no reader rounds them. */
export function encodeRecord(record: SinkRecord): EncodedRecord {
  const { topic, key, partition, offset, logTimeMs, writer, sequence, value } = record;
  const body = JSON.stringify(
    {
      topic: topic.name,
      key,
      position: `${writer}:${sequence}`,
      partition,
      offset,
      logTimeMs,
      record: value,
    },
    (_name, part: unknown) => (typeof part === 'bigint' ? part.toString() : part),
  );
  const isRetracted = typeof value === 'object' && value !== null && 'op' in value && value.op === 'retract';
  return { type: isRetracted ? 'retracted' : 'record', rest: body.slice(1) };
}

/** The message for one subscription. */
export const recordMessage = (subscription: string, { type, rest }: EncodedRecord): string =>
  `{"type":"${type}","id":${JSON.stringify(subscription)},${rest}`;
