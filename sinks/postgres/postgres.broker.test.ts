import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '#pipeline/clock.ts';
import type { Sink, SinkBatch, SinkContext, SinkRecord } from '#pipeline/rooms.ts';
import { silentLog } from '#pipeline/telemetry/log.ts';
import { createMetrics } from '#pipeline/telemetry/metrics.ts';
import { sinkExam } from '#pipeline/testing/conformance/sink.ts';
import { alerts, enrichedTransfers } from '#schemas/topics.ts';
import {
  HOSTILE_TEXTS,
  LARGEST_AMOUNT,
  LONG_DECIMAL,
  sampleAlert,
  sampleTransfer,
  sampleValue,
} from '../sample-records.ts';
import postgres from './index.ts';

const url = process.env.DATABASE_URL;
const context = (): SinkContext => ({
  clock: systemClock,
  log: silentLog,
  metrics: createMetrics(),
  read: async function* () {},
});
const stored = (text: string) => text.replaceAll('\u0000', '\uFFFD').toWellFormed();

/** A batch of one writer of one partition of transfers, which follows `first - 1`. */
function batchOf(
  values: readonly ReturnType<typeof sampleTransfer>[],
  first: number,
  writer = 'enrich-0',
): SinkBatch {
  const at = (sequence: number) => [
    {
      topic: enrichedTransfers.name,
      partition: 0,
      writer,
      sequence,
      digest: sequence === 0 ? '' : 'abcdef01',
    },
  ];
  const records: SinkRecord[] = values.map((value, index) => ({
    topic: enrichedTransfers,
    partition: 0,
    offset: first + index,
    key: 'ethereum:native',
    value,
    logTimeMs: 1_763_700_000_000 + first + index,
    writer,
    sequence: first + index,
  }));
  const last = first + values.length - 1;
  return {
    records,
    before: at(first - 1),
    after: at(last),
    resume: [{ topic: enrichedTransfers.name, partition: 0, nextOffset: last + 1 }],
  };
}

