import { describe, expect, test } from 'vitest';
import { sampleValue } from '../sample-records.ts';
import { isPassing } from './failures.ts';
import { statementsFor } from './statements.ts';
import { alertsTable, tables, transfersTable } from './tables.ts';

/** Fields whose column has another name, because it is a word of SQL or a record of its own. */
const RENAMED: Readonly<Record<string, string>> = {
  eventTimeMs: 'event_time',
  receivedAtMs: 'received_at',
  priceTimeMs: 'price_time',
  index: 'item_index',
  from: 'from_address',
  to: 'to_address',
  fromLabel: 'from_label_name',
  toLabel: 'to_label_name',
};
const columnOf = (field: string): string =>
  RENAMED[field] ?? field.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

const recordOf = (table: (typeof tables)[number], op = 'assert') => ({
  topic: table.topic,
  partition: 0,
  offset: 4,
  key: 'k',
  value: { ...Object(sampleValue(table.topic, 'id-1', 'name')), op },
  logTimeMs: 1_763_700_000_999,
  writer: 'alert-0',
  sequence: 9,
});

describe('tables', () => {
  test.each(tables.map((table) => [table.name, table] as const))(
    '%s has a column for every field',
    (_name, table) => {
      const columns = table.columns.map(({ name }) => name);
      expect(columns).toEqual(
        expect.arrayContaining(table.topic.schema.fields.map(({ name }) => columnOf(name))),
      );
      expect(new Set(columns).size).toBe(columns.length);
    },
  );

  test.each(tables.map((table) => [table.name, table] as const))(
    '%s has a cell for every column',
    (_name, table) => {
      expect(table.cells(recordOf(table))).toHaveLength(table.columns.length);
    },
  );

  test('a retraction has the log time at which it was taken back', () => {
    const index = alertsTable.columns.findIndex(({ name }) => name === 'retracted_at');
    expect(alertsTable.cells(recordOf(alertsTable))[index]).toBeNull();
    expect(alertsTable.cells(recordOf(alertsTable, 'retract'))[index]).toBe('2025-11-21T04:40:00.999Z');
  });

  test('a record of another topic is a bug', () => {
    expect(() => transfersTable.cells(recordOf(alertsTable))).toThrow(
      'expected a record of enriched.transfers.v1',
    );
  });
});

test('a row is replaced only by a record that is higher in log time, writer and sequence', () => {
  const { upsert } = statementsFor('baleen', tables);
  expect(upsert(alertsTable)).toContain('(held.log_time_ms, held.writer, held.sequence)');
  expect(upsert(alertsTable)).toContain('ORDER BY id, log_time_ms DESC, writer DESC, sequence DESC');
});

test.each([
  ['08006', true],
  ['57P01', true],
  ['53100', true],
  ['40001', true],
  ['40P01', true],
  ['55P03', true],
  ['22P02', false],
  ['23505', false],
  ['42P01', false],
  ['28P01', false],
])('SQLSTATE %s may pass by itself: %s', (sqlState, expected) => expect(isPassing(sqlState)).toBe(expected));
