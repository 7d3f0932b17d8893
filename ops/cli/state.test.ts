import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { writeAdminAddress } from '#ops/admin/address.ts';
import { startAdmin } from '#ops/admin/server.ts';
import { findStore } from '#pipeline/runtime/state-view.ts';
import { openLevelBackend } from '#pipeline/state/level.ts';
import { META_KEY, storePrefix } from '#pipeline/state/task-state.ts';
import { silentLog } from '#pipeline/telemetry/log.ts';
import { createMetrics } from '#pipeline/telemetry/metrics.ts';
import { graph } from '#topology/graph.ts';
import { stateDirectory } from '#topology/state-directory.ts';
import type { Io } from './io.ts';
import { stateGet, stateList } from './state.ts';

let dataDir = '';
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'baleen-state-'));
});
afterEach(() => rm(dataDir, { recursive: true }));

function screen() {
  const out: string[] = [];
  const errors: string[] = [];
  const io: Io = {
    out: (line) => out.push(line) > 0,
    drained: async () => {},
    error: (line) => {
      errors.push(line);
    },
    environment: {},
    columns: null,
  };
  return { io, out, errors };
}

const meta = JSON.stringify({ step: 1_234, logTimeMs: 1_700_000_000_000, streamTimes: {} });

/** Every task of a sub-topology gets the same labels. */
async function write(tasks: readonly string[], labels: Readonly<Record<string, unknown>>): Promise<void> {
  for (const task of tasks) {
    const backend = await openLevelBackend(join(stateDirectory(dataDir), task));
    const entries = Object.entries(labels).map(([key, value]) => ({
      key: storePrefix('enrich', 'labels') + key,
      value: JSON.stringify(value),
    }));
    await backend.write([...entries, { key: META_KEY, value: meta }]);
    await backend.close();
  }
}

const get = (key: string, json = false) => ({ store: 'enrich.labels', key, dataDir, json });
const list = (limit: number, from: string | null = null, json = false) => ({
  store: 'enrich.labels',
  from,
  limit,
  dataDir,
  json,
});

describe('the state that a stopped pipeline left', () => {
  test('is read by key, with the checkpoint it is of', async () => {
    await write(['detect-0', 'detect-3'], { 'a:1': { name: 'Harbour \u202e1' } });
    const { io, out } = screen();
    expect(await stateGet(get('a:1'), io)).toBe(0);
    expect(out).toEqual([
      '{\n  "name": "Harbour \\u202e1"\n}',
      '  in detect-0, as of step 1,234, log time 2023-11-14T22:13:20.000Z',
      '  in detect-3, as of step 1,234, log time 2023-11-14T22:13:20.000Z',
    ]);
  });

  test('is left as it was: nothing is written, locked or left over', async () => {
    await write(['detect-0'], { a: 1 });
    const folder = join(stateDirectory(dataDir), 'detect-0');
    const before = await readdir(folder);
    const holder = await openLevelBackend(folder);
    const { io } = screen();
    expect(await stateGet(get('a'), io)).toBe(0);
    await holder.close();
    expect(await readdir(join(dataDir, 'run'))).toEqual([]);
    expect(before.length).toBeGreaterThan(0);
  });

  test('says what to look at when there is nothing under a key', async () => {
    await write(['detect-0'], { a: 1 });
    const { io, out, errors } = screen();
    expect(await stateGet(get('b'), io)).toBe(1);
    expect(out).toEqual([]);
    expect(errors[0]).toContain('"baleen state list enrich.labels --limit 5"');
    expect(await stateGet(get('b', true), io)).toBe(1);
    expect(JSON.parse(out.join('\n'))).toMatchObject({ store: 'enrich.labels', key: 'b', found: [] });
  });

  test('is listed in pages', async () => {
    await write(['detect-0', 'detect-1', 'detect-2'], { a: 1, "b'": 2, c: 3 });
    const { io, out, errors } = screen();
    expect(await stateList(list(1, 'a'), io)).toBe(0);
    expect(out).toEqual(['a  1  (detect-0 and 2 more)']);
    expect(errors).toEqual(["more: --from 'b'\\'''"]);
    await stateList(list(9, "b'", true), io);
    expect(JSON.parse(out[1] ?? '')).toMatchObject({ entries: [{ key: "b'" }, { key: 'c' }], next: null });
    await stateList(list(9, 'd'), io);
    expect(errors[1]).toBe('enrich.labels holds nothing from there on');
  });

  test('is not there before the first start: the next step is named', async () => {
    const { io } = screen();
    await expect(stateGet(get('a'), io)).rejects.toThrow('start it with "baleen up"');
    await expect(stateGet({ ...get('a'), store: 'enrich.lables' }, io)).rejects.toThrow(
      'did you mean enrich.labels',
    );
  });
});

test('the state of a running pipeline is asked of its admin server', async () => {
  const found = [{ task: 'detect-0', checkpoint: null, value: 'live' }];
  const server = await startAdmin({
    host: '127.0.0.1',
    port: 0,
    metrics: createMetrics(),
    log: silentLog,
    status: () => {
      throw new Error('not asked');
    },
    state: () => ({
      find: (name) => findStore(graph, name),
      lookUp: async () => found,
      list: async () => ({ entries: [], checkpoints: {}, next: null }),
    }),
  });
  await writeAdminAddress(dataDir, { url: server.url, pid: process.pid });
  const { io, out, errors } = screen();
  expect(await stateGet(get('a'), io)).toBe(0);
  expect(out).toEqual(['"live"', '  in detect-0, before its first checkpoint']);
  expect(await stateList(list(3), io)).toBe(0);
  expect(errors).toEqual(['enrich.labels holds nothing']);
  await server.close();
  await expect(stateGet(get('a'), io)).rejects.toThrow('is "baleen up" being stopped?');
});
