/**
 * Rows in PostgreSQL 14 or later, with the positions of their writers in the same transaction: each record counts
 * once, whatever crashes, and a second process on the same positions is refused (SINK_STALE) before it changes anything.
 *
 * A retraction marks its row (`op`, `retracted_at`); one of an unknown id is stored as such, so that an assertion
 * that comes later in another writer's order does not bring it back. Rights: CREATE on the database once, or on none
 * when the schema is there; then SELECT, INSERT, UPDATE in the schema and TEMPORARY on the database.
 *
 * U+0000 in names is stored as U+FFFD; everything else is stored as it is.
 */
import { z } from 'zod';
import { defineSink } from '#pipeline/rooms.ts';
import { alerts, enrichedTransfers, scoresEvents } from '#schemas/topics.ts';
import { openDatabase } from './client.ts';

const inputs = [enrichedTransfers, scoresEvents, alerts];

const config = z.strictObject({
  url: z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'expected postgres://user:password@host:port/database')
    .meta({ description: 'where the database is, with its password', secret: true }),
  schema: z
    .string()
    .regex(/^[a-z_][a-z0-9_]{0,62}$/, 'expected lower-case letters, digits and _, at most 63')
    .default('baleen')
    .meta({ description: 'schema that holds the tables; created when missing' }),
  poolSize: z.int().min(1).max(32).default(2).meta({ description: 'most connections at once' }),
});

export default defineSink({
  name: 'postgres',
  summary: 'Rows of transfers, scores and alerts in PostgreSQL, exactly once.',
  config,
  inputs,
  create: (settings, context) => {
    const database = openDatabase({ ...settings, log: context.log.for('postgres') });
    let rows = 0;
    return {
      check: async (signal) => {
        signal.throwIfAborted();
        await database.prepare();
      },
      load: () => database.load(inputs.map(({ name }) => name)),
      write: async (batch) => {
        await database.write(batch);
        rows += batch.records.length;
      },
      close: () => database.close(),
      status: () => ({ detail: `${rows} records into schema ${settings.schema}`, url: database.server }),
    };
  },
});
