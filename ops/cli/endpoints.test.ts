import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readEndpoints, removeEndpoints, writeEndpoints } from './endpoints.ts';
import { locateServices } from './locate.ts';

describe('endpoints', () => {
  let dataDir = '';
  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'baleen-endpoints-'));
  });
  afterEach(() => rm(dataDir, { recursive: true }));

  const endpoints = {
    kafkaBrokers: '127.0.0.1:9092',
    registryUrl: 'http://127.0.0.1:8081',
    databaseUrl: 'postgres://u:p@127.0.0.1/db',
    websocketUrl: null,
    pid: process.pid,
  };
  const path = () => join(dataDir, 'endpoints.json');
  const sources = { file: null, environment: {} };

  test('are found while their process runs, and readable for their owner only', async () => {
    await writeEndpoints(dataDir, endpoints);
    expect(await readEndpoints(dataDir)).toEqual(endpoints);
    expect((await stat(path())).mode & 0o777).toBe(0o600);
    expect(await locateServices({ dataDir, sources })).toEqual({
      kafkaBrokers: ['127.0.0.1:9092'],
      registryUrl: 'http://127.0.0.1:8081',
    });
    await removeEndpoints(dataDir);
    expect(await readEndpoints(dataDir)).toBeNull();
  });

  test('of a crashed process count as none, also when its pid was given out again', async () => {
    await writeEndpoints(dataDir, endpoints);
    const content = JSON.parse(await readFile(path(), 'utf8'));
    await writeFile(path(), JSON.stringify({ ...content, startTime: 'another' }));
    expect(await readEndpoints(dataDir)).toBeNull();
    await writeFile(path(), '{"kafkaBrokers":');
    expect(await readEndpoints(dataDir)).toBeNull();
  });

  test('configured services win over running ones; without any the next step is named', async () => {
    await writeEndpoints(dataDir, endpoints);
    const environment = { KAFKA_BROKERS: 'a:1,b:2' };
    expect(await locateServices({ dataDir, sources: { file: null, environment } })).toEqual({
      kafkaBrokers: ['a:1', 'b:2'],
      registryUrl: 'http://127.0.0.1:8081',
    });
    await removeEndpoints(dataDir);
    await expect(locateServices({ dataDir, sources })).rejects.toThrow('start it with "baleen up"');
    await expect(locateServices({ dataDir, sources: { file: null, environment } })).rejects.toThrow(
      'REGISTRY_URL',
    );
  });
});
