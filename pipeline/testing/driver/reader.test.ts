import { expect, test } from 'vitest';
import { broadcast, defineProcessor, keyed, type OnError, type ProcessContext } from '#pipeline/processor.ts';
import { keyValue } from '#pipeline/state/key-value.ts';
import { type VersionedStore, versioned } from '#pipeline/state/versioned.ts';
import { createDriver } from '../driver.ts';
import type { Driver } from './contract.ts';
import { aNote, copying, texts, topic } from './fixture.ts';

const raw = topic('raw.a', 'raw', 2);
const facts = topic('facts', 'fact', 1);
const left = topic('left', 'derived', 2);

/** Keys of partition 0 and 1 of two. */
const [ZERO, ONE] = ['a', 'd'];

const refuseBad = (text: string): string => {
  if (text === 'bad') throw new Error('a bad one');
  return text;
};

const note = (driver: Driver, text: string, at: { atMs?: number; key?: string; eventTimeMs?: number } = {}) =>
  driver.write(raw, {
    key: at.key ?? ZERO,
    value: aNote(text, at.eventTimeMs),
    ...(at.atMs !== undefined && { atMs: at.atMs }),
  });

const kept = {
  last: keyValue<string>({ retentionMs: 100 }),
  versions: versioned<string>({ retentionMs: 1_000 }),
  facts: keyValue<string>(),
};
const remember = defineProcessor({
  name: 'remember',
  summary: 'keeps the last text, its versions, and facts',
  stores: kept,
  inputs: [
    keyed(raw, ({ key, value, eventTimeMs }, { stores }: ProcessContext<typeof kept>) => {
      if (value === null) stores.last.delete(key);
      else stores.last.put(key, value.text);
      stores.versions.put(key, eventTimeMs, value?.text ?? null);
    }),
    broadcast(facts, ({ key, value }, { stores }: ProcessContext<typeof kept>) => {
      if (value === null) stores.facts.delete(key);
      else stores.facts.put(key, value.text);
    }),
  ],
  outputs: [],
});

test.each([true, false])('stores, as a restart would read them (strict: %s)', (strict) => {
  const driver = createDriver({ processors: [remember], strict });
  note(driver, 'one', { atMs: 10, eventTimeMs: 10 });
  note(driver, 'two', { atMs: 20, eventTimeMs: 20 });
  note(driver, 'of the other partition', { atMs: 20, key: ONE });
  driver.write(facts, { key: 'f', value: aNote('fact'), atMs: 20 });
  driver.write(facts, { key: 'g', value: aNote('gone'), atMs: 20 });
  driver.checkpoint();
  driver.write(facts, { key: 'g', value: null, atMs: 21 });
  driver.advanceTo(22);
  expect(driver.store('remember.last', ZERO)).toBe('two');
  expect(driver.store('remember.last', ONE)).toBe('of the other partition');
  expect(driver.store('remember.last', 'nobody')).toBeUndefined();
  expect(driver.entries('remember.facts')).toEqual([
    { partition: 0, key: 'f', text: '"fact"' },
    { partition: 1, key: 'f', text: '"fact"' },
  ]);
  const versions = driver.handle<VersionedStore<string>>('remember.versions', 0);
  expect(versions.asOf(ZERO, 19)).toMatchObject({ timeMs: 10, value: 'one' });
  expect(() => driver.store('remember.versions', ZERO)).toThrow('use handle or entries');
  expect(() => driver.store('remember.lats', ZERO)).toThrow('did you mean remember.last');
  driver.advanceTo(121);
  expect(driver.store('remember.last', ZERO)).toBeUndefined();
  driver.crash('all', { keepsDisk: false });
  expect(driver.entries('remember.facts')).toHaveLength(2);
});

test('dead letters, with the place that write returned', () => {
  const processor = copying('copy', [raw], left, { textOf: refuseBad });
  const driver = createDriver({ processors: [processor] });
  const place = note(driver, 'bad', { atMs: 1 });
  driver.write(raw, { key: ZERO, bytes: Buffer.from('no Avro') });
  note(driver, 'good');
  driver.advanceTo(2);
  expect(driver.deadLetters()).toMatchObject([
    { place, component: 'copy', code: 'LOGIC_FAILED', reason: 'a bad one' },
    { code: 'VALUE_UNREADABLE', body: Buffer.from('no Avro') },
  ]);
  expect(texts(driver, left)).toEqual(['good']);
  expect(driver.count('dead_letters_total')).toBe(2);
  expect(driver.count('dead_letters_total', { code: 'LOGIC_FAILED' })).toBe(1);
});

const strictly = (logic: OnError) => ({
  ...copying('copy', [raw], left, { textOf: refuseBad }),
  onError: { decode: logic, logic, output: logic },
});

test('tasks that stand before a record', () => {
  const driver = createDriver({ processors: [strictly('stop')] });
  const place = note(driver, 'bad', { atMs: 1 });
  note(driver, 'good', { key: ONE });
  driver.advanceTo(2);
  expect(driver.halted()).toEqual([{ task: 'copy-0', reason: `${place}: a bad one` }]);
  expect(texts(driver, left)).toEqual(['good']);
});

test('what would end a process is thrown', () => {
  const driver = createDriver({ processors: [strictly('fail')] });
  note(driver, 'bad', { atMs: 1 });
  expect(() => driver.advanceTo(2)).toThrow('raw.a/0/0: a bad one');
});
