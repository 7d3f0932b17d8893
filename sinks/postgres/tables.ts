/** The tables of rows: which topic fills which, and how a record becomes a row. Statements are made from these. */

import { PipelineError } from '#pipeline/errors.ts';
import type { SinkRecord } from '#pipeline/rooms.ts';
import type { RecordSchema, ValueOf } from '#schemas/avro.ts';
import { alerts, enrichedTransfers, scoresEvents, type Topic } from '#schemas/topics.ts';
import { type Cell, jsonCell, plainCell, timeCell } from './encode.ts';

/** A table of one topic. Its first column is `id`, its last ones say which record made the row. */
export interface Table {
  readonly name: string;
  readonly topic: Topic;
  /** Name and SQL type with constraints, in the order of the cells. */
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** Column lists of further indexes. */
  readonly indexes: readonly string[];
  /** The cells of a record of this topic. Throws INVARIANT_BROKEN for a record of another. */
  cells(record: SinkRecord): readonly Cell[];
}

type Column<V> = readonly [name: string, type: string, read: (value: V) => Cell];

/** Compared by bytes: the same order on every server, whatever its locale. */
const KEY = 'text COLLATE "C" NOT NULL';
const TEXT = 'text NOT NULL';
const TIME = 'timestamptz NOT NULL';
/** uint256 has up to 78 digits. */
const RAW_AMOUNT = 'numeric(78,0) NOT NULL';
const JSON_LIST = 'jsonb NOT NULL';

/** Fields that every domain record has. */
interface DomainValue {
  readonly id: string;
  readonly op: 'assert' | 'retract';
  readonly eventTimeMs: number;
  readonly receivedAtMs: number;
  readonly source: string;
  readonly causes: readonly string[];
}

interface Declaration<S extends RecordSchema> {
  readonly name: string;
  readonly topic: Topic<S>;
  readonly columns: readonly Column<ValueOf<S>>[];
  readonly indexes: readonly string[];
}

const isOf = <S extends RecordSchema>(
  topic: Topic<S>,
  record: SinkRecord,
): record is SinkRecord<ValueOf<S>> => record.topic.name === topic.name;

const domain: readonly Column<DomainValue>[] = [
  ['id', `${KEY} PRIMARY KEY`, (value) => value.id],
  ['op', TEXT, (value) => value.op],
  ['event_time', TIME, (value) => timeCell(value.eventTimeMs)],
  ['received_at', TIME, (value) => timeCell(value.receivedAtMs)],
  ['source', TEXT, (value) => value.source],
  ['causes', JSON_LIST, (value) => jsonCell(value.causes)],
];

/** When the row was taken back, in log time; null: it stands. */
const RETRACTED_AT = { name: 'retracted_at', type: 'timestamptz' };

/** The record that made the row. A row is replaced only by a record that is higher in this order. */
export const ORDER_COLUMNS = ['log_time_ms', 'writer', 'sequence'] as const;
const ORDER_TYPES = { log_time_ms: 'bigint NOT NULL', writer: KEY, sequence: 'bigint NOT NULL' } as const;

function table<S extends RecordSchema>(
  declaration: Declaration<S>,
  readDomain: (value: ValueOf<S>) => DomainValue,
): Table {
  const { name, topic, indexes } = declaration;
  return {
    name,
    topic,
    indexes,
    columns: [
      ...domain.map(([column, type]) => ({ name: column, type })),
      ...declaration.columns.map(([column, type]) => ({ name: column, type })),
      RETRACTED_AT,
      ...ORDER_COLUMNS.map((column) => ({ name: column, type: ORDER_TYPES[column] })),
    ],
    cells: (record) => {
      if (!isOf(topic, record)) {
        throw new PipelineError(
          'INVARIANT_BROKEN',
          `${name}: expected a record of ${topic.name}, found ${record.topic.name}`,
        );
      }
      const common = readDomain(record.value);
      const cells: Cell[] = [];
      for (const [, , read] of domain) cells.push(read(common));
      for (const [, , read] of declaration.columns) cells.push(read(record.value));
      cells.push(common.op === 'retract' ? timeCell(record.logTimeMs) : null);
      cells.push(String(record.logTimeMs), record.writer, String(record.sequence));
      return cells;
    },
  };
}

