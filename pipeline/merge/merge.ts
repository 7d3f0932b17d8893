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
  #last: MergeKey;
  /** Channel of the record that `next` returned last. */
  #taken: Channel;

  constructor(channels: readonly Channel[], last: MergeKey) {
    const first = channels[0];
    if (first === undefined) throw new PipelineError('GRAPH_INVALID', 'a task needs at least one input');
    this.channels = channels;
    this.#last = last;
    this.#taken = first;
  }

  get lastKey(): MergeKey {
    return this.#last;
  }

  /** The channel that must speak first, the least of all heads and frontiers, and its time. */
  least(): { readonly channel: Channel; readonly timeMs: number } {
    let channel = this.#taken;
    let timeMs = Number.POSITIVE_INFINITY;
    for (const other of this.channels) {
      const time = other.queue.first?.logTimeMs ?? other.frontierMs;
      // Channels are in order of rank, so on equal times the first one wins: a frontier (F, channel) is compared
      // as a whole. Comparing times alone is wrong within a millisecond; waiting for F > time is right but slower.
      if (time < timeMs) {
        channel = other;
        timeMs = time;
      }
    }
    return { channel, timeMs };
  }

  /** Throws ORDER_BROKEN when the record does not come after the last one. */
  check(channel: Channel, record: Pending): void {
    const key = { logTimeMs: record.logTimeMs, rank: channel.rank, order: record.order };
    if (compareKeys(key, this.#last) > 0) return;
    throw new PipelineError(
      'ORDER_BROKEN',
      `${channelName(channel)}: record ${record.order} at ${record.logTimeMs} comes after ${this.#last.logTimeMs} was folded; a tick was early or the state is not of this log: restart with --fresh`,
    );
  }

  /** The head of `channel` is folded. */
  take(channel: Channel, record: Pending): void {
    channel.queue.shift();
    channel.frontierMs = Math.max(channel.frontierMs, record.logTimeMs);
    channel.folded = { sequence: record.order, digest: record.digest };
    this.#last = { logTimeMs: record.logTimeMs, rank: channel.rank, order: record.order };
    this.#taken = channel;
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
      bound = Math.min(bound, channel.queue.first?.logTimeMs ?? channel.frontierMs);
    }
    return bound;
  }

  /** Records that wait. */
  get waiting(): number {
    return this.channels.reduce((sum, channel) => sum + channel.queue.length, 0);
  }
}

const compareKeys = (a: MergeKey, b: MergeKey): number =>
  a.logTimeMs - b.logTimeMs || a.rank - b.rank || a.order - b.order;
