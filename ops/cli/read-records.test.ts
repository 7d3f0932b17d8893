import { describe, expect, test } from 'vitest';
import { PipelineError } from '#pipeline/errors.ts';
import type { Admin, FetchHandler, Kafka, KafkaRecord } from '#pipeline/kafka/types.ts';
import { readRecords } from './read-records.ts';

const record = (offset: number): KafkaRecord => ({
  offset,
  timestampMs: offset,
  key: null,
  value: null,
  headers: [],
});

/** A topic in memory; what is appended later reaches those who read on. */
function memoryTopic(sizes: readonly number[]) {
  const logs = sizes.map((size) => Array.from({ length: size }, (_, offset) => record(offset)));
  let handler: FetchHandler | null = null;
  const state = { isClosed: false, added: [] as (readonly [number, number])[] };
  const unused = (): never => {
    throw new Error('not of this test');
  };
  const admin: Partial<Admin> = {
    offsets: async () => logs.map((log, partition) => ({ partition, start: 0, end: log.length })),
    close: async () => {},
  };
  const kafka: Kafka = {
    admin: () => admin as Admin,
    producer: unused,
    join: unused,
    close: async () => {},
    fetcher: (given) => {
      handler = given;
      return {
        add: (topic, partition, offset) => {
          state.added.push([partition, offset]);
          const records = (logs[partition] ?? []).slice(offset);
          if (records.length > 0)
            queueMicrotask(() => given.onRecords(topic, partition, records, records.length));
        },
        remove: () => {},
        pause: () => {},
        resume: () => {},
        close: async () => {
          state.isClosed = true;
        },
      };
    },
  };
  return {
    kafka,
    state,
    append: (partition: number, offset: number) =>
      handler?.onRecords('t', partition, [record(offset)], offset + 1),
    fail: (error: Error) => handler?.onError('t', 0, error),
  };
}

const places = async (records: AsyncIterable<{ partition: number; record: KafkaRecord }>) => {
  const found: string[] = [];
  for await (const { partition, record } of records) found.push(`${partition}/${record.offset}`);
  return found;
};

describe('readRecords', () => {
  const { signal } = new AbortController();

  test('reads from the start to the present end and leaves', async () => {
    const { kafka, state } = memoryTopic([2, 0, 1]);
    const records = readRecords({ kafka, topic: 't', from: 'start', isEndless: false, signal });
    expect(await places(records)).toEqual(['0/0', '0/1', '2/0']);
    expect(state.isClosed).toBe(true);
  });

  test('an empty topic is at its end at once', async () => {
    const { kafka } = memoryTopic([0, 0]);
    expect(await places(readRecords({ kafka, topic: 't', from: 'start', isEndless: false, signal }))).toEqual(
      [],
    );
  });

  test('from the end shows only what comes later, until it is aborted', async () => {
    const { kafka, state, append } = memoryTopic([3, 0]);
    const stopping = new AbortController();
    const records = readRecords({ kafka, topic: 't', from: 'end', isEndless: true, signal: stopping.signal });
    const first = records.next();
    await expect
      .poll(() => state.added)
      .toEqual([
        [0, 3],
        [1, 0],
      ]);
    append(1, 0);
    expect((await first).value).toMatchObject({ partition: 1, record: { offset: 0 } });
    const second = records.next();
    stopping.abort();
    expect((await second).done).toBe(true);
    expect(state.isClosed).toBe(true);
  });

  test('what Kafka refuses is thrown', async () => {
    const { kafka, state, fail } = memoryTopic([0]);
    const first = readRecords({ kafka, topic: 't', from: 'start', isEndless: true, signal }).next();
    await expect.poll(() => state.added.length).toBe(1);
    fail(new PipelineError('KAFKA_REFUSED', 'no rights'));
    await expect(first).rejects.toThrow('no rights');
  });
});
