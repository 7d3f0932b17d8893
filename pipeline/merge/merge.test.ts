import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isPipelineError } from '#pipeline/errors.ts';
import { type Channel, createChannel, type Pending, rankChannels } from './channel.ts';
import { Merge, type MergeKey } from './merge.ts';

const BEFORE_ALL: MergeKey = { logTimeMs: -1, rank: -1, order: -1 };

const pending = (logTimeMs: number, order: number): Pending => ({
  logTimeMs,
  order,
  offset: order,
  maximumBefore: 0,
  before: null,
  digest: 0,
  key: null,
  value: null,
  position: null,
});

/** Two channels `a` and `b` of rank 0 and 1. */
function twoChannels() {
  const [a, b] = rankChannels([createChannel('t', 1, ''), createChannel('t', 0, '')], 'plan') as [
    Channel,
    Channel,
  ];
  return { a, b, merge: new Merge([a, b], BEFORE_ALL) };
}

/** Takes the next record as a task does: the least channel must have it, and it must come after the last one. */
const next = (merge: Merge): { readonly channel: Channel; readonly record: Pending } | null => {
  const { channel } = merge.least();
  const record = channel.queue.first;
  if (record === undefined) return null;
  merge.check(channel, record);
  merge.take(channel, record);
  return { channel, record };
};

const taken = (merge: Merge): string | null => {
  const found = next(merge);
  return found === null
    ? null
    : `${found.channel.topic}/${found.channel.partition}/${found.channel.writer}@${found.record.logTimeMs}:${found.record.order}`;
};

const drain = (merge: Merge): string[] => {
  const all: string[] = [];
  for (let name = taken(merge); name !== null; name = taken(merge)) all.push(name);
  return all;
};

describe('rankChannels', () => {
  test('puts the plan first, then topic, partition and writer, numbers as numbers', () => {
    const names = [
      ['z', 0, ''],
      ['a', 10, ''],
      ['a', 2, 'w-10'],
      ['a', 2, 'w-2'],
      ['a', 2, 'v-11'],
      ['plan', 0, ''],
      ['B', 0, ''],
    ] as const;
    const ranked = rankChannels(
      names.map(([topic, partition, writer]) => createChannel(topic, partition, writer)),
      'plan',
    );
    expect(ranked.map(({ topic, partition, writer }) => `${topic}/${partition}/${writer}`)).toEqual([
      'plan/0/',
      'B/0/',
      'a/2/v-11',
      'a/2/w-2',
      'a/2/w-10',
      'a/10/',
      'z/0/',
    ]);
    expect(ranked.map(({ rank }) => rank)).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });
});