export const transfersTable = table(
  {
    name: 'transfers',
    topic: enrichedTransfers,
    indexes: ['event_time', 'from_address, event_time', 'to_address, event_time'],
    columns: [
      ['chain', TEXT, (value) => value.chain],
      ['asset', TEXT, (value) => value.asset],
      ['tx_hash', TEXT, (value) => value.txHash],
      ['block_number', 'bigint NOT NULL', (value) => plainCell(value.blockNumber)],
      ['item_index', 'integer NOT NULL', (value) => plainCell(value.index)],
      ['from_address', 'text', (value) => value.from],
      ['to_address', 'text', (value) => value.to],
      ['amount_raw', RAW_AMOUNT, (value) => plainCell(value.amountRaw)],
      ['decimals', 'integer', (value) => plainCell(value.decimals)],
      ['symbol', 'text', (value) => value.symbol],
      ['status', TEXT, (value) => value.status],
      ['units', 'numeric', (value) => value.units],
      ['usd', 'numeric', (value) => value.usd],
      ['price_usd', 'numeric', (value) => value.priceUsd],
      ['price_time', 'timestamptz', (value) => timeCell(value.priceTimeMs)],
      ['price_source', 'text', (value) => value.priceSource],
      ['from_label_name', 'text', (value) => value.fromLabel?.name ?? null],
      ['from_label_kind', 'text', (value) => value.fromLabel?.kind ?? null],
      ['from_label_entity', 'text', (value) => value.fromLabel?.entity ?? null],
      [
        'from_label_confidence',
        'double precision',
        (value) => plainCell(value.fromLabel?.confidence ?? null),
      ],
      ['from_label_id', 'text', (value) => value.fromLabel?.labelId ?? null],
      ['to_label_name', 'text', (value) => value.toLabel?.name ?? null],
      ['to_label_kind', 'text', (value) => value.toLabel?.kind ?? null],
      ['to_label_entity', 'text', (value) => value.toLabel?.entity ?? null],
      ['to_label_confidence', 'double precision', (value) => plainCell(value.toLabel?.confidence ?? null)],
      ['to_label_id', 'text', (value) => value.toLabel?.labelId ?? null],
      ['flow', TEXT, (value) => value.flow],
    ],
  },
  (value) => value,
);

/** What scores and alerts say of their transfer. */
interface ScoredValue {
  readonly chain: string;
  readonly asset: string;
  readonly amountRaw: bigint;
  readonly decimals: number | null;
  readonly symbol: string | null;
  readonly units: string | null;
  readonly usd: string | null;
  readonly from: string | null;
  readonly to: string | null;
  readonly fromName: string | null;
  readonly toName: string | null;
  readonly flow: string;
  readonly status: string;
  readonly txHash: string;
  readonly severity: number;
  readonly confidence: number | null;
  readonly direction: number;
}

const scored: readonly Column<ScoredValue>[] = [
  ['chain', TEXT, (value) => value.chain],
  ['asset', TEXT, (value) => value.asset],
  ['amount_raw', RAW_AMOUNT, (value) => plainCell(value.amountRaw)],
  ['decimals', 'integer', (value) => plainCell(value.decimals)],
  ['symbol', 'text', (value) => value.symbol],
  ['units', 'numeric', (value) => value.units],
  ['usd', 'numeric', (value) => value.usd],
  ['from_address', 'text', (value) => value.from],
  ['to_address', 'text', (value) => value.to],
  ['from_name', 'text', (value) => value.fromName],
  ['to_name', 'text', (value) => value.toName],
  ['flow', TEXT, (value) => value.flow],
  ['status', TEXT, (value) => value.status],
  ['tx_hash', TEXT, (value) => value.txHash],
  ['severity', 'integer NOT NULL', (value) => plainCell(value.severity)],
  ['confidence', 'double precision', (value) => plainCell(value.confidence)],
  ['direction', 'double precision NOT NULL', (value) => plainCell(value.direction)],
];

export const scoresTable = table(
  {
    name: 'scores',
    topic: scoresEvents,
    indexes: ['event_time'],
    columns: [
      ...scored,
      ['log_odds', 'double precision NOT NULL', (value) => plainCell(value.logOdds)],
      ['components', JSON_LIST, (value) => jsonCell(value.components)],
      ['version', TEXT, (value) => value.version],
    ],
  },
  (value) => value,
);

export const alertsTable = table(
  {
    name: 'alerts',
    topic: alerts,
    indexes: ['event_time'],
    columns: [
      ['rule_id', TEXT, (value) => value.ruleId],
      ...scored,
      ['evidence', JSON_LIST, (value) => jsonCell(value.evidence)],
      ['text', TEXT, (value) => value.text],
    ],
  },
  (value) => value,
);

/** In the order in which they are written, which is the same in every process: no deadlocks between them. */
export const tables: readonly Table[] = [transfersTable, scoresTable, alertsTable];
