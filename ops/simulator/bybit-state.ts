/** The present book and ticker of each topic, so that a client that subscribes again starts from a snapshot. */
import { asObject, parseJson } from './lines.ts';

export interface TopicState {
  /** Takes in a frame that was played, whether it was sent or not. */
  apply(topic: string, text: string): void;
  /** Text of a snapshot frame; null for topics without one (trades) or before the first. */
  snapshot(topic: string): string | null;
}

type Side = Map<string, string>;
interface Book {
  readonly b: Side;
  readonly a: Side;
  readonly rest: Record<string, unknown>;
  readonly envelope: Record<string, unknown>;
}

export function createTopicState(): TopicState {
  const books = new Map<string, Book>();
  const tickers = new Map<string, Record<string, unknown>>();
  return {
    apply: (topic, text) => {
      const isBook = topic.startsWith('orderbook.');
      if (!isBook && !topic.startsWith('tickers.')) return;
      const frame = asObject(parseJson(text)?.value);
      const data = asObject(frame?.data);
      if (frame === null || data === null) return;
      const isSnapshot = frame.type === 'snapshot';
      if (isBook) {
        const before = isSnapshot ? undefined : books.get(topic);
        // A delta before any snapshot says nothing of the whole book.
        if (!isSnapshot && before === undefined) return;
        const { b, a, ...rest } = data;
        const { data: _, ...envelope } = frame;
        books.set(topic, { b: merged(before?.b, b), a: merged(before?.a, a), rest, envelope });
      } else {
        const before = isSnapshot ? undefined : asObject(tickers.get(topic)?.data);
        if (!isSnapshot && !before) return;
        tickers.set(topic, { ...frame, data: { ...before, ...data } });
      }
    },
    snapshot: (topic) => {
      const book = books.get(topic);
      if (book) {
        const data = { ...book.rest, b: levels(book.b, -1), a: levels(book.a, 1) };
        return JSON.stringify({ ...book.envelope, type: 'snapshot', data });
      }
      const ticker = tickers.get(topic);
      return ticker ? JSON.stringify({ ...ticker, type: 'snapshot' }) : null;
    },
  };
}

/** Size "0" deletes, an unknown price is added, a known one replaced. */
function merged(before: Side | undefined, changes: unknown): Side {
  const side = before ?? new Map<string, string>();
  for (const level of Array.isArray(changes) ? changes : []) {
    const [price, size]: unknown[] = Array.isArray(level) ? level : [];
    if (typeof price !== 'string' || typeof size !== 'string') continue;
    if (/^0(\.0*)?$/.test(size)) side.delete(price);
    else side.set(price, size);
  }
  return side;
}

// Prices are compared as numbers for their order only; the texts stay as they came.
const levels = (side: Side, sign: 1 | -1): [string, string][] =>
  [...side].sort(([left], [right]) => sign * (Number(left) - Number(right)));
