/** What the public v5 stream sends, told apart by its fields and never by their order. Pure. */

export type Frame =
  /** `book`: set for order books that come as a snapshot and numbered deltas. */
  | {
      readonly kind: 'data';
      readonly topic: string;
      readonly symbol: string;
      readonly book: { readonly isSnapshot: boolean; readonly updateId: number } | null;
    }
  | { readonly kind: 'pong' }
  | {
      readonly kind: 'ack';
      readonly op: 'subscribe' | 'unsubscribe';
      readonly isSuccess: boolean;
      readonly message: string;
      /** As sent with the request; null when the answer carries none. */
      readonly requestId: string | null;
    }
  | { readonly kind: 'unreadable' };

const UNREADABLE: Frame = { kind: 'unreadable' };
const TOPIC = /^[A-Za-z0-9.]{1,64}\.([A-Z0-9-]{1,40})$/;

/** Reads one frame; whatever cannot be told apart is `unreadable`. Never throws. */
export function frameOf(bytes: Buffer, isBinary: boolean): Frame {
  if (isBinary) return UNREADABLE;
  let parsed: unknown;
  try {
    parsed = JSON.parse(bytes.toString('utf8'));
  } catch {
    return UNREADABLE;
  }
  const frame = fieldsOf(parsed);
  if (frame === null) return UNREADABLE;
  return typeof frame.topic === 'string' ? dataOf(frame.topic, frame) : controlOf(frame);
}

function dataOf(topic: string, frame: Fields): Frame {
  const symbol = TOPIC.exec(topic)?.[1];
  if (symbol === undefined) return UNREADABLE;
  return { kind: 'data', topic, symbol, book: bookOf(topic, frame) };
}

/** Level 1 is snapshots only, and an unchanged one is sent again: there is nothing to count. */
function bookOf(topic: string, frame: Fields) {
  if (!topic.startsWith('orderbook.') || topic.startsWith('orderbook.1.')) return null;
  const updateId = fieldsOf(frame.data)?.u;
  if (typeof updateId !== 'number' || !Number.isSafeInteger(updateId) || updateId < 0) return null;
  if (frame.type !== 'snapshot' && frame.type !== 'delta') return null;
  // An update id of 1 says that the service has restarted, whatever the type.
  return { isSnapshot: frame.type === 'snapshot' || updateId === 1, updateId };
}

function controlOf(frame: Fields): Frame {
  // Spot and linear answer a ping with `op: ping, ret_msg: pong`; other categories with `op: pong`.
  if (frame.op === 'pong' || (frame.op === 'ping' && frame.ret_msg === 'pong')) return { kind: 'pong' };
  if ((frame.op !== 'subscribe' && frame.op !== 'unsubscribe') || typeof frame.success !== 'boolean') {
    return UNREADABLE;
  }
  return {
    kind: 'ack',
    op: frame.op,
    isSuccess: frame.success,
    message: typeof frame.ret_msg === 'string' ? frame.ret_msg : '',
    requestId: typeof frame.req_id === 'string' && frame.req_id !== '' ? frame.req_id : null,
  };
}

/** The topic that a refusal names, such as in `error:handler not found,topic:tickers.X`; null when it names none. */
export function refusedTopic(message: string, topics: readonly string[]): string | null {
  const named = /topic:(\S{1,100})$/.exec(message)?.[1];
  return topics.find((topic) => topic === named) ?? null;
}

/** Fields are looked up by name only on own JSON objects. */
type Fields = Readonly<Record<string, unknown>>;

const fieldsOf = (value: unknown): Fields | null =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : null;
