/**
 * The order of input: records are taken by (log time, channel, order), and only when nothing earlier can follow
 * (engine rules, section 3). In the literature: conservative discrete-event merge with null messages (Chandy, Misra, Bryant).
 */
import { PipelineError } from '#pipeline/errors.ts';
import { type Channel, channelName, type Pending } from './channel.ts';

/** Why a task cannot go on: a record of `logTimeMs` waits until `channel` shows that it has nothing earlier. */
export interface Blocked {
  readonly logTimeMs: number;
  readonly channel: Channel;
}

export interface MergeKey {
  readonly logTimeMs: number;
  readonly rank: number;
  readonly order: number;
}

export class Merge {
  readonly channels: readonly Channel[];
  readonly #last: { logTimeMs: number; rank: number; order: number };
  /** What `least` returned last. */
  readonly #least: { channel: Channel; timeMs: number };
  /** No other channel has anything before this: times of channels only rise. */
  #secondMs = Number.NEGATIVE_INFINITY;
  #secondRank = 0;

  constructor(channels: readonly Channel[], last: MergeKey) {
    const first = channels[0];
    if (first === undefined) throw new PipelineError('GRAPH_INVALID', 'a task needs at least one input');
    this.channels = channels;
    this.#last = { ...last };
    this.#least = { channel: first, timeMs: 0 };
  }

  get lastKey(): MergeKey {
    return { ...this.#last };
  }

  /** The channel that must speak first, the least of all heads and frontiers, and its time. Holds until the next call. */
  least(): { readonly channel: Channel; readonly timeMs: number } {
    const least = this.#least;
    const head = least.channel.queue.first;
    // A channel with a record that is ahead of the others is followed without a look at them.
    const isAhead =
      head !== undefined &&
      (head.logTimeMs < this.#secondMs ||
        (head.logTimeMs === this.#secondMs && least.channel.rank < this.#secondRank));
    if (isAhead) least.timeMs = head.logTimeMs;
    else this.#compareAll();
    return least;
  }

  #compareAll(): void {
    const least = this.#least;
    least.timeMs = Number.POSITIVE_INFINITY;
    this.#secondMs = Number.POSITIVE_INFINITY;
    this.#secondRank = Number.POSITIVE_INFINITY;
    for (const channel of this.channels) {
      const timeMs = timeOf(channel);
      // Channels are in order of rank, so on equal times the first one wins: a frontier (F, channel) is compared
      // as a whole. Comparing times alone is wrong within a millisecond; waiting for F > time is right but slower.
      if (timeMs < least.timeMs) {
        this.#secondMs = least.timeMs;
        this.#secondRank = least.channel.rank;
        least.channel = channel;
        least.timeMs = timeMs;
      } else if (timeMs < this.#secondMs) {
        this.#secondMs = timeMs;
        this.#secondRank = channel.rank;
      }
    }
  }

  /** Throws ORDER_BROKEN when the record does not come after the last one. */
  check(channel: Channel, record: Pending): void {
    const last = this.#last;
    const isAfter =
      record.logTimeMs - last.logTimeMs || channel.rank - last.rank || record.order - last.order;
    if (isAfter > 0) return;
    throw new PipelineError(
      'ORDER_BROKEN',
      `${channelName(channel)}: record ${record.order} at ${record.logTimeMs} comes after ${last.logTimeMs} was folded; a tick was early or the state is not of this log: restart with --fresh`,
    );
  }

  /** The head of `channel` is folded. */
  take(channel: Channel, record: Pending): void {
    channel.queue.shift();
    channel.frontierMs = Math.max(channel.frontierMs, record.logTimeMs);
    channel.folded.sequence = record.order;
    channel.folded.digest = record.digest;
    this.#last.logTimeMs = record.logTimeMs;
    this.#last.rank = channel.rank;
    this.#last.order = record.order;
  }

  /** What the earliest waiting record waits for; null when nothing waits. */
  blocked(): Blocked | null {
    const { channel: least } = this.least();
    if (least.queue.first !== undefined) return null;
    let earliest = Number.POSITIVE_INFINITY;
    for (const channel of this.channels) {
      const head = channel.queue.first;
      if (head !== undefined && head.logTimeMs < earliest) earliest = head.logTimeMs;
    }
    return earliest === Number.POSITIVE_INFINITY ? null : { logTimeMs: earliest, channel: least };
  }

  /** Nothing with a lower log time can be folded from now on: what the task may promise to its readers. */
  bound(): number {
    let bound = Number.POSITIVE_INFINITY;
    for (const channel of this.channels) {
      bound = Math.min(bound, timeOf(channel));
    }
    return bound;
  }

  /** Records that wait. */
  get waiting(): number {
    return this.channels.reduce((sum, channel) => sum + channel.queue.length, 0);
  }
}

/** Of its head; without one, of what it has promised. */
const timeOf = ({ queue, frontierMs }: Channel): number => queue.first?.logTimeMs ?? frontierMs;
