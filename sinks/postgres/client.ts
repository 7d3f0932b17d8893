/** Connections and the one transaction of a batch. */
import { Pool, type PoolClient } from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { isPipelineError, PipelineError, printableUrl } from '#pipeline/errors.ts';
import type { SinkBatch, SinkRecord, SinkState, WriterPosition } from '#pipeline/rooms.ts';
import type { Log } from '#pipeline/telemetry/log.ts';
import { copyChunks } from './encode.ts';
import { sinkFailure } from './failures.ts';
import { SCHEMA_VERSION, statementsFor } from './statements.ts';
import { type Table, tables } from './tables.ts';

/** A connection that does not come up in this time is not there. */
const CONNECT_TIMEOUT_MS = 5_000;
/** A lock that another process holds for longer is reported, and the batch tried again. */
const LOCK_TIMEOUT_MS = 10_000;
/** A process paused within a transaction loses it, and with it its locks. */
const IDLE_IN_TRANSACTION_MS = 30_000;
/** No answer for this long: the connection is taken for dead. */
const ANSWER_TIMEOUT_MS = 60_000;

export interface Database {
  /** Connects, and creates schema and tables where they are missing. */
  prepare(): Promise<void>;
  load(topics: readonly string[]): Promise<SinkState>;
  write(batch: SinkBatch): Promise<void>;
  close(): Promise<void>;
  /** Host and database, printable. */
  readonly server: string;
}

const positionKey = (position: Pick<WriterPosition, 'topic' | 'partition' | 'writer'>): string =>
  `${position.topic}/${position.partition}/${position.writer}`;

interface PositionRow {
  readonly topic: string;
  readonly partition: number;
  readonly writer: string;
  readonly sequence: string;
  readonly digest: string;
}

