import { describe, expect, test } from 'vitest';
import type { FetchHandler, Kafka, KafkaRecord } from '#pipeline/kafka/types.ts';
import { readPartition } from './read-topic.ts';

/** One partition of `count` records of one size, fetched one at a time for as long as it is not paused. */
function partitionOf(count: number, bytes: number) {
  let next = 0;
  let isPaused = false;
  let handler: FetchHandler | null = null;
  const serve = (): void => {
    while (handler !== null && !isPaused && next < count) {
      const record: KafkaRecord = {
        ...{ offset: next, timestampMs: 0, key: null, headers: [] },
        value: Buffer.alloc(bytes),
      };
      next += 1;
      handler.onRecords('topic', 0, [record], count);
    }
  };
  const kafka = {
    admin: () => ({ offsets: async () => [{ partition: 0, start: 0, end: count }], close: async () => {} }),
    fetcher: (given: FetchHandler) => {
      handler = given;
      return {
        add: () => setImmediate(serve),
        remove: () => {
          handler = null;
        },
        pause: () => {
          isPaused = true;
        },
        resume: () => {
          isPaused = false;
          setImmediate(serve);
        },
        close: async () => {},
      };
    },
  };
  return { kafka: kafka as unknown as Kafka, served: () => next };
}

describe('reading a partition to its end', () => {
  test('asks for no more while large records wait, and gives all of them in order', async () => {
    const { kafka, served } = partitionOf(100, 1024 * 1024);
    const offsets: number[] = [];
    let most = 0;
    for await (const { offset } of readPartition(kafka, 'topic', 0)) {
      offsets.push(offset);
      most = Math.max(most, served() - offset);
      await new Promise(setImmediate);
    }
    expect(offsets).toEqual(Array.from({ length: 100 }, (_, index) => index));
    // What was taken out, and as much again that came meanwhile.
    expect(most).toBeLessThanOrEqual(18);
  });
});
