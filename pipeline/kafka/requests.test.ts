import { describe, expect, test } from 'vitest';
import { decodeBatches } from './batch-decode.ts';
import { fetchAnswer, fetchBody } from './fetch.ts';
import {
  heartbeatBody,
  joinGroupAnswer,
  joinGroupBody,
  leaveGroupBody,
  placeAnswer,
  syncGroupAnswer,
  syncGroupBody,
} from './group-requests.ts';
import { metadataAnswer, metadataBody } from './metadata.ts';
import { deleteRecordsAnswer, deleteRecordsBody } from './offset-requests.ts';
import { outOfRangeError } from './out-of-range.ts';
import { produceAnswer, produceBody } from './produce.ts';
import { createProducerQueue } from './producer-queue.ts';
import type { Placement } from './types.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
const FF8 = 'ff'.repeat(8);

describe('request bodies and answers', () => {
  test('a produce body groups partitions by topic and does not copy batches', () => {
    const [one, two, three] = [Buffer.from('11'), Buffer.from('2'), Buffer.from('333')];
    const body = produceBody([
      { topic: 'a', partition: 0, batch: one },
      { topic: 'b', partition: 5, batch: two },
      { topic: 'a', partition: 1, batch: three },
    ]);
    expect(body).toContain(one);
    expect(Buffer.concat(body)).toEqual(
      hex(`ffff ffff 00007530 00000002
           0001 61 00000002 00000000 00000002 3131 00000001 00000003 333333
           0001 62 00000001 00000005 00000001 32`),
    );
  });

  test('a produce answer keeps errors of single partitions', () => {
    const payload = hex(`00000001 0001 61 00000002
      00000000 0000 0000000000000007 00000000000003e8 0000000000000000
      00000001 0006 ${FF8} ${FF8} ${FF8} 00000005`);
    expect(produceAnswer(payload)).toEqual({
      throttleMs: 5,
      answers: [
        { topic: 'a', partition: 0, error: 0, baseOffset: 7, appendTimeMs: 1000 },
        { topic: 'a', partition: 1, error: 6, baseOffset: -1, appendTimeMs: -1 },
      ],
    });
    expect(() => produceAnswer(payload.subarray(0, 40))).toThrow(RangeError);
  });

  test('a member says its part when it joins, and the leader hears what all say', () => {
    const asked = { group: 'g', member: '', said: 'ab', sessionTimeoutMs: 6_000, rebalanceTimeoutMs: 5_000 };
    expect(joinGroupBody(asked)).toEqual(
      hex('0001 67 00001770 00001388 0000 0006 62616c65656e 00000001 0005 7461736b73 00000002 6162'),
    );
    expect(
      joinGroupAnswer(
        hex('00000000 0000 00000007 0005 7461736b73 0001 6d 0001 6d 00000001 0001 6d 00000002 6162'),
      ),
    ).toEqual({ error: 0, generation: 7, leader: 'm', member: 'm', members: [{ id: 'm', said: 'ab' }] });
  });

  test('the leader hands out shares, and each member takes its own', () => {
    const place = { group: 'g', generation: 7, member: 'm' };
    expect(syncGroupBody(place, new Map([['m', 'xy']]))).toEqual(
      hex('0001 67 00000007 0001 6d 00000001 0001 6d 00000002 7879'),
    );
    expect(syncGroupAnswer(hex('00000000 0000 00000002 7879'))).toEqual({ error: 0, share: 'xy' });
    expect(heartbeatBody(place)).toEqual(hex('0001 67 00000007 0001 6d'));
    expect(placeAnswer(hex('00000000 001b'))).toBe(27);
    expect(leaveGroupBody(place)).toEqual(hex('0001 67 0001 6d'));
  });

  test('a deletion names one partition and answers with its error', () => {
    expect(deleteRecordsBody('a', 3, 2 ** 33, 10_000)).toEqual(
      hex('00000001 0001 61 00000001 00000003 0000000200000000 00002710'),
    );
    const answer = (error: string) =>
      deleteRecordsAnswer(hex(`00000000 00000001 0001 61 00000001 00000003 0000000000000007 ${error}`));
    expect([answer('0000'), answer('0006')]).toEqual([0, 6]);
  });

  test('a fetch body keeps the order of its partitions', () => {
    const want = (topic: string, partition: number) => ({ topic, partition, offset: 2 ** 33 + partition });
    const part = (partition: string) =>
      `${partition} ffffffff 0000000200${partition.slice(2)} ${FF8} 0003d090`;
    expect(
      fetchBody([want('a', 1), want('b', 0), want('a', 0)], {
        maxWaitMs: 500,
        maxBytes: 1_000_000,
        partitionMaxBytes: 250_000,
      }),
    ).toEqual(
      hex(`ffffffff 000001f4 00000001 000f4240 00 00000000 ffffffff 00000003
           0001 61 00000001 ${part('00000001')}
           0001 62 00000001 ${part('00000000')}
           0001 61 00000001 ${part('00000000')}
           00000000 0000`),
    );
  });

  test('a fetch answer keeps errors of single partitions', () => {
    const payload = hex(`00000003 0000 00000000 00000001 0001 61 00000002
      00000000 0000 0000000000000009 0000000000000009 0000000000000000 ffffffff ffffffff 00000002 abcd
      00000001 0001 ${FF8} ${FF8} ${FF8} 00000001 0000000000000001 0000000000000002 ffffffff ffffffff`);
    expect(fetchAnswer(payload)).toEqual({
      error: 0,
      throttleMs: 3,
      answers: [
        { topic: 'a', partition: 0, error: 0, endOffset: 9, bytes: hex('abcd') },
        { topic: 'a', partition: 1, error: 1, endOffset: -1, bytes: Buffer.alloc(0) },
      ],
    });
  });

  test('a partition without leader is part of the metadata', () => {
    expect(metadataBody(null)).toEqual(hex('ffffffff 00'));
    const { nodes, topics } = metadataAnswer(
      hex(`00000000 00000001 00000001 0001 68 00002384 ffff 0001 63 00000001
           00000001 0000 0001 61 00 00000002
           0000 00000000 00000001 00000001 00000001 00000001 00000001 00000000
           0005 00000001 ffffffff 00000000 00000000 00000000`),
    );
    expect(nodes).toEqual(new Map([[1, { host: 'h', port: 9092 }]]));
    expect(topics).toEqual([
      {
        name: 'a',
        error: 0,
        isInternal: false,
        leaders: new Map([
          [0, 1],
          [1, null],
        ]),
      },
    ]);
  });

  test('an offset outside the log says whether it lies before or behind it', () => {
    const place = { topic: 'a', partition: 0 };
    const range = { partition: 0, start: 5, end: 9 };
    expect(outOfRangeError({ ...place, offset: 4 }, range)?.facts).toMatchObject({
      cause: 'retention',
      startOffset: 5,
    });
    expect(outOfRangeError({ ...place, offset: 10 }, range)?.facts).toMatchObject({
      cause: 'truncation',
      endOffset: 9,
    });
    expect(outOfRangeError({ ...place, offset: 9 }, range)).toBeNull();
  });
});