describe.skipIf(url === undefined)('postgres (skipped without DATABASE_URL)', () => {
  let admin: pg.Client;
  const schemas: string[] = [];
  const opened: Sink[] = [];

  beforeAll(async () => {
    admin = new pg.Client({ connectionString: url });
    await admin.connect();
  });
  afterAll(async () => {
    for (const sink of opened) await sink.close();
    for (const schema of schemas) await admin.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
    await admin.end();
  });

  const newConfig = () => {
    const schema = `test_${randomUUID().replaceAll('-', '')}`;
    schemas.push(schema);
    return postgres.config.parse({ url, schema });
  };
  const open = async (config: ReturnType<typeof newConfig>) => {
    const sink = postgres.create(config, context());
    opened.push(sink);
    await sink.check(AbortSignal.timeout(10_000));
    return sink;
  };
  const rowsOf = async (config: ReturnType<typeof newConfig>, query: string, values: unknown[] = []) =>
    (await admin.query(query.replaceAll('$schema', config.schema), values)).rows;

  for (const { name, run } of sinkExam({
    definition: postgres,
    config: newConfig,
    context,
    sample: sampleValue,
    hostileTexts: HOSTILE_TEXTS,
  })) {
    test(name, run);
  }

  test('stores hostile names, 78 digits and long decimals exactly, and unknown as null', async () => {
    const config = newConfig();
    const sink = await open(config);
    const values = HOSTILE_TEXTS.map((text, index) =>
      sampleTransfer(`id-${index}-${text}`, {
        symbol: text,
        causes: [text],
        fromLabel: { name: text, kind: text, entity: null, confidence: 1e-7, labelId: text },
      }),
    );
    await sink.write(batchOf(values, 1));
    const rows = await rowsOf(config, 'SELECT * FROM $schema.transfers ORDER BY sequence');
    expect(rows).toHaveLength(HOSTILE_TEXTS.length);
    for (const [index, text] of HOSTILE_TEXTS.entries()) {
      expect(rows[index]).toMatchObject({
        id: stored(`id-${index}-${text}`),
        symbol: stored(text),
        causes: [stored(text)],
        from_label_name: stored(text),
        from_label_entity: null,
        from_label_confidence: 1e-7,
        to_label_name: null,
        to_address: null,
        usd: null,
        amount_raw: LARGEST_AMOUNT.toString(),
        units: LONG_DECIMAL,
        price_usd: '3000.10',
        event_time: new Date(values[index]?.eventTimeMs ?? 0),
        retracted_at: null,
      });
    }
  });

  test('reads back any text as it was written', async () => {
    const config = newConfig();
    const sink = await open(config);
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.constantFrom(...'\\\t\n\r\0nrt.N"{') }),
    );
    let first = 1;
    await fc.assert(
      fc.asyncProperty(fc.array(text, { minLength: 20, maxLength: 60 }), async (texts) => {
        const from = first;
        const values = texts.map((symbol, index) =>
          sampleTransfer(`id-${from + index}`, { symbol, causes: [symbol] }),
        );
        await sink.write(batchOf(values, from));
        first += texts.length;
        const rows = await rowsOf(
          config,
          'SELECT symbol, causes->>0 AS cause FROM $schema.transfers WHERE sequence >= $1 ORDER BY sequence',
          [from],
        );
        expect(rows).toEqual(texts.map((symbol) => ({ symbol: stored(symbol), cause: stored(symbol) })));
      }),
      { numRuns: 20 },
    );
  });

  test('refuses a second process on the same positions, which then loads and goes on', async () => {
    const config = newConfig();
    const [first, second] = [await open(config), await open(config)];
    const batch = batchOf([sampleTransfer('a'), sampleTransfer('b')], 1);
    const outcomes = await Promise.allSettled([first.write(batch), second.write(batch)]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(outcomes.find((outcome) => outcome.status === 'rejected')).toMatchObject({
      reason: { code: 'SINK_STALE' },
    });
    expect((await second.load())?.positions).toEqual(batch.after);
    await second.write(batchOf([sampleTransfer('c')], 3));
    await expect(first.write(batchOf([sampleTransfer('z')], 3))).rejects.toMatchObject({
      code: 'SINK_STALE',
    });
    expect(await rowsOf(config, 'SELECT id FROM $schema.transfers ORDER BY id')).toEqual([
      { id: 'a' },
      { id: 'b' },
      { id: 'c' },
    ]);
  });

  test('keeps the highest record of an id, within a batch and across batches of several writers', async () => {
    const config = newConfig();
    const sink = await open(config);
    const retracted = sampleTransfer('twice', { op: 'retract', status: 'final' });
    await sink.write(batchOf([sampleTransfer('twice'), retracted], 1));
    await sink.write(batchOf([sampleTransfer('twice')], 1, 'enrich-1'));
    const [row] = await rowsOf(
      config,
      'SELECT op, status, writer, sequence, retracted_at FROM $schema.transfers',
    );
    expect(row).toMatchObject({ op: 'retract', status: 'final', writer: 'enrich-0', sequence: '2' });
    expect(row.retracted_at).toEqual(new Date(1_763_700_000_002));
    await sink.write(batchOf([sampleTransfer('twice')], 3));
    expect(await rowsOf(config, 'SELECT op, retracted_at FROM $schema.transfers')).toEqual([
      { op: 'assert', retracted_at: null },
    ]);
  });

  test('stores the retraction of an unknown id', async () => {
    const config = newConfig();
    const sink = await open(config);
    await sink.write(batchOf([sampleTransfer('never seen', { op: 'retract' })], 1));
    expect(await rowsOf(config, 'SELECT id, op FROM $schema.transfers')).toEqual([
      { id: 'never seen', op: 'retract' },
    ]);
  });

  test('never moves a resume offset back', async () => {
    const config = newConfig();
    const sink = await open(config);
    await sink.write(batchOf([sampleTransfer('a')], 1));
    const later = batchOf([sampleTransfer('b')], 2);
    await sink.write({ ...later, resume: [{ topic: enrichedTransfers.name, partition: 0, nextOffset: 1 }] });
    expect((await sink.load())?.resume).toEqual([
      { topic: enrichedTransfers.name, partition: 0, nextOffset: 2 },
    ]);
  });

  test('writes ten thousand rows in one batch', async () => {
    const config = newConfig();
    const sink = await open(config);
    await sink.write(
      batchOf(
        Array.from({ length: 10_000 }, (_, index) => sampleTransfer(`id-${index}`)),
        1,
      ),
    );
    expect(
      await rowsOf(config, 'SELECT count(*)::int, count(DISTINCT id)::int AS ids FROM $schema.transfers'),
    ).toEqual([{ count: 10_000, ids: 10_000 }]);
  });

  test('names table, column and record of a value that cannot be stored, and keeps nothing of its batch', async () => {
    const config = newConfig();
    const sink = await open(config);
    const many = Array.from({ length: 5_000 }, (_, index) => sampleTransfer(`id-${index}`));
    const wrong = batchOf(
      [...many.slice(0, 9), sampleTransfer('wrong', { usd: 'lots' }), ...many.slice(9)],
      1,
    );
    const error = await sink.write(wrong).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'SINK_REFUSED',
      facts: { column: 'usd', id: 'wrong', sqlState: '22P02' },
    });
    expect(String(error)).toMatch(/copy into transfers .* column usd record "wrong"/);
    expect(await rowsOf(config, 'SELECT 1 FROM $schema.transfers')).toEqual([]);
    expect(await sink.load()).toEqual({ positions: [], resume: [] });
    await sink.write(batchOf(many, 1));
  });

  test('an answer to COMMIT that never comes is stale, and loading shows what is stored', async () => {
    const config = newConfig();
    const sink = await open(config);
    // A trigger that runs at COMMIT ends the connection there.
    await admin.query(`CREATE FUNCTION ${config.schema}.cut() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$`);
    await admin.query(`CREATE CONSTRAINT TRIGGER cut AFTER INSERT ON ${config.schema}.transfers
      DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ${config.schema}.cut()`);
    const batch = batchOf([sampleTransfer('a')], 1);
    await expect(sink.write(batch)).rejects.toMatchObject({ code: 'SINK_STALE' });
    expect(await sink.load()).toEqual({ positions: [], resume: [] });
    await admin.query(`DROP TRIGGER cut ON ${config.schema}.transfers`);
    await sink.write(batch);
    expect((await sink.load())?.positions).toEqual(batch.after);
  });

  test('a connection that is cut before COMMIT is unavailable, and the same batch succeeds afterwards', async () => {
    const config = newConfig();
    const sink = await open(config);
    await admin.query(`CREATE FUNCTION ${config.schema}.cut() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$`);
    await admin.query(`CREATE TRIGGER cut AFTER INSERT ON ${config.schema}.transfers
      FOR EACH STATEMENT EXECUTE FUNCTION ${config.schema}.cut()`);
    const batch = batchOf([sampleTransfer('a')], 1);
    await expect(sink.write(batch)).rejects.toMatchObject({ code: 'SINK_UNAVAILABLE' });
    await admin.query(`DROP TRIGGER cut ON ${config.schema}.transfers`);
    await sink.write(batch);
  });

  test('an alert takes its place beside its transfers', async () => {
    const config = newConfig();
    const sink = await open(config);
    const [template] = batchOf([sampleTransfer('t')], 1).records;
    const at = (sequence: number) => [
      { topic: alerts.name, partition: 2, writer: 'alert-2', sequence, digest: '' },
    ];
    await sink.write({
      records: [{ ...template!, topic: alerts, partition: 2, writer: 'alert-2', value: sampleAlert('r:t') }],
      before: at(0),
      after: at(1),
      resume: [],
    });
    expect(
      await rowsOf(config, 'SELECT rule_id, severity, confidence, usd, evidence FROM $schema.alerts'),
    ).toEqual([
      {
        rule_id: 'eth-over-100',
        severity: 60,
        confidence: null,
        usd: '450015000.000000000000000001',
        evidence: sampleAlert('').evidence,
      },
    ]);
  });

  test('two processes may create the tables at the same time', async () => {
    const config = newConfig();
    await expect(Promise.all([open(config), open(config), open(config)])).resolves.toHaveLength(3);
  });

  test('refuses tables of another version', async () => {
    const config = newConfig();
    await open(config);
    await admin.query(`UPDATE ${config.schema}.version SET version = 99`);
    await expect(open(config)).rejects.toMatchObject({ code: 'SINK_REFUSED', facts: { found: 99 } });
  });

  test('a wrong password is refused and a closed port is unavailable, and neither shows the URL', async () => {
    const secret = 'hunter2secret';
    const target = new URL(url ?? '');
    target.password = secret;
    const wrong = postgres.create({ ...newConfig(), url: target.href }, context());
    const closed = postgres.create(
      postgres.config.parse({ url: `postgres://u:${secret}@127.0.0.1:9/x` }),
      context(),
    );
    opened.push(wrong, closed);
    const refused = await wrong.check(AbortSignal.timeout(10_000)).catch((error: unknown) => error);
    // A server that trusts its own machine accepts any password.
    if (refused !== undefined)
      expect(refused).toMatchObject({ code: 'SINK_REFUSED', facts: { sqlState: '28P01' } });
    const unavailable = await closed.check(AbortSignal.timeout(10_000)).catch((error: unknown) => error);
    expect(unavailable).toMatchObject({ code: 'SINK_UNAVAILABLE' });
    for (const error of [refused, unavailable]) expect(String(error)).not.toContain(secret);
  });
});
