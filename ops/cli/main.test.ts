import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const script = fileURLToPath(new URL('baleen.js', import.meta.url));

/** Runs the real program with the Node of the tests. */
const baleen = (args: readonly string[], environment: Record<string, string> = {}) =>
  new Promise<{ code: number; out: string; error: string }>((resolve) => {
    const env = { PATH: process.env['PATH'], ...environment };
    execFile(process.execPath, [script, ...args], { env }, (failure, out, error) => {
      resolve({ code: typeof failure?.code === 'number' ? failure.code : 0, out, error });
    });
  });

describe('baleen', () => {
  test('shows its commands, each with one line', async () => {
    const { code, out, error } = await baleen(['--help']);
    expect(code).toBe(0);
    expect(error).toBe('');
    for (const command of [
      'up',
      'connect',
      'process',
      'deliver',
      'tap',
      'status',
      'state',
      'graph',
      'plan',
      'exclude',
      'return',
      'skip',
      'replay',
      'doctor',
      'config',
    ]) {
      expect(out).toMatch(new RegExp(`^ {2}${command} `, 'm'));
    }
  });

  test.each([
    [['up', '--speed', '0'], 'Expected a positive number'],
    [['up', '--websocket-port', '70000'], 'Expected a whole number'],
    [['process', '--shard', '0/3'], 'Expected number/of'],
    [['process', '--shard', '4/3'], 'Expected number/of'],
    [['process', '--copies', '2'], 'needs --shard'],
    [['process', '--shard', '1/2', '--copies', '3'], 'at most as many'],
    [['dance'], 'unknown command'],
    [['tap'], 'missing required argument'],
    [['graph', '--form', 'oil'], 'Allowed choices'],
    [['return'], 'missing required argument'],
    [['state'], 'Commands:'],
    [['state', 'get', 'enrich.labels'], 'missing required argument'],
    [['state', 'list', 'enrich.labels', '--limit', '0'], 'Expected a whole number'],
  ])('wrong usage %j ends with 2 and says what is right', async (args, text) => {
    const { code, error } = await baleen(args);
    expect(code).toBe(2);
    expect(error).toContain(text);
  });

  test('a failure is one line with code and next step, and no stack', async () => {
    const { code, out, error } = await baleen(['tap', 'alerts', '--data-dir', '/nonexistent']);
    expect(code).toBe(1);
    expect(out).toBe('');
    expect(error).toMatch(/^baleen: .*"baleen up".*\[SERVICE_UNREACHABLE, see ops\/errors\.md\]\n$/);
  });

  test('a part of a pipeline needs services that run elsewhere', async () => {
    const { code, error } = await baleen(['process', '--data-dir', '/nonexistent'], { KAFKA_BROKERS: 'a:1' });
    expect(code).toBe(1);
    expect(error).toContain('set KAFKA_BROKERS and REGISTRY_URL');
    expect(error).toContain('[CONFIG_INVALID');
  });

  test('wrong settings are all listed', async () => {
    const { code, error } = await baleen(['config'], {
      BALEEN__KAFKA__BROKER: 'x',
      BALEEN__REGISTRY__URL: 'ftp://x',
    });
    expect(code).toBe(1);
    expect(error.split('\n').length).toBe(4);
    expect(error).toContain('did you mean brokers?');
  });

  test('settings in effect are printed for programs', async () => {
    const { code, out } = await baleen(['config', '--json'], { KAFKA_BROKERS: 'a:1' });
    expect(code).toBe(0);
    expect(JSON.parse(out)).toContainEqual({ path: 'kafka.brokers', value: 'a:1', origin: 'environment' });
  });
});
