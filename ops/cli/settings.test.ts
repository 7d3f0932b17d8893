import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectors } from '#connectors/registry.ts';
import { sinks } from '#sinks/registry.ts';
import { buildSettings, LIVE_SETTINGS, type Provided, STAND_INS } from './settings.ts';

const build = (environment: Record<string, string> = {}, provided: Provided = {}, isPreview = false) =>
  buildSettings({ file: null, environment, provided, isPreview });

describe('settings', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'baleen-settings-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test('without anything said run what needs nothing and asks nobody outside', async () => {
    const built = await build();
    expect(Object.keys(built.connectors).sort()).toEqual(['labels', 'rules', 'tokens']);
    expect(Object.keys(built.sinks)).toEqual(['websocket']);
    expect(built.simulated).toBe(true);
    expect(built.configured).toEqual({});
  });

  test('a preview stands in for what is found at start, and every room is in it', async () => {
    const built = await build({}, {}, true);
    expect(Object.keys(built.connectors).sort()).toEqual(connectors.map(({ name }) => name).sort());
    expect(Object.keys(built.sinks).sort()).toEqual(sinks.map(({ name }) => name).sort());
  });

  test('a live provider switches the simulated ones off', async () => {
    const environment = { BALEEN__CONNECTORS__EVM__RPC_URL: 'https://node.example' };
    const built = await build(environment, {}, true);
    expect(built.simulated).toBe(false);
    expect(Object.keys(built.connectors).sort()).toEqual(['evm', 'labels', 'rules', 'tokens']);
    expect(built.connectors['evm']).toMatchObject({ rpcUrl: 'https://node.example', wsUrl: null });
  });

  test('a setting of a simulated provider does not make it live', async () => {
    const built = await build({ BALEEN__CONNECTORS__EVM__CONCURRENCY: '2' }, STAND_INS);
    expect(built.simulated).toBe(true);
    expect(built.connectors['evm']).toMatchObject({ concurrency: 2, rpcUrl: 'http://127.0.0.1:1' });
  });

  test('file and environment win over what was found at start', async () => {
    const file = join(folder, 'baleen.yaml');
    await writeFile(file, 'connectors: {bybit: null}\nsinks: {websocket: {port: 1234}}\n');
    const provided = { connectors: { bybit: { url: 'ws://found' } }, sinks: { websocket: { port: 1 } } };
    const built = await buildSettings({ file, environment: {}, provided });
    expect(built.connectors['bybit']).toBeUndefined();
    expect(built.sinks['websocket']).toMatchObject({ port: 1234 });
    const overrides = { sinks: { websocket: { port: 2 } } };
    const option = await buildSettings({ file, environment: {}, provided, overrides });
    expect(option.sinks['websocket']).toMatchObject({ port: 2 });
  });

  test('names that other tools use are understood', async () => {
    const { configured } = await build({
      KAFKA_BROKERS: 'a:9092,b:9092',
      REGISTRY_URL: 'http://registry',
      DATABASE_URL: 'postgres://u:secret@host/db',
    });
    expect(configured).toEqual({
      kafkaBrokers: 'a:9092,b:9092',
      registryUrl: 'http://registry',
      databaseUrl: 'postgres://u:secret@host/db',
    });
  });

  test('connections to Kafka can be protected, with brokers that are named', async () => {
    const login = {
      KAFKA_SASL_MECHANISM: 'scram-sha-512',
      KAFKA_SASL_USERNAME: 'u',
      KAFKA_SASL_PASSWORD: '12345',
    };
    const plain = await build({ KAFKA_BROKERS: 'a:9092' });
    expect(plain.kafkaSecurity).toEqual({ ssl: null, sasl: null });
    const secure = await build({ KAFKA_BROKERS: 'a:9092', KAFKA_SSL: 'true', ...login });
    const sasl = { mechanism: 'scram-sha-512', username: 'u', password: '12345' };
    expect(secure.kafkaSecurity).toEqual({ ssl: { ca: null }, sasl });
    await expect(build(login)).rejects.toThrow('local brokers have neither');
    const missing = { KAFKA_BROKERS: 'a:9092', KAFKA_SSL: 'true', KAFKA_SSL_CA_FILE: '/nowhere.pem' };
    await expect(build(missing)).rejects.toThrow('KAFKA_SSL_CA_FILE');
  });

  test('no secret is in what may be printed', async () => {
    const { explained } = await build({
      KAFKA_BROKERS: 'a:9092',
      KAFKA_SASL_MECHANISM: 'plain',
      KAFKA_SASL_USERNAME: 'u',
      KAFKA_SASL_PASSWORD: 'sEcrEt-word',
      DATABASE_URL: 'postgres://u:sEcrEt-word@host/db',
      BALEEN__CONNECTORS__HELIUS__AUTHORIZATION: 'Bearer sEcrEt-word',
      BALEEN__SINKS__WEBSOCKET__TOKEN: 'sEcrEt-word-long-enough',
      BALEEN__CONNECTORS__EVM__RPC_URL:
        'https://u:sEcrEt-word@node/v2/sEcrEt-word-of-twenty-letters?k=sEcrEt-word',
    });
    expect(JSON.stringify(explained)).not.toContain('sEcrEt');
  });

  test('the settings that name live providers exist', async () => {
    const { explained } = await build({}, {}, true);
    const paths = explained.map(({ path }) => path);
    expect(LIVE_SETTINGS.filter((setting) => !paths.includes(setting))).toEqual([]);
  });

  test('a file that is not there is refused with the option to correct', async () => {
    await expect(
      buildSettings({ file: join(folder, 'none.yaml'), environment: {}, provided: {} }),
    ).rejects.toThrow('correct --config');
  });
});
