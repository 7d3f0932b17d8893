/** `baleen tap`: decoded records of a topic on standard output. */
import { resolve } from 'node:path';
import { systemClock } from '#pipeline/clock.ts';
import { nearest } from '#pipeline/config/nearest.ts';
import { messageOf, PipelineError } from '#pipeline/errors.ts';
import { openKafka } from '#pipeline/kafka/client.ts';
import { isTick, POSITION_HEADER } from '#pipeline/merge/position.ts';
import type { PlacedRecord } from '#pipeline/runtime/read-topic.ts';
import { openSerde, type Serde } from '#pipeline/serde/serde.ts';
import { createLog } from '#pipeline/telemetry/log.ts';
import { type Topic, topics } from '#schemas/topics.ts';
import { type Io, processIo } from './io.ts';
import { locateServices } from './locate.ts';
import { cutTo } from './printable.ts';
import { readRecords } from './read-records.ts';
import { recordJson, recordLine, type ShownRecord } from './record-text.ts';
import { readKafkaSecurity, type SettingSources } from './settings.ts';
import { parseCondition } from './where.ts';

export interface TapOptions {
  /** With or without its version. */
  readonly topic: string;
  /** Only what is written from now on; never ends by itself. */
  readonly latest: boolean;
  readonly follow: boolean;
  readonly where: readonly string[];
  /** Null: all. */
  readonly limit: number | null;
  readonly json: boolean;
  readonly full: boolean;
  readonly dataDir: string;
  readonly sources: SettingSources;
}

/** Returns the exit code. Ctrl-C ends it in order. */
export async function tap(options: TapOptions, io: Io = processIo): Promise<number> {
  const topic = findTopic(options.topic);
  const conditions = options.where.map((text) => parseCondition(text, topic.schema));
  const located = await locateServices({ dataDir: resolve(options.dataDir), sources: options.sources });
  const log = createLog({ level: 'silent' });
  const serde = await openSerde({ registryUrl: located.registryUrl, topics: [topic] });
  const kafka = await openKafka({
    brokers: located.kafkaBrokers,
    security: await readKafkaSecurity(options.sources),
    clientId: 'baleen-tap',
    log,
    clock: systemClock,
  });
  const stopping = new AbortController();
  const stop = () => stopping.abort();
  process.once('SIGINT', stop).once('SIGTERM', stop);
  try {
    await ensureExists(kafka, topic);
    const records = readRecords({
      kafka,
      topic: topic.name,
      from: options.latest ? 'end' : 'start',
      isEndless: options.latest || options.follow,
      signal: stopping.signal,
    });
    let shown = 0;
    if (options.limit !== 0) {
      for await (const placed of records) {
        if (stopping.signal.aborted) break;
        if (isTick(placed.record.headers)) continue;
        const record = decode(serde, topic, placed);
        if (!conditions.every((holds) => holds(record))) continue;
        if (!print(record, options, io)) await io.drained();
        shown += 1;
        if (shown === options.limit) break;
      }
    }
    return 0;
  } finally {
    process.removeListener('SIGINT', stop).removeListener('SIGTERM', stop);
    await kafka.close();
  }
}

/** By its name, with or without `.v1`. Throws CONFIG_INVALID with the names that come near. */
export function findTopic(name: string): Topic {
  const all: readonly Topic[] = topics;
  const found = all.find((topic) => topic.name === name || bareName(topic) === name);
  if (found !== undefined) return found;
  const near = nearest(name, all.map(bareName));
  const rest =
    near.length > 0 ? `did you mean ${near.join(' or ')}?` : `there are ${all.map(bareName).join(', ')}`;
  throw new PipelineError(
    'CONFIG_INVALID',
    `expected the name of a topic, found ${JSON.stringify(name.slice(0, 80))}; ${rest}`,
  );
}

const bareName = ({ name }: Topic): string => name.replace(/\.v\d+$/, '');

async function ensureExists(kafka: Awaited<ReturnType<typeof openKafka>>, topic: Topic): Promise<void> {
  const admin = kafka.admin();
  const existing = await admin.topics().finally(() => admin.close());
  if (existing.has(topic.name)) return;
  throw new PipelineError(
    'SERVICE_UNREACHABLE',
    `expected a topic ${topic.name} in this Kafka, found none; "baleen up" makes it at its start`,
  );
}

/** A record that cannot be read is shown as such: somebody looks on because something is wrong. */
function decode(serde: Serde, topic: Topic, { partition, record }: PlacedRecord): ShownRecord {
  const header = record.headers.find(([name]) => name === POSITION_HEADER);
  const base = {
    topic: topic.name,
    partition,
    offset: record.offset,
    timestampMs: record.timestampMs,
    key: record.key?.toString('utf8') ?? '',
    // `writer:sequence` of `writer:sequence;epoch;digest`
    position: header?.[1].toString('latin1').split(';')[0] ?? null,
  };
  if (record.value === null) return { ...base, value: null, problem: null };
  try {
    return { ...base, value: serde.decode(topic, record.value), problem: null };
  } catch (error) {
    return { ...base, value: record.value, problem: `unreadable: ${messageOf(error)}` };
  }
}

function print(record: ShownRecord, options: TapOptions, io: Io): boolean {
  if (options.json) return io.out(recordJson(record, options.full));
  const line = recordLine(record, options.full);
  return io.out(io.columns === null || options.full ? line : cutTo(line, io.columns));
}