/** `schema` is a checked identifier; `url` is secret and stays here. */
export function openDatabase(options: { url: string; schema: string; poolSize: number; log: Log }): Database {
  const { schema, log } = options;
  const server = printableUrl(options.url);
  const sql = statementsFor(schema, tables);
  const pool = new Pool({
    connectionString: options.url,
    max: options.poolSize,
    application_name: 'baleen',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    lock_timeout: LOCK_TIMEOUT_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
    query_timeout: ANSWER_TIMEOUT_MS,
    keepAlive: true,
  });
  // An error event without a listener would end the process; the query in flight, if any, rejects by itself.
  const lost = (error: Error) => log.debug('a connection was lost', { server, error });
  pool.on('connect', (client) => client.on('error', lost));
  pool.on('error', lost);
  const staged = new WeakSet<PoolClient>();
  let closing: Promise<void> | null = null;

  /** Runs `use` on one connection. After a failure it is dropped, and with it its transaction: its state is unknown. */
  async function withClient<T>(doing: string, use: (client: PoolClient) => Promise<T>): Promise<T> {
    let client: PoolClient | undefined;
    let isBroken = true;
    try {
      client = await pool.connect();
      const result = await use(client);
      isBroken = false;
      return result;
    } catch (error) {
      // Positions that do not match are an answer, not a failure: the connection and its stages are kept.
      if (isPipelineError(error, 'SINK_STALE') && error.cause === undefined) {
        isBroken =
          (await client?.query('ROLLBACK').then(
            () => false,
            () => true,
          )) ?? true;
      }
      throw sinkFailure(error, { server, doing });
    } finally {
      client?.release(isBroken);
    }
  }

  async function stage(client: PoolClient): Promise<void> {
    if (staged.has(client)) return;
    for (const table of tables) await client.query(sql.stage(table));
    staged.add(client);
  }

  async function create(client: PoolClient): Promise<void> {
    await client.query('BEGIN');
    await client.query(sql.lock);
    const { rows } = await client.query<{ isThere: boolean }>(sql.hasVersion);
    if (rows[0]?.isThere === true) {
      const found = (await client.query<{ version: number }>(sql.readVersion)).rows[0]?.version;
      if (found !== SCHEMA_VERSION) {
        throw new PipelineError(
          'SINK_REFUSED',
          `postgres ${server}: expected tables of version ${SCHEMA_VERSION} in schema ${schema}, found ${found ?? 'none'}; name another schema, or run the version that made them`,
          { facts: { server, schema, expected: SCHEMA_VERSION, found } },
        );
      }
    } else {
      for (const statement of sql.create) await client.query(statement);
      await client.query(sql.writeVersion);
      log.info('tables were created', { server, schema, version: SCHEMA_VERSION });
    }
    await client.query('COMMIT');
  }

  async function copy(client: PoolClient, table: Table, records: readonly SinkRecord[]): Promise<void> {
    const stream = client.query(copyFrom(sql.copy(table)));
    const copied = new Promise<void>((resolve, reject) => {
      stream.once('finish', resolve);
      stream.on('error', (error) => {
        // Drops what is still queued: the library would write it to a connection that it has let go of.
        stream.destroy();
        reject(error);
      });
    });
    for (const chunk of copyChunks(records.map(table.cells))) stream.write(chunk);
    stream.end();
    try {
      await copied;
    } catch (error) {
      const idOfLine = (line: number) => idOf(records[line - 1]);
      throw sinkFailure(error, { server, doing: `copy into ${table.name}`, idOfLine });
    }
    await client.query(sql.upsert(table));
  }

  /** Locks the writers of the batch and compares them with what the batch builds on. */
  async function holdPositions(client: PoolClient, before: readonly WriterPosition[]): Promise<void> {
    const fresh = before.filter(({ sequence }) => sequence === 0);
    if (fresh.length > 0) await client.query(sql.addPositions, writerColumns(fresh));
    const { rows } = await client.query<PositionRow>(sql.lockPositions, writerColumns(before));
    const held = new Map(rows.map((row) => [positionKey(row), row]));
    for (const expected of before) {
      const found = held.get(positionKey(expected));
      const isSame =
        found !== undefined &&
        Number(found.sequence) === expected.sequence &&
        (expected.sequence === 0 || found.digest === expected.digest);
      if (!isSame) throw stale(expected, found?.sequence ?? 'none');
    }
  }

  const stale = (expected: WriterPosition, found: string): PipelineError =>
    new PipelineError(
      'SINK_STALE',
      `postgres ${server}: expected ${positionKey(expected)} at ${expected.sequence} (${expected.digest}), found ${found}; another process wrote it, positions are loaded again`,
      {
        facts: {
          topic: expected.topic,
          partition: expected.partition,
          writer: expected.writer,
          expected: expected.sequence,
          found,
        },
      },
    );

  async function movePositions(client: PoolClient, batch: SinkBatch): Promise<void> {
    const before = new Map(batch.before.map((position) => [positionKey(position), position.sequence]));
    const expected = batch.after.map((position) => before.get(positionKey(position)) ?? null);
    const { rowCount } = await client.query(sql.movePositions, [
      ...writerColumns(batch.after),
      expected,
      batch.after.map(({ sequence }) => sequence),
      batch.after.map(({ digest }) => digest),
    ]);
    const first = batch.after[0];
    if (first !== undefined && rowCount !== batch.after.length)
      throw stale(first, `${rowCount} of ${batch.after.length} writers`);
    if (batch.resume.length === 0) return;
    await client.query(sql.moveResume, [
      batch.resume.map(({ topic }) => topic),
      batch.resume.map(({ partition }) => partition),
      batch.resume.map(({ nextOffset }) => nextOffset),
    ]);
  }

  async function commit(client: PoolClient): Promise<void> {
    let outcome: string;
    try {
      outcome = (await client.query('COMMIT')).command;
    } catch (error) {
      throw new PipelineError(
        'SINK_STALE',
        `postgres ${server}: expected an answer to COMMIT, found a lost connection; whether the batch is stored is unknown until positions are loaded again`,
        { facts: { server }, cause: error },
      );
    }
    if (outcome !== 'COMMIT')
      throw new PipelineError('INVARIANT_BROKEN', `postgres: COMMIT answered ${outcome}`);
  }

  return {
    server,
    prepare: () =>
      withClient('create tables', async (client) => {
        await create(client);
        await stage(client);
        const { rows } = await client.query<{ server_encoding: string }>('SHOW server_encoding');
        const encoding = rows[0]?.server_encoding;
        if (encoding !== 'UTF8')
          log.warn('the database cannot hold every name: its encoding is not UTF8', { server, encoding });
      }),
    load: (topics) =>
      withClient('load positions', async (client) => {
        // One snapshot for both: a batch written in between would show in one and not in the other.
        await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
        const positions = await client.query<PositionRow>(sql.readPositions, [topics]);
        const resume = await client.query<{ topic: string; partition: number; next_offset: string }>(
          sql.readResume,
          [topics],
        );
        await client.query('COMMIT');
        return {
          positions: positions.rows.map((row) => ({ ...row, sequence: Number(row.sequence) })),
          resume: resume.rows.map(({ topic, partition, next_offset }) => ({
            topic,
            partition,
            nextOffset: Number(next_offset),
          })),
        };
      }),
    // The order of a commit, top to bottom. Whatever fails before COMMIT leaves nothing: the connection is dropped.
    write: (batch) =>
      withClient('write a batch', async (client) => {
        await stage(client);
        await client.query('BEGIN');
        await holdPositions(client, batch.before);
        for (const table of tables) {
          const records = batch.records.filter(({ topic }) => topic.name === table.topic.name);
          if (records.length > 0) await copy(client, table, records);
        }
        await movePositions(client, batch);
        await commit(client);
      }),
    close: () => (closing ??= pool.end()),
  };
}

const writerColumns = (positions: readonly WriterPosition[]) => [
  positions.map(({ topic }) => topic),
  positions.map(({ partition }) => partition),
  positions.map(({ writer }) => writer),
];

/** Every domain record has an id. */
function idOf(record: SinkRecord | undefined): string | undefined {
  const value = record?.value;
  return typeof value === 'object' && value !== null && 'id' in value ? String(value.id) : undefined;
}
