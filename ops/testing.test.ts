/** The examples of `testing.md`: what stands there in code stands here, and runs. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import {
  broadcast,
  defineProcessor,
  type InputRecord,
  keyed,
  type ProcessContext,
} from '#pipeline/processor.ts';
import { keyValue } from '#pipeline/state/key-value.ts';
import { logTimer } from '#pipeline/state/timer.ts';
import { createDriver } from '#pipeline/testing/driver.ts';
import { NAMESPACE, timestampMs, type ValueOf } from '#schemas/avro.ts';
import type { Layer, Topic } from '#schemas/topics.ts';

const reading = {
  type: 'record',
  name: 'Reading',
  namespace: NAMESPACE,
  fields: [
    { name: 'id', type: 'string' },
    { name: 'op', type: { type: 'enum', name: 'Op', symbols: ['assert', 'retract'] } },
    { name: 'eventTimeMs', type: timestampMs },
    { name: 'celsius', type: 'double' },
  ],
} as const;
const limit = {
  type: 'record',
  name: 'Limit',
  namespace: NAMESPACE,
  fields: [{ name: 'celsius', type: 'double' }],
} as const;
const warning = {
  type: 'record',
  name: 'Warning',
  namespace: NAMESPACE,
  fields: [{ name: 'text', type: 'string' }],
} as const;
type Reading = ValueOf<typeof reading>;
type Limit = ValueOf<typeof limit>;

const define = <const S extends Topic['schema']>(layer: Layer, name: string, schema: S, partitions: number) =>
  ({ name, layer, key: 'room', schema, partitions }) satisfies Topic<S>;
const readings = define('raw', 'raw.readings.v1', reading, 2);
const limits = define('fact', 'facts.limits.v1', limit, 1);
const warnings = define('derived', 'warnings.v1', warning, 2);

const aReading = (celsius: number, more: Partial<Reading> = {}): Reading => ({
  id: 'r1',
  op: 'assert',
  eventTimeMs: 0,
  celsius,
  ...more,
});

const stores = { limits: keyValue<number>(), over: keyValue<boolean>(), silence: logTimer() };
type Context = ProcessContext<typeof stores>;

function learn({ key, value }: InputRecord<Limit>, { stores }: Context): void {
  if (value === null) stores.limits.delete(key);
  else stores.limits.put(key, value.celsius);
}

function watch({ key, value, logTimeMs }: InputRecord<Reading>, { stores, emit }: Context): void {
  if (value === null) throw new Error('a reading has a value');
  const over = stores.over.get(`${key}/${value.id}`);
  if (value.op === 'retract') {
    if (over === true) emit(warnings, key, { text: `${key}: taken back` });
    return;
  }
  stores.silence.set(key, logTimeMs + 60_000);
  if (value.celsius <= (stores.limits.get(key) ?? Number.POSITIVE_INFINITY)) return;
  stores.over.put(`${key}/${value.id}`, true);
  emit(warnings, key, { text: `${key}: ${value.celsius}` });
}

const warn = defineProcessor({
  name: 'warn',
  summary: 'Warns of rooms that are too hot, and of sensors that fell silent',
  stores,
  inputs: [keyed(readings, watch), broadcast(limits, learn)],
  onTimer: {
    silence: ({ key }, { emit }) => emit(warnings, key, { text: `${key}: silent` }),
  },
  outputs: [warnings],
});

test('a reading over the limit of its room warns', () => {
  const driver = createDriver({ processors: [warn] });
  driver.write(limits, { key: 'attic', value: { celsius: 30 }, atMs: 1_000 });
  driver.write(readings, { key: 'attic', value: aReading(30), atMs: 2_000 });
  driver.write(readings, { key: 'attic', value: aReading(31), atMs: 2_000 });
  driver.write(readings, { key: 'cellar', value: aReading(99), atMs: 2_000 });
  driver.advanceTo(3_000);
  expect(driver.values(warnings)).toEqual([{ text: 'attic: 31' }]);
});

test('a limit that is withdrawn warns of nothing', () => {
  const driver = createDriver({ processors: [warn] });
  driver.write(limits, { key: 'attic', value: { celsius: 30 } });
  driver.write(limits, { key: 'attic', value: null, atMs: 5 });
  driver.write(readings, { key: 'attic', value: aReading(31), atMs: 6 });
  driver.advanceTo(7);
  expect(driver.values(warnings)).toEqual([]);
  expect(driver.entries('warn.limits')).toEqual([]);
});

test('a sensor that falls silent is told once', () => {
  const driver = createDriver({ processors: [warn] });
  driver.write(readings, { key: 'attic', value: aReading(20), atMs: 1_000 });
  driver.advanceTo(60_999);
  expect(driver.timers()).toMatchObject([{ store: 'silence', key: 'attic', atMs: 61_000 }]);
  driver.advanceTo(200_000);
  expect(driver.read(warnings)).toMatchObject([{ value: { text: 'attic: silent' }, logTimeMs: 61_000 }]);
});

test('a reading that is taken back takes its warning back', () => {
  const driver = createDriver({ processors: [warn] });
  const hot = aReading(31, { id: 'r7' });
  driver.write(limits, { key: 'attic', value: { celsius: 30 } });
  driver.write(readings, { key: 'attic', value: hot, atMs: 1 });
  driver.write(readings, { key: 'attic', value: { ...hot, op: 'retract' }, atMs: 2 });
  driver.advanceBy(1);
  expect(driver.values(warnings)).toEqual([{ text: 'attic: 31' }, { text: 'attic: taken back' }]);
});

test('a crash changes nothing', () => {
  const run = (crash: boolean) => {
    const driver = createDriver({ processors: [warn] });
    driver.write(limits, { key: 'attic', value: { celsius: 30 } });
    driver.write(readings, { key: 'attic', value: aReading(31), atMs: 1 });
    driver.advanceTo(2);
    if (crash) driver.crash('all', { after: 'changelog', keepsDisk: false });
    driver.write(readings, { key: 'attic', value: aReading(32), atMs: 3 });
    driver.advanceTo(100_000);
    return driver.streams();
  };
  expect(run(true)).toEqual(run(false));
});

test('who waits for whom is shown', () => {
  const driver = createDriver({ processors: [warn] });
  driver.write(readings, { key: 'attic', value: aReading(20), atMs: 5 });
  expect(driver.waits()).toEqual([{ task: 'warn-1', logTimeMs: 5, on: 'plan.v1/0/' }]);
  driver.advanceTo(6);
  expect(driver.waits()).toEqual([]);
});

test('the page shows only what runs here', () => {
  const here = import.meta.filename;
  const plain = (text: string): string =>
    text
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '')
      .join('\n');
  const page = readFileSync(here.replace(/\.test\.ts$/, '.md'), 'utf8');
  const blocks = [...page.matchAll(/```ts\n(.*?)```/gs)].map((match) => match[1] ?? '');
  expect(blocks.length).toBeGreaterThan(4);
  const source = plain(readFileSync(here, 'utf8'));
  for (const block of blocks) expect(source).toContain(plain(block));
});
