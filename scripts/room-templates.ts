/** What a new room begins with: the smallest thing that compiles, passes its test and says what is left to write. */

export type RoomKind = 'connector' | 'processor' | 'sink';

export interface NewRoom {
  /** Relative to the root. */
  readonly folder: string;
  /** File name -> text. */
  readonly files: Readonly<Record<string, string>>;
  /** The registry, and the two lines to add to it. */
  readonly registry: string;
  readonly importLine: string;
  readonly entry: string;
}

const FOLDERS: Readonly<Record<RoomKind, string>> = {
  connector: 'connectors',
  processor: 'topology/processors',
  sink: 'sinks',
};

export const isRoomKind = (text: string): text is RoomKind => Object.hasOwn(FOLDERS, text);

/** Lower case, words joined by `-`: it becomes a folder, a label of metrics and part of configuration. */
export const isRoomName = (text: string): boolean =>
  /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(text) && text.length <= 40;

const camelCase = (name: string): string =>
  name.replaceAll(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

/** The folder of a room that does not exist yet. `name` is valid (`isRoomName`). */
export function newRoom(kind: RoomKind, name: string): NewRoom {
  const folder = `${FOLDERS[kind]}/${name}`;
  return {
    folder,
    files: TEMPLATES[kind](name),
    registry: `${FOLDERS[kind]}/registry.ts`,
    importLine: `import ${camelCase(name)} from './${name}/index.ts';`,
    entry: camelCase(name),
  };
}

const TEMPLATES: Readonly<Record<RoomKind, (name: string) => Readonly<Record<string, string>>>> = {
  connector: (name) => ({
    'index.ts': `/** ${name}: what it brings in, which API document it follows, how it fails. */
import { z } from 'zod';
import { defineConnector } from '#pipeline/rooms.ts';
import { factsRules } from '#schemas/topics.ts';

const config = z.strictObject({});

export default defineConnector({
  name: '${name}',
  summary: 'Says in one sentence what it brings in.',
  config,
  // Replace: the topics that it writes.
  outputs: [factsRules],
  isFinite: false,
  create(_config, _context) {
    return {
      check: async () => {},
      run: (signal) =>
        new Promise((resolve) => {
          if (signal.aborted) resolve();
          else signal.addEventListener('abort', () => resolve(), { once: true });
        }),
      status: () => ({ isIdle: true, detail: 'nothing received' }),
    };
  },
});
`,
    'index.test.ts': `import { expect, test } from 'vitest';
import { memoryConnectorContext } from '#pipeline/testing/connector-context.ts';
import definition from './index.ts';

test('runs until it is told to stop', async () => {
  const { context } = memoryConnectorContext();
  const connector = definition.create(definition.config.parse({}), context);
  const stopping = new AbortController();
  await connector.check(stopping.signal);
  const running = connector.run(stopping.signal);
  stopping.abort();
  await running;
  expect(connector.status().isIdle).toBe(true);
});
`,
  }),
  processor: (name) => ({
    'index.ts': `/** ${name}: what it makes of what; where its formulas come from. */
import { defineProcessor, keyed } from '#pipeline/processor.ts';
import { scoresEvents } from '#schemas/topics.ts';
import { stores, take } from './logic.ts';

export default defineProcessor({
  name: '${name}',
  summary: 'Says in one sentence what it does',
  stores,
  // Replace: the topics that it reads and writes.
  inputs: [keyed(scoresEvents, take)],
  outputs: [],
});
`,
    'logic.ts': `import type { InputRecord, ProcessContext } from '#pipeline/processor.ts';
import { keyValue } from '#pipeline/state/key-value.ts';
import { type Json } from '#pipeline/state/store.ts';
import type { Score } from '#schemas/score.ts';

export const stores = { counts: keyValue<Json>() };

/** Counts records by key: the smallest fold. No clock, no chance, no I/O. */
export function take(
  { key, value }: InputRecord<Score>,
  { stores: { counts } }: ProcessContext<typeof stores>,
): void {
  if (value === null) return;
  counts.put(key, Number(counts.get(key) ?? 0) + 1);
}
`,
    'logic.test.ts': `import { expect, test } from 'vitest';
import { createProcessDriver } from '#pipeline/testing/process.ts';
import { scoresEvents } from '#schemas/topics.ts';
import definition from './index.ts';

test('leaves a tombstone alone', () => {
  const driver = createProcessDriver(definition);
  driver.feed(scoresEvents, { key: 'ethereum:native', value: null });
  expect(driver.emitted).toEqual([]);
  expect(driver.state()).toEqual({ counts: [] });
});
`,
  }),
  sink: (name) => ({
    'index.ts': `/** ${name}: where records go, in which form, and what makes a batch durable there. */
import { z } from 'zod';
import { defineSink } from '#pipeline/rooms.ts';
import { alerts } from '#schemas/topics.ts';

const config = z.strictObject({});

export default defineSink({
  name: '${name}',
  summary: 'Says in one sentence where records go.',
  config,
  inputs: [alerts],
  create(_config, _context) {
    let count = 0;
    return {
      check: async () => {},
      // Null: keeps nothing and starts at the end. A durable sink gives back the positions of its last batch.
      load: async () => null,
      // Makes the batch durable together with its positions, or changes nothing.
      write: async ({ records }) => {
        count += records.length;
      },
      close: async () => {},
      status: () => ({ detail: \`\${count} records\` }),
    };
  },
});
`,
    'index.test.ts': `import { expect, test } from 'vitest';
import { systemClock } from '#pipeline/clock.ts';
import { silentLog } from '#pipeline/telemetry/log.ts';
import { createMetrics } from '#pipeline/telemetry/metrics.ts';
import definition from './index.ts';

test('takes an empty batch', async () => {
  const context = {
    clock: systemClock,
    log: silentLog,
    metrics: createMetrics(),
    read: async function* () {},
  };
  const sink = definition.create(definition.config.parse({}), context);
  await sink.write({ records: [], before: [], after: [], resume: [] });
  expect(sink.status().detail).toBe('0 records');
  await sink.close();
});
`,
  }),
};
