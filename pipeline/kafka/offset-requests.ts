/** ListOffsets (version 2), DeleteRecords (version 1), FindCoordinator (version 1) and OffsetCommit (version 5). */
import { createReader, createWriter } from './wire.ts';

export const LIST_OFFSETS = { key: 2, version: 2, name: 'ListOffsets' } as const;
export const DELETE_RECORDS = { key: 21, version: 1, name: 'DeleteRecords' } as const;
export const FIND_COORDINATOR = { key: 10, version: 1, name: 'FindCoordinator' } as const;
export const OFFSET_COMMIT = { key: 8, version: 5, name: 'OffsetCommit' } as const;

/** Which offset of a partition to ask for. */
export const OFFSET_TIMES = { start: -2, end: -1 } as const;

export interface OffsetAnswer {
  readonly partition: number;
  readonly error: number;
  readonly offset: number;
}

/** `at` a number: the first record of at least this timestamp, epoch ms; the answer is -1 where there is none. */
export function listOffsetsBody(
  topic: string,
  partitions: readonly number[],
  at: 'start' | 'end' | number,
): Buffer {
  const writer = createWriter();
  writer.int32(-1); // replica id: a client
  writer.int8(0);
  writer.int32(1);
  writer.string(topic);
  writer.int32(partitions.length);
  for (const partition of partitions) {
    writer.int32(partition);
    writer.int64(typeof at === 'number' ? at : OFFSET_TIMES[at]);
  }
  return writer.take();
}

export function listOffsetsAnswer(payload: Buffer): readonly OffsetAnswer[] {
  const reader = createReader(payload);
  reader.int32(); // throttle
  const answers = reader.array(() => {
    reader.string();
    return reader.array((): OffsetAnswer => {
      const partition = reader.int32();
      const error = reader.int16();
      reader.int64(); // timestamp
      return { partition, error, offset: reader.int64() };
    });
  });
  return answers.flat();
}

/** To the leader of the partition: its records before `offset`. */
export function deleteRecordsBody(
  topic: string,
  partition: number,
  offset: number,
  timeoutMs: number,
): Buffer {
  const writer = createWriter();
  writer.int32(1);
  writer.string(topic);
  writer.int32(1);
  writer.int32(partition);
  writer.int64(offset);
  writer.int32(timeoutMs);
  return writer.take();
}

/** The error of the partition, 0 when there is none. */
export function deleteRecordsAnswer(payload: Buffer): number {
  const reader = createReader(payload);
  reader.int32(); // throttle
  const errors = reader.array(() => {
    reader.string();
    return reader.array(() => {
      reader.int32();
      reader.int64(); // where the partition begins now
      return reader.int16();
    });
  });
  return errors.flat().find((error) => error !== 0) ?? 0;
}

export function findCoordinatorBody(group: string): Buffer {
  const writer = createWriter();
  writer.string(group);
  writer.int8(0);
  return writer.take();
}

export function findCoordinatorAnswer(payload: Buffer): { error: number; node: number } {
  const reader = createReader(payload);
  reader.int32(); // throttle
  const error = reader.int16();
  reader.string();
  return { error, node: reader.int32() };
}

interface GroupOffset {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/** A commit by nobody in particular: the group has no members. */
export function offsetCommitBody(group: string, offsets: readonly GroupOffset[]): Buffer {
  const writer = createWriter();
  writer.string(group);
  writer.int32(-1);
  writer.string('');
  const byTopic = Map.groupBy(offsets, ({ topic }) => topic);
  writer.int32(byTopic.size);
  for (const [topic, members] of byTopic) {
    writer.string(topic);
    writer.int32(members.length);
    for (const { partition, offset } of members) {
      writer.int32(partition);
      writer.int64(offset);
      writer.string('');
    }
  }
  return writer.take();
}

/** The first error among the partitions, 0 when there is none. */
export function offsetCommitAnswer(payload: Buffer): number {
  const reader = createReader(payload);
  reader.int32(); // throttle
  const errors = reader.array(() => {
    reader.string();
    return reader.array(() => {
      reader.int32();
      return reader.int16();
    });
  });
  return errors.flat().find((error) => error !== 0) ?? 0;
}
