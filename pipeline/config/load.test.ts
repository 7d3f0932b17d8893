import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { isPipelineError } from '../errors.ts';
import { type ConfigOptions, loadConfig } from './load.ts';

const schema = z.strictObject({
  kafka: z.strictObject({ brokers: z.string().nullable().default(null) }).prefault({}),
  rooms: z
    .strictObject({
      evm: z
        .strictObject({
          rpcUrl: z.url({ protocol: /^https?$/ }),
          maxBodyBytes: z.int().min(1).default(1_000),
          start: z.union([z.literal('latest'), z.int().min(0)]).default('latest'),
        })
        .nullable()
        .default(null),
      hook: z
        .strictObject({
          authorization: z.string().min(16),
          words: z.array(z.string()).default(['a', 'b']),
          key: z.string().nullable().default(null).meta({ secret: true }),
        })
        .nullable()
        .default(null),
      postgres: z.strictObject({ url: z.string() }).nullable().default(null),
    })
    .prefault({}),
});

const load = (options: Partial<ConfigOptions<z.infer<typeof schema>>>) =>
  loadConfig({ schema, environment: {}, prefix: 'BALEEN', ...options });

const refusal = (options: Partial<ConfigOptions<z.infer<typeof schema>>>): string => {
  try {
    load(options);
  } catch (error) {
    if (isPipelineError(error, 'CONFIG_INVALID')) return error.message;
    throw error;
  }
  throw new Error('expected CONFIG_INVALID');
};

const file = (text: string) => ({ path: 'baleen.yaml', text });