describe('Merge', () => {
  test('takes the earlier log time first, and the lower rank and order on equal times', () => {
    const { a, b, merge } = twoChannels();
    b.queue.push(pending(5, 1));
    b.queue.push(pending(7, 2));
    a.queue.push(pending(7, 1));
    a.queue.push(pending(7, 2));
    a.queue.push(pending(8, 3));
    expect(drain(merge)).toEqual(['t/1/@5:1', 't/0/@7:1', 't/0/@7:2', 't/1/@7:2']);
  });

  test('waits for a channel without a record until its frontier is greater as a whole', () => {
    const { a, b, merge } = twoChannels();
    b.queue.push(pending(5, 1));
    expect(next(merge)).toBeNull();
    expect(merge.blocked()).toMatchObject({ logTimeMs: 5, channel: a });
    // a sorts before b: at the same millisecond its record would come first.
    a.frontierMs = 5;
    expect(next(merge)).toBeNull();
    a.frontierMs = 6;
    expect(taken(merge)).toBe(`${b.topic}/${b.partition}/@5:1`);
    expect(merge.blocked()).toBeNull();
  });

  test('does not wait for a frontier at the same millisecond that sorts after the record', () => {
    const { a, b, merge } = twoChannels();
    a.queue.push(pending(5, 1));
    b.frontierMs = 4;
    expect(next(merge)).toBeNull();
    b.frontierMs = 5;
    expect(taken(merge)).toBe(`${a.topic}/${a.partition}/@5:1`);
  });

  test('names the channel that must speak first, and the time from which on nothing earlier can follow', () => {
    const { a, b, merge } = twoChannels();
    a.frontierMs = 4;
    b.queue.push(pending(7, 1));
    expect(merge.least()).toEqual({ channel: a, timeMs: 4 });
    a.frontierMs = 7;
    // The head of b is of that time too, but a sorts before it.
    expect(merge.least()).toEqual({ channel: a, timeMs: 7 });
    a.frontierMs = 8;
    expect(merge.least()).toEqual({ channel: b, timeMs: 7 });
  });

  test('a record that was not taken stays the next one, and the last key does not move', () => {
    const { a, b, merge } = twoChannels();
    b.frontierMs = 100;
    a.queue.push(pending(10, 1));
    const { channel } = merge.least();
    const record = channel.queue.first as Pending;
    merge.check(channel, record);
    expect(merge.lastKey).toEqual(BEFORE_ALL);
    expect(merge.waiting).toBe(1);
    merge.take(channel, record);
    expect(merge.lastKey).toEqual({ logTimeMs: 10, rank: 0, order: 1 });
    expect(a).toMatchObject({ frontierMs: 10, folded: { sequence: 1, digest: 0 } });
    expect(merge.waiting).toBe(0);
  });

  test('promises its readers the least of heads and frontiers', () => {
    const { a, b, merge } = twoChannels();
    a.queue.push(pending(9, 1));
    b.frontierMs = 4;
    expect(merge.bound()).toBe(4);
    b.frontierMs = 20;
    expect(merge.bound()).toBe(9);
    expect(merge.waiting).toBe(1);
  });

  test('stops when a record comes before one that was folded', () => {
    const { a, b, merge } = twoChannels();
    b.frontierMs = 100;
    a.queue.push(pending(10, 1));
    expect(taken(merge)).not.toBeNull();
    b.queue.push(pending(9, 1));
    a.frontierMs = 100;
    expect(codeOf(() => next(merge))).toBe('ORDER_BROKEN');
  });

  test('stops when a restart is shown what it has folded already', () => {
    const channel = createChannel('t', 0, '');
    const merge = new Merge([channel], { logTimeMs: 10, rank: 0, order: 4 });
    channel.queue.push(pending(10, 4));
    expect(codeOf(() => next(merge))).toBe('ORDER_BROKEN');
  });

  test('refuses to be made of nothing', () => {
    expect(codeOf(() => new Merge([], BEFORE_ALL))).toBe('GRAPH_INVALID');
  });

  test('folds in one order, whatever the interleaving of arrivals and frontiers', () => {
    const histories = fc.array(fc.array(fc.nat(6), { maxLength: 12 }), { minLength: 1, maxLength: 4 });
    const choices = fc.infiniteStream(fc.nat(1_000));
    fc.assert(
      fc.property(histories, choices, (steps, random) => {
        const history = steps.map((deltas) => {
          let timeMs = 0;
          return deltas.map((delta) => {
            timeMs += delta;
            return timeMs;
          });
        });
        const { merge, channels } = channelsOf(history.length);
        const folded: string[] = [];
        const arrived = history.map(() => 0);
        const choose = (limit: number) => (random.next().value ?? 0) % limit;
        while (arrived.some((count, index) => count <= (history[index]?.length ?? 0))) {
          const index = choose(history.length);
          const channel = channels[index] as Channel;
          const times = history[index] ?? [];
          const count = arrived[index] ?? 0;
          const next = times[count];
          if (next === undefined) {
            // Nothing more: a frontier beyond everything.
            channel.frontierMs = 1_000_000;
            arrived[index] = times.length + 1;
          } else if (choose(3) === 0) {
            // A promise anywhere up to the next record.
            channel.frontierMs = Math.max(channel.frontierMs, choose(next + 1));
          } else {
            channel.queue.push(pending(next, count));
            arrived[index] = count + 1;
          }
          if (choose(2) === 0) folded.push(...drain(merge));
        }
        folded.push(...drain(merge));
        const expected = history
          .flatMap((times, partition) => times.map((logTimeMs, order) => ({ logTimeMs, partition, order })))
          .sort((a, b) => a.logTimeMs - b.logTimeMs || a.partition - b.partition || a.order - b.order);
        expect(folded).toEqual(
          expected.map(({ logTimeMs, partition, order }) => `t/${partition}/@${logTimeMs}:${order}`),
        );
      }),
      { numRuns: 300 },
    );
  });
});

function channelsOf(count: number) {
  const channels = rankChannels(
    Array.from({ length: count }, (_, partition) => createChannel('t', partition, '')),
    'plan',
  );
  return { channels, merge: new Merge(channels, BEFORE_ALL) };
}

function codeOf(work: () => unknown): string | null {
  try {
    work();
    return null;
  } catch (error) {
    return isPipelineError(error) ? error.code : String(error);
  }
}
