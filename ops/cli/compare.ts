/** Compares the streams of two topics, writer by writer: key, value, log time and position of first occurrences. */
import { createHash, type Hash } from 'node:crypto';
import type { Kafka } from '#pipeline/kafka/types.ts';
import { isTick, POSITION_HEADER } from '#pipeline/merge/position.ts';
import { readToEnd } from '#pipeline/runtime/read-topic.ts';

export interface StreamComparison {
  readonly partition: number;
  readonly writer: string;
  /** Records up to the limit, on either side. */
  readonly live: number;
  readonly replayed: number;
  readonly isEqual: boolean;
  /** Sequence of the first record that differs or is missing; null when equal. */
  readonly firstDifference: number | null;
}

interface Stream {
  sequence: number;
  /** Digest of each record, to find the first that differs. */
  readonly digests: string[];
  readonly whole: Hash;
}

/** Only records with a log time up to `untilMs` count: what came later may be on one side alone. */
export async function compareTopics(
  kafka: Kafka,
  liveTopic: string,
  replayedTopic: string,
  untilMs: number,
): Promise<readonly StreamComparison[]> {
  const [live, replayed] = await Promise.all([
    readStreams(kafka, liveTopic, untilMs),
    readStreams(kafka, replayedTopic, untilMs),
  ]);
  const names = [...new Set([...live.keys(), ...replayed.keys()])].sort();
  return names.map((name) => {
    const [a, b] = [live.get(name), replayed.get(name)];
    const isEqual = a !== undefined && b !== undefined && a.whole.digest('hex') === b.whole.digest('hex');
    const cut = name.indexOf('/');
    return {
      partition: Number(name.slice(0, cut)),
      writer: name.slice(cut + 1),
      live: a?.digests.length ?? 0,
      replayed: b?.digests.length ?? 0,
      isEqual,
      firstDifference: isEqual ? null : firstDifference(a?.digests ?? [], b?.digests ?? []),
    };
  });
}

/** Sequences count from 1. */
function firstDifference(a: readonly string[], b: readonly string[]): number {
  const index = a.findIndex((digest, at) => digest !== b[at]);
  return (index === -1 ? a.length : index) + 1;
}

async function readStreams(kafka: Kafka, topic: string, untilMs: number): Promise<Map<string, Stream>> {
  const streams = new Map<string, Stream>();
  for await (const { partition, record } of readToEnd(kafka, topic)) {
    if (isTick(record.headers) || record.timestampMs > untilMs) continue;
    const position = record.headers.find(([name]) => name === POSITION_HEADER)?.[1].toString('latin1') ?? '';
    const cut = position.indexOf(':');
    const sequence = Number.parseInt(position.slice(cut + 1), 10);
    // A fence.
    if (sequence === 0) continue;
    const name = `${partition}/${position.slice(0, Math.max(0, cut))}`;
    const stream = streams.get(name) ?? { sequence: 0, digests: [], whole: createHash('sha256') };
    streams.set(name, stream);
    if (sequence <= stream.sequence) continue;
    stream.sequence = sequence;
    const own = createHash('sha256');
    for (const part of [record.key, record.value, Buffer.from(`${position};${record.timestampMs}`)]) {
      own.update(`${part?.length ?? -1};`).update(part ?? '');
    }
    const digest = own.digest('base64');
    stream.whole.update(digest);
    stream.digests.push(digest);
  }
  return streams;
}
