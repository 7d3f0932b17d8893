/** Produce, version 7: the last that kafkajs knows and Kafka 4.3 accepts; topics by name. */
import { createReader, createWriter } from './wire.ts';

export const PRODUCE = { key: 0, version: 7, name: 'Produce' } as const;

const ACKS_ALL = -1;
/** How long the broker may wait for the other replicas. */
const TIMEOUT_MS = 30_000;

/** A batch with its destination. */
export interface ProducePart {
  readonly topic: string;
  readonly partition: number;
  readonly batch: Buffer;
}

/** What the broker says about one partition. `appendTimeMs` is -1 on topics with the writer's time. */
export interface ProduceAnswer {
  readonly topic: string;
  readonly partition: number;
  readonly error: number;
  readonly baseOffset: number;
  readonly appendTimeMs: number;
}

/** The request body as pieces to be written one after the other; batches are not copied. */
export function produceBody(parts: readonly ProducePart[]): readonly Buffer[] {
  const byTopic = Map.groupBy(parts, (part) => part.topic);
  const pieces: Buffer[] = [];
  const writer = createWriter();
  writer.string(null); // no transaction
  writer.int16(ACKS_ALL);
  writer.int32(TIMEOUT_MS);
  writer.int32(byTopic.size);
  for (const [topic, members] of byTopic) {
    writer.string(topic);
    writer.int32(members.length);
    for (const { partition, batch } of members) {
      writer.int32(partition);
      writer.int32(batch.length);
      pieces.push(writer.take(), batch);
    }
  }
  return pieces;
}

/** All answers, errors included; `throttleMs`: how long the broker asks to wait. */
export function produceAnswer(payload: Buffer): { answers: readonly ProduceAnswer[]; throttleMs: number } {
  const reader = createReader(payload);
  const answers = reader.array(() => {
    const topic = reader.string();
    return reader.array((): ProduceAnswer => {
      const answer = {
        topic,
        partition: reader.int32(),
        error: reader.int16(),
        baseOffset: reader.int64(),
        appendTimeMs: reader.int64(),
      };
      reader.int64(); // log start offset
      return answer;
    });
  });
  return { answers: answers.flat(), throttleMs: reader.int32() };
}
