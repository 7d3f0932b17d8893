import { expect, test } from 'vitest';
import type { Entry } from '#pipeline/kafka/types.ts';
import { createMemoryLog } from './memory-log.ts';

const entry = (timestampMs: number): Entry => ({ timestampMs, key: null, value: null, headers: [] });

function open() {
  let nowMs = 100;
  const seen: string[] = [];
  const log = createMemoryLog({
    topics: new Map([
      ['stamped', { partitions: 1, hasAppendTime: true }],
      ['written', { partitions: 2, hasAppendTime: false }],
    ]),
    appendTimeMs: () => nowMs,
    onAppend: (topic, partition, { offset }) => seen.push(`${topic}/${partition}/${offset}`),
  });
  return {
    log,
    seen,
    setNow: (ms: number) => {
      nowMs = ms;
    },
  };
}

test('stamps records where the topic has append time, and keeps the writer’s time elsewhere', () => {
  const { log, setNow } = open();
  log.append('stamped', 0, entry(7));
  setNow(90);
  log.append('stamped', 0, entry(7));
  log.append('written', 1, entry(7));
  expect(log.records('stamped', 0).map(({ timestampMs }) => timestampMs)).toEqual([100, 90]);
  expect(log.records('written', 1).map(({ timestampMs }) => timestampMs)).toEqual([7]);
});

test('gives dense offsets for each partition, and shows each record once it is there', () => {
  const { log, seen } = open();
  for (const partition of [1, 0, 1]) log.append('written', partition, entry(1));
  expect(seen).toEqual(['written/1/0', 'written/0/0', 'written/1/1']);
  expect(log.size).toBe(3);
});

test('names a partition that is not there', () => {
  const { log } = open();
  expect(() => log.append('written', 2, entry(1))).toThrow('found 2 partitions');
  expect(() => log.records('unknown', 0)).toThrow('found no topic of this name');
});
