/** Fetch, version 11: the last that kafkajs knows and Kafka 4.3 accepts; topics by name, no fetch session. */
import { createReader, createWriter } from './wire.ts';

export const FETCH = { key: 1, version: 11, name: 'Fetch' } as const;

/** A partition with the next offset to read. */
export interface FetchWant {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

export interface FetchLimits {
  readonly maxWaitMs: number;
  readonly maxBytes: number;
  readonly partitionMaxBytes: number;
}

/** What the broker says about one partition. `bytes`: record batches, cut at the end. */
export interface FetchAnswer {
  readonly topic: string;
  readonly partition: number;
  readonly error: number;
  readonly endOffset: number;
  readonly bytes: Buffer;
}

/** The request body. The broker spends `maxBytes` in the order of `wants`, so that order is kept. */
export function fetchBody(wants: readonly FetchWant[], limits: FetchLimits): Buffer {
  const runs: { topic: string; members: FetchWant[] }[] = [];
  for (const want of wants) {
    const last = runs.at(-1);
    if (last?.topic === want.topic) last.members.push(want);
    else runs.push({ topic: want.topic, members: [want] });
  }
  const writer = createWriter(64 + wants.length * 64);
  writer.int32(-1); // replica id: a client
  writer.int32(limits.maxWaitMs);
  writer.int32(1); // least bytes: answer as soon as there is anything
  writer.int32(limits.maxBytes);
  writer.int8(0); // isolation: topics are never transactional
  writer.int32(0); // session id
  writer.int32(-1); // session epoch: none
  writer.int32(runs.length);
  for (const { topic, members } of runs) {
    writer.string(topic);
    writer.int32(members.length);
    for (const { partition, offset } of members) {
      writer.int32(partition);
      writer.int32(-1); // leader epoch: unknown
      writer.int64(offset);
      writer.int64(-1); // log start offset: for replicas
      writer.int32(limits.partitionMaxBytes);
    }
  }
  writer.int32(0); // forgotten topics
  writer.string(''); // rack
  return writer.take();
}

/** All partitions of an answer; `error` is that of the whole request. Buffers point into `payload`. */
export function fetchAnswer(payload: Buffer): {
  error: number;
  throttleMs: number;
  answers: readonly FetchAnswer[];
} {
  const reader = createReader(payload);
  const throttleMs = reader.int32();
  const error = reader.int16();
  reader.int32(); // session id
  const answers = reader.array(() => {
    const topic = reader.string();
    return reader.array((): FetchAnswer => {
      const partition = reader.int32();
      const code = reader.int16();
      const endOffset = reader.int64();
      reader.int64(); // last stable offset
      reader.int64(); // log start offset
      reader.array(() => [reader.int64(), reader.int64()]); // aborted transactions
      reader.int32(); // preferred read replica
      return { topic, partition, error: code, endOffset, bytes: reader.bytes() };
    });
  });
  return { error, throttleMs, answers: answers.flat() };
}
