/** SQL text. Names come from `tables.ts` and from a checked configuration; values are always parameters. */
import { ORDER_COLUMNS, type Table } from './tables.ts';

/** Rises when a table changes; the row in `version` says what a database has. */
export const SCHEMA_VERSION = 1;

/** Temporary, one per connection: what `COPY` fills. */
export const stageName = (table: Table): string => `baleen_stage_${table.name}`;

const columnNames = (table: Table): string => table.columns.map(({ name }) => `"${name}"`).join(', ');

export interface Statements {
  /** Creates what is missing; run in one transaction, under `lock`. */
  readonly create: readonly string[];
  /** Held until the transaction ends, so that two processes do not create at the same time. */
  readonly lock: string;
  readonly hasVersion: string;
  readonly readVersion: string;
  readonly writeVersion: string;
  /** $1 topics. */
  readonly readPositions: string;
  /** $1 topics. */
  readonly readResume: string;
  /** $1..$3 topics, partitions, writers: rows at sequence 0 for writers without one, so that there is a row to lock. */
  readonly addPositions: string;
  /** $1..$3 as above. Locks in one order. */
  readonly lockPositions: string;
  /** $1..$3 as above, $4 sequences expected, $5 sequences, $6 digests. */
  readonly movePositions: string;
  /** $1..$3 topics, partitions, next offsets. Only rises. */
  readonly moveResume: string;
  stage(table: Table): string;
  copy(table: Table): string;
  upsert(table: Table): string;
}

const WRITERS = 'unnest($1::text[], $2::integer[], $3::text[])';

/** `schema` is a checked identifier. */
export function statementsFor(schema: string, tables: readonly Table[]): Statements {
  const at = (name: string) => `"${schema}"."${name}"`;
  return {
    lock: `SELECT pg_advisory_xact_lock(hashtextextended('baleen ${schema}', 0))`,
    hasVersion: `SELECT to_regclass('${at('version')}') IS NOT NULL AS "isThere"`,
    readVersion: `SELECT version FROM ${at('version')}`,
    writeVersion: `INSERT INTO ${at('version')} (version) VALUES (${SCHEMA_VERSION})`,
    create: [
      `CREATE SCHEMA IF NOT EXISTS "${schema}"`,
      `CREATE TABLE ${at('version')} (version integer PRIMARY KEY)`,
      `CREATE TABLE ${at('positions')} (
         topic text COLLATE "C" NOT NULL, partition integer NOT NULL, writer text COLLATE "C" NOT NULL,
         sequence bigint NOT NULL, digest text NOT NULL, PRIMARY KEY (topic, partition, writer))`,
      `CREATE TABLE ${at('resume')} (
         topic text COLLATE "C" NOT NULL, partition integer NOT NULL, next_offset bigint NOT NULL,
         PRIMARY KEY (topic, partition))`,
      ...tables.flatMap((table) => [
        `CREATE TABLE ${at(table.name)} (${table.columns.map(({ name, type }) => `"${name}" ${type}`).join(', ')})`,
        ...table.indexes.map((columns) => `CREATE INDEX ON ${at(table.name)} (${columns})`),
      ]),
    ],
    readPositions: `SELECT topic, partition, writer, sequence, digest FROM ${at('positions')}
       WHERE topic = ANY($1::text[]) AND sequence > 0 ORDER BY topic, partition, writer`,
    readResume: `SELECT topic, partition, next_offset FROM ${at('resume')}
       WHERE topic = ANY($1::text[]) ORDER BY topic, partition`,
    addPositions: `INSERT INTO ${at('positions')} (topic, partition, writer, sequence, digest)
       SELECT topic, partition, writer, 0, '' FROM ${WRITERS} AS given(topic, partition, writer)
       ORDER BY 1, 2, 3 ON CONFLICT DO NOTHING`,
    lockPositions: `SELECT held.topic, held.partition, held.writer, held.sequence, held.digest
       FROM ${at('positions')} AS held
       WHERE (held.topic, held.partition, held.writer) IN (SELECT * FROM ${WRITERS})
       ORDER BY held.topic, held.partition, held.writer FOR UPDATE OF held`,
    movePositions: `UPDATE ${at('positions')} AS held SET sequence = given.sequence, digest = given.digest
       FROM unnest($1::text[], $2::integer[], $3::text[], $4::bigint[], $5::bigint[], $6::text[])
         AS given(topic, partition, writer, expected, sequence, digest)
       WHERE held.topic = given.topic AND held.partition = given.partition AND held.writer = given.writer
         AND held.sequence = given.expected`,
    moveResume: `INSERT INTO ${at('resume')} AS held (topic, partition, next_offset)
       SELECT * FROM unnest($1::text[], $2::integer[], $3::bigint[]) ORDER BY 1, 2
       ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset
       WHERE held.next_offset < excluded.next_offset`,
    stage: (table) =>
      `CREATE TEMPORARY TABLE IF NOT EXISTS ${stageName(table)} (LIKE ${at(table.name)}) ON COMMIT DELETE ROWS`,
    copy: (table) => `COPY pg_temp.${stageName(table)} (${columnNames(table)}) FROM STDIN`,
    // DISTINCT ON: one statement may not touch a row twice. Ids in order: two writers cannot deadlock.
    upsert: (table) => `INSERT INTO ${at(table.name)} AS held (${columnNames(table)})
       SELECT DISTINCT ON (id) ${columnNames(table)} FROM pg_temp.${stageName(table)}
       ORDER BY id, ${ORDER_COLUMNS.map((name) => `${name} DESC`).join(', ')}
       ON CONFLICT (id) DO UPDATE SET ${table.columns
         .filter(({ name }) => name !== 'id')
         .map(({ name }) => `"${name}" = excluded."${name}"`)
         .join(', ')}
       WHERE (${ORDER_COLUMNS.map((name) => `held.${name}`).join(', ')})
         < (${ORDER_COLUMNS.map((name) => `excluded.${name}`).join(', ')})`,
  };
}