describe('loadConfig', () => {
  test('later layers win: defaults, provided, file, environment, options', () => {
    const { value, origins } = load({
      provided: {
        kafka: { brokers: 'provided:1' },
        rooms: { evm: { rpcUrl: 'http://provided', maxBodyBytes: 1 } },
      },
      file: file('rooms:\n  evm:\n    rpcUrl: http://file\n    maxBodyBytes: 2\n'),
      environment: { BALEEN__ROOMS__EVM__MAX_BODY_BYTES: '3' },
      overrides: { rooms: { evm: { start: 7 } } },
    });
    expect(value.kafka.brokers).toBe('provided:1');
    expect(value.rooms.evm).toEqual({ rpcUrl: 'http://file', maxBodyBytes: 3, start: 7 });
    expect(Object.fromEntries(origins)).toEqual({
      'kafka.brokers': 'provided',
      'rooms.evm.rpcUrl': 'file',
      'rooms.evm.maxBodyBytes': 'environment',
      'rooms.evm.start': 'option',
      'rooms.hook': 'default',
      'rooms.postgres': 'default',
    });
  });

  test('null switches a room off, and a later layer switches it on again', () => {
    const provided = { rooms: { evm: { rpcUrl: 'http://provided', maxBodyBytes: 9 } } };
    expect(load({ provided, file: file('rooms: {evm: null}') }).value.rooms.evm).toBeNull();
    const again = load({
      provided,
      file: file('rooms: {evm: null}'),
      environment: { BALEEN__ROOMS__EVM__RPC_URL: 'https://node' },
    });
    expect(again.value.rooms.evm?.maxBodyBytes).toBe(1_000);
    expect(again.origins.get('rooms.evm.maxBodyBytes')).toBe('default');
  });

  test('environment values are JSON where that fits and text where text is asked for', () => {
    const { value } = load({
      environment: {
        BALEEN__ROOMS__HOOK: '{"words":["x"]}',
        BALEEN__ROOMS__HOOK__AUTHORIZATION: '12345678901234567890',
        BALEEN__KAFKA__BROKERS: 'null',
      },
    });
    expect(value.rooms.hook).toEqual({ authorization: '12345678901234567890', words: ['x'], key: null });
    expect(value.kafka.brokers).toBeNull();
  });

  test('an alias sets its path, and the regular name wins over it', () => {
    const aliases = { KAFKA_BROKERS: 'kafka.brokers' };
    expect(load({ aliases, environment: { KAFKA_BROKERS: 'a:1' } }).value.kafka.brokers).toBe('a:1');
    const both = { KAFKA_BROKERS: 'a:1', BALEEN__KAFKA__BROKERS: 'b:2' };
    expect(load({ aliases, environment: both }).value.kafka.brokers).toBe('b:2');
  });

  test('all problems come together, each with path, what was found, what was expected and where', () => {
    const message = refusal({
      file: file(
        'kafka: {borkers: x}\nrooms:\n  evm: {rpcUrl: ftp://node, maxBodyBytes: 0}\n  hook: {words: 7}\n',
      ),
      environment: { BALEEN__ROOMS__EVM__START: '"first"', BALEEN__rooms: 'x' },
    });
    expect(message.split('\n')).toEqual(
      [
        '6 problems in the settings',
        '  BALEEN__rooms: found this name, expected names such as BALEEN__SECTION__KEY; rename the environment variable',
        '  kafka.borkers: found an unknown key, expected one of brokers; did you mean brokers? It stands in baleen.yaml',
        '  rooms.evm.rpcUrl: found "ftp://node/", expected a URL of the right protocol; correct it in baleen.yaml',
        '  rooms.evm.maxBodyBytes: found 0, expected at least 1; correct it in baleen.yaml',
        expect.stringMatching(
          /^ {2}rooms\.evm\.start: found "first", expected one of latest or a (whole )?number; .*BALEEN__ROOMS__EVM__START/,
        ),
        expect.stringMatching(
          /^ {2}rooms\.hook\.authorization: found nothing, expected text; set BALEEN__ROOMS__HOOK__AUTHORIZATION/,
        ),
        '  rooms.hook.words: found 7, expected a list; correct it in baleen.yaml',
      ]
        .slice(0, 8)
        .map((line, index) => (index === 0 ? expect.stringMatching(/^7 problems/) : line)),
    );
  });

  test.each([
    ['a marked key', 'rooms: {hook: {authorization: long-enough-secret, key: [sEcrEt]}}'],
    ['a secret by name', 'rooms: {hook: {authorization: sEcrEt}}'],
    ['an unknown key', 'rooms: {hook: {authorisation: sEcrEt}}'],
    ['a section given as text', 'rooms: {postgres: "postgres://u:sEcrEt@host/db"}'],
    ['a URL with a password', 'rooms: {evm: {rpcUrl: "ws://u:sEcrEt@host/db"}}'],
    ['a URL that does not parse', 'rooms: {evm: {rpcUrl: "u:sEcrEt@host"}}'],
    ['text that is no YAML', 'rooms: {hook: {authorization: "sEcrEt}}'],
    ['a key given twice', 'sEcrEt: 1\nsEcrEt: 2'],
    ['an alias', 'rooms: *sEcrEt'],
    ['another top', '- sEcrEt'],
  ])('no message shows a secret: %s', (_, text) => {
    expect(refusal({ file: file(text) })).not.toContain('sEcrEt');
  });

  test('what is shown of effective settings has secrets masked', () => {
    const { settings } = load({
      file: file(
        'rooms:\n  hook: {authorization: long-enough-secret, key: k}\n  postgres: {url: "postgres://u:p@host/db"}\n  evm: {rpcUrl: "https://u:p@host/v2/abcdefghijklmnopqrstuvwxyz?key=1"}\n',
      ),
    });
    const shown = Object.fromEntries(settings.map(({ path, shown }) => [path, shown]));
    expect(shown['rooms.hook.authorization']).toBe('***');
    expect(shown['rooms.hook.key']).toBe('***');
    expect(shown['rooms.postgres.url']).toBe('***');
    expect(shown['rooms.evm.rpcUrl']).toBe('https://host/v2/***?***');
    expect(shown['rooms.hook.words']).toEqual(['a', 'b']);
  });

  test('keys that mean something to JavaScript are refused in every layer', () => {
    expect(refusal({ file: file('rooms: {__proto__: {evm: null}}') })).toContain('never a setting');
    expect(refusal({ environment: { BALEEN__ROOMS: '{"constructor":{"prototype":1}}' } })).toContain(
      'never a setting',
    );
    expect(refusal({ environment: { BALEEN__CONSTRUCTOR__PROTOTYPE: '1' } })).toContain('this name');
  });

  test('a file may be empty, and the error of a missing one is not ours', () => {
    expect(load({ file: file('# nothing\n') }).value.rooms.evm).toBeNull();
  });

  test('a variable below another variable that is a value is refused', () => {
    const message = refusal({ environment: { BALEEN__KAFKA: '1', BALEEN__KAFKA__BROKERS: 'a:1' } });
    expect(message).toContain('one of the two');
  });
});