describe('the queue of a producer', () => {
  /** Entries whose value begins with their number. */
  const filled = (
    sizes: readonly (readonly [partition: number, bytes: number])[],
    maxBatchBytes = 10_000,
  ) => {
    const queue = createProducerQueue({ maxBatchBytes, compression: 'none' });
    for (const [order, [partition, bytes]] of sizes.entries()) {
      const value = Buffer.alloc(bytes);
      value[0] = order;
      queue.add('t', partition, { timestampMs: order, key: null, value, headers: [] }, null);
    }
    return queue;
  };
  const shape = (taken: ReturnType<ReturnType<typeof filled>['take']>) =>
    taken.map(({ partition, batch }) => [partition, decodeBatches(batch, 0).map(({ value }) => value?.[0])]);

  test('writes entries of a partition into one batch, up to its size, and sends one of each partition', () => {
    const queue = filled([...Array.from({ length: 10 }, () => [0, 64] as const), [1, 64]], 500);
    expect(shape(queue.take(700))).toEqual([
      [0, [0, 1, 2, 3, 4]],
      [1, [10]],
    ]);
    expect(queue.oldest()).toBe(5);
  });

  test('sends an entry larger than a request alone, and others in their turn', () => {
    const queue = filled(
      [
        [0, 10],
        [1, 5_000],
        [0, 10],
      ],
      1_000,
    );
    expect(shape(queue.take(1_000))).toEqual([[0, [0, 2]]]);
    expect(shape(queue.take(1_000))).toEqual([[1, [1]]]);
    expect(queue.isEmpty).toBe(true);
    expect(queue.oldest()).toBe(Number.POSITIVE_INFINITY);
  });

  test('takes a batch that was too large again in smaller pieces, in order, before what came since', () => {
    const queue = filled([0, 1, 2, 3].map(() => [0, 100] as const));
    const [taken] = queue.take(10_000);
    const late = { timestampMs: 9, key: null, value: Buffer.from([9]), headers: [] };
    queue.add('t', 0, late, null);
    if (taken !== undefined) queue.putBack(taken);
    expect(queue.oldest()).toBe(0);
    const rounds: unknown[] = [];
    while (!queue.isEmpty) rounds.push(...shape(queue.take(10_000)));
    expect(rounds.flatMap((one) => (Array.isArray(one) ? one[1] : []))).toEqual([0, 1, 2, 3, 9]);
    expect(rounds.length).toBeGreaterThan(2);
  });

  test('takes nothing of a partition that is held, and all of it in order once it is free', () => {
    const queue = filled(
      [0, 1, 0, 1].map((partition) => [partition, 100] as const),
      150,
    );
    const [first] = queue.take(120);
    expect(first).toMatchObject({ partition: 0, order: 0 });
    const place = { topic: 't', partition: 0 };
    queue.hold(place);
    expect([queue.isHeld('t', 0), queue.isHeld('t', 1), queue.isHeld('other', 0)]).toEqual([
      true,
      false,
      false,
    ]);
    const rounds = [...shape(queue.take(10_000)), ...shape(queue.take(10_000))];
    expect(rounds).toEqual([
      [1, [1]],
      [1, [3]],
    ]);
    expect(queue.isEmpty).toBe(true);
    expect(queue.oldest()).toBe(2);
    // Too large for the topic after all, while it is held.
    if (first !== undefined) queue.putBack(first);
    expect([queue.isEmpty, queue.oldest()]).toEqual([true, 0]);
    queue.free(place);
    expect([...shape(queue.take(120)), ...shape(queue.take(120))]).toEqual([
      [0, [0]],
      [0, [2]],
    ]);
    queue.hold(place);
    queue.add('t', 0, { timestampMs: 0, key: null, value: null, headers: [] }, Promise.withResolvers());
    expect(queue.clear()).toHaveLength(1);
  });

  test('writes into the room of a batch that is needed no more, and of no other', () => {
    const queue = filled([[0, 100]]);
    const [first] = queue.take(10_000);
    if (first === undefined) throw new Error('nothing was taken');
    const entry = { timestampMs: 0, key: null, value: Buffer.alloc(100, 7), headers: [] };
    queue.add('t', 0, entry, null);
    const [second] = queue.take(10_000);
    expect(second?.batch.buffer).not.toBe(first.batch.buffer);
    expect(decodeBatches(first.batch, 0)[0]?.value?.[1]).toBe(0);
    queue.reuse(first);
    queue.add('t', 1, entry, null);
    const [third] = queue.take(10_000);
    expect(third?.batch.buffer).toBe(first.batch.buffer);
    expect(decodeBatches(third?.batch ?? Buffer.alloc(0), 0)[0]?.value).toEqual(entry.value);
  });

  test('writes into the room of what was compressed, which is a copy', () => {
    const queue = createProducerQueue({ maxBatchBytes: 10_000, compression: 'zstd' });
    const add = (byte: number): Buffer => {
      queue.add('t', 0, { timestampMs: 0, key: null, value: Buffer.alloc(5_000, byte), headers: [] }, null);
      return queue.take(10_000)[0]?.batch ?? Buffer.alloc(0);
    };
    const [first, second] = [add(1), add(2)];
    expect(decodeBatches(first, 0)[0]?.value).toEqual(Buffer.alloc(5_000, 1));
    expect(decodeBatches(second, 0)[0]?.value).toEqual(Buffer.alloc(5_000, 2));
  });

  test('keeps who waits for an entry with it, also in a smaller piece', async () => {
    const queue = createProducerQueue({ maxBatchBytes: 10_000, compression: 'zstd' });
    const waiters = [1, 2, 3].map(() => Promise.withResolvers<Placement>());
    for (const [index, waiter] of waiters.entries()) {
      const entry = { timestampMs: 0, key: null, value: Buffer.alloc(100, index), headers: [] };
      queue.add('t', 0, entry, index === 1 ? null : waiter);
    }
    const [taken] = queue.take(10_000);
    if (taken !== undefined) queue.putBack(taken);
    const pieces: unknown[] = [];
    while (!queue.isEmpty) for (const piece of queue.take(10_000)) pieces.push(...piece.waiters);
    expect(pieces.filter((waiter) => waiter !== undefined && waiter !== null)).toEqual([
      waiters[0],
      waiters[2],
    ]);
  });
});
