/** The report of a run: what is in the topics, in Postgres and in the ledger, and how long it took. */
import { createHash } from 'node:crypto';
import pg from 'pg';
import type { Kafka } from '#pipeline/kafka/types.ts';
import { isTick, POSITION_HEADER } from '#pipeline/merge/position.ts';
import { readToEnd } from '#pipeline/runtime/read-topic.ts';
import type { Serde } from '#pipeline/serde/serde.ts';
import type { Metrics } from '#pipeline/telemetry/metrics.ts';
import type { Coverage } from '#schemas/coverage.ts';
import { alerts, chainBlocks, ledgerCoverage, type Topic, topics } from '#schemas/topics.ts';
import { type CoverageCount, countCoverage } from './coverage-count.ts';

export interface TopicReport {
  /** Data records, without control records and without duplicates. */
  readonly records: number;
  /** Distinct `id` fields; distinct keys where records have no id. */
  readonly distinctIds: number;
  /** SHA-256 over key, value and position of each writer's stream, combined without regard to how writers interleave. */
  readonly hash: string;
}

export interface Percentiles {
  readonly p50: number | null;
  readonly p99: number | null;
}

export interface Report {
  readonly topics: Readonly<Record<string, TopicReport>>;
  /** By rule id. */
  readonly alerts: Readonly<Record<string, number>>;
  readonly blocks: number;
  readonly transactions: number;
  /** Rows by table. */
  readonly postgres: Readonly<Record<string, number>>;
  readonly coverage: Readonly<Record<string, CoverageCount>>;
  readonly duplicatesDropped: number;
  readonly gaps: number;
  readonly deadLetters: number;
  /** From receipt by the connector to the alert being visible there. */
  readonly latencyMs: { readonly kafka: Percentiles; readonly postgres: Percentiles };
  /** Records folded by all tasks, for each second of `wallMs`. */
  readonly recordsPerSecond: number;
  readonly wallMs: number;
  readonly peakRssMb: number;
}

export async function makeReport(options: {
  kafka: Kafka;
  serde: Serde;
  metrics: Metrics;
  physicalName: (topic: string) => string;
  databaseUrl: string | null;
  latencyMs: Report['latencyMs'];
  wallMs: number;
}): Promise<Report> {
  const { kafka, serde, metrics, physicalName, databaseUrl, wallMs } = options;
  const folded = await metrics.total('process_records_total');
  const found: Record<string, TopicReport> = {};
  const alertCounts: Record<string, number> = {};
  const coverage: Coverage[] = [];
  let blocks = 0;
  let transactions = 0;
  const onValue = (topic: Topic, bytes: Buffer): string | null => {
    if (topic.name === alerts.name) {
      const { ruleId } = serde.decode(alerts, bytes);
      alertCounts[ruleId] = (alertCounts[ruleId] ?? 0) + 1;
    } else if (topic.name === chainBlocks.name) {
      blocks += 1;
      transactions += serde.decode(chainBlocks, bytes).transactionCount;
    } else if (topic.name === ledgerCoverage.name) coverage.push(serde.decode(ledgerCoverage, bytes));
    return idOf(topic, serde, bytes);
  };
  for (const topic of topics) {
    found[topic.name] = await readTopic(kafka, physicalName(topic.name), topic, (bytes) =>
      onValue(topic, bytes),
    );
  }
  return {
    topics: found,
    alerts: alertCounts,
    blocks,
    transactions,
    postgres: databaseUrl === null ? {} : await countRows(databaseUrl),
    coverage: countCoverage(coverage),
    duplicatesDropped: await metrics.total('duplicates_dropped_total'),
    gaps: await metrics.total('gaps_total'),
    deadLetters: found['dlq.v1']?.records ?? 0,
    latencyMs: options.latencyMs,
    recordsPerSecond: wallMs === 0 ? 0 : Math.round((folded * 1000) / wallMs),
    wallMs: Math.round(wallMs),
    peakRssMb: Math.round(process.resourceUsage().maxRSS / 1024),
  };
}

/** Null where records have no id. */
function idOf(topic: Topic, serde: Serde, bytes: Buffer): string | null {
  if (!topic.schema.fields.some(({ name }) => name === 'id')) return null;
  const value: unknown = serde.decode(topic, bytes);
  return typeof value === 'object' && value !== null && 'id' in value ? String(value.id) : null;
}

async function readTopic(
  kafka: Kafka,
  physical: string,
  topic: Topic,
  onValue: (bytes: Buffer) => string | null,
): Promise<TopicReport> {
  const ids = new Set<string>();
  const streams = new Map<string, { sequence: number; hash: ReturnType<typeof createHash> }>();
  let records = 0;
  for await (const { partition, record } of readToEnd(kafka, physical)) {
    if (isTick(record.headers)) continue;
    const position = record.headers.find(([name]) => name === POSITION_HEADER)?.[1].toString('latin1') ?? '';
    const cut = position.indexOf(':');
    const name = `${partition}/${position.slice(0, Math.max(0, cut))}`;
    const stream = streams.get(name) ?? { sequence: 0, hash: createHash('sha256') };
    streams.set(name, stream);
    if (topic.layer === 'derived') {
      const sequence = Number.parseInt(position.slice(cut + 1), 10);
      if (sequence <= stream.sequence) continue;
      stream.sequence = sequence;
    }
    records += 1;
    for (const part of [record.key, record.value, Buffer.from(position)]) {
      stream.hash.update(`${part?.length ?? -1};`).update(part ?? '');
    }
    ids.add((record.value === null ? null : onValue(record.value)) ?? record.key?.toString() ?? '');
  }
  const hash = createHash('sha256');
  for (const [name, stream] of [...streams].sort(([a], [b]) => (a < b ? -1 : 1))) {
    hash.update(`${name}=${stream.hash.digest('hex')}\n`);
  }
  return { records, distinctIds: ids.size, hash: hash.digest('hex') };
}

async function countRows(databaseUrl: string): Promise<Record<string, number>> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const counts: Record<string, number> = {};
    for (const table of ['transfers', 'scores', 'alerts']) {
      const { rows } = await client.query<{ count: string }>(`SELECT count(*) AS count FROM baleen.${table}`);
      counts[table] = Number(rows[0]?.count ?? 0);
    }
    return counts;
  } finally {
    await client.end();
  }
}

/** Nearest-rank percentiles of a list of milliseconds. */
export function percentiles(valuesMs: readonly number[]): Percentiles {
  if (valuesMs.length === 0) return { p50: null, p99: null };
  const sorted = [...valuesMs].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? null;
  return { p50: at(0.5), p99: at(0.99) };
}
