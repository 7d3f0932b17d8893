/**
 * One subscription: each record at most once and in order, also where the past meets the present.
 *
 * While the past is read, live records are held back. Afterwards those are sent that the past did not hold, which the
 * dense sequences of their writers tell. When too many wait, they are let go and the topic is read once more: they are
 * in Kafka by then, and what was sent before is skipped by the same sequences. So memory is bounded and nothing is lost.
 */
import type { SinkRecord } from '#pipeline/rooms.ts';
import type { Filter } from './filter.ts';
import { type EncodedRecord, encodeRecord } from './protocol.ts';

/** Live records held back while the past is read. */
export const MAX_HELD = 10_000;

export interface Subscription {
  readonly topic: string;
  /** A record as it comes. `encoded` is called only when the record is sent. */
  live(record: SinkRecord, encoded: () => EncodedRecord): void;
  /**
   * Sends the past, then what was held back. `read` opens the topic from its start to its present end.
   * Resolves early once cancelled; rejects with what `read` throws.
   */
  catchUp(read: () => AsyncIterable<SinkRecord>): Promise<void>;
  cancel(): void;
}

export interface SubscriptionOptions {
  readonly topic: string;
  readonly filter: Filter;
  readonly from: 'latest' | 'earliest';
  send(record: EncodedRecord): void;
  /** Resolves when the client has room for more of the past. */
  writable(): Promise<void>;
  readonly maxHeld?: number;
}

export function createSubscription(options: SubscriptionOptions): Subscription {
  const { topic, filter, send, writable, maxHeld = MAX_HELD } = options;
  /** Highest sequence seen of each writer of each partition; only when there was a past. */
  const seen = new Map<string, number>();
  let held: { record: SinkRecord; encoded: () => EncodedRecord }[] | null =
    options.from === 'earliest' ? [] : null;
  let hasOverflowed = false;
  let isCancelled = false;

  /** False for a record that was seen before. */
  function advance({ partition, writer, sequence }: SinkRecord): boolean {
    const channel = `${partition}/${writer}`;
    if (sequence <= (seen.get(channel) ?? 0)) return false;
    seen.set(channel, sequence);
    return true;
  }

  return {
    topic,
    live: (record, encoded) => {
      if (isCancelled) return;
      if (held === null) {
        if (options.from === 'earliest' && !advance(record)) return;
        if (filter(record.value)) send(encoded());
      } else if (held.length < maxHeld && !hasOverflowed) {
        held.push({ record, encoded });
      } else {
        hasOverflowed = true;
        held.length = 0;
      }
    },
    catchUp: async (read) => {
      do {
        // Before the end of the topic is looked up: what comes from here on is either read or held.
        held = [];
        hasOverflowed = false;
        for await (const record of read()) {
          if (isCancelled) return;
          if (!advance(record) || !filter(record.value)) continue;
          send(encodeRecord(record));
          await writable();
          if (isCancelled) return;
        }
        // What was held goes out at the client's pace too; meanwhile more is held.
        for (let next = held.shift(); next !== undefined; next = held.shift()) {
          if (!advance(next.record) || !filter(next.record.value)) continue;
          send(next.encoded());
          await writable();
          if (isCancelled) return;
        }
      } while (hasOverflowed);
      held = null;
    },
    cancel: () => {
      isCancelled = true;
      held = null;
    },
  };
}
