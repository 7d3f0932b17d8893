/** The whole tree of settings, from the rooms' own schemas; and the options of each command. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { connectors } from '#connectors/registry.ts';
import { type ConfigOptions, loadConfig, readLayers, type Setting } from '#pipeline/config/load.ts';
import { messageOf, PipelineError } from '#pipeline/errors.ts';
import type { KafkaSecurity } from '#pipeline/kafka/client.ts';
import { sinks } from '#sinks/registry.ts';

/** Options of `baleen up`. Null: not given. */
export interface UpOptions {
  /** Folder of recordings; null: the seeded world. */
  readonly recordings: string | null;
  /** Factor of the pace at which things happened; `max`: without pauses. */
  readonly speed: number | 'max';
  readonly exitWhenDone: boolean;
  /** File that the report goes to. */
  readonly report: string | null;
  readonly dataDir: string;
  /** Forget what is in the data directory. */
  readonly fresh: boolean;
  readonly services: 'auto' | 'local' | 'docker';
  readonly sources: SettingSources;
  readonly websocketPort: number | null;
  /** That the tasks run in. */
  readonly threads: number;
  /** Address and port of the admin server; 0: any free port. */
  readonly adminHost: string;
  readonly adminPort: number;
  readonly seed: number;
  readonly worldBlocks: number | null;
  readonly eventsPerSecond: number | null;
  readonly verbose: boolean;
}

/** Options of `baleen replay`. */
export interface ReplayOptions {
  readonly dataDir: string;
  readonly json: boolean;
  /** Leave the shadow topics for a look. */
  readonly keep: boolean;
  readonly sources: SettingSources;
  readonly verbose: boolean;
}

export const PREFIX = 'BALEEN';

/** Names that other tools use too. The regular name wins. */
export const ALIASES: Readonly<Record<string, string>> = {
  KAFKA_BROKERS: 'kafka.brokers',
  KAFKA_SSL: 'kafka.ssl',
  KAFKA_SSL_CA_FILE: 'kafka.sslCaFile',
  KAFKA_SASL_MECHANISM: 'kafka.sasl.mechanism',
  KAFKA_SASL_USERNAME: 'kafka.sasl.username',
  KAFKA_SASL_PASSWORD: 'kafka.sasl.password',
  REGISTRY_URL: 'registry.url',
  DATABASE_URL: 'sinks.postgres.url',
};

export type Environment = Readonly<Record<string, string | undefined>>;

interface Room {
  readonly name: string;
  readonly config: z.ZodType;
}

/** On without being named: needs nothing to be said, and asks nobody outside. */
const isOnByDefault = ({ name, config }: Room): boolean =>
  config.safeParse({}).success && connectors.every((room) => room.name !== name || room.isFinite);

/** A room's section; null switches the room off. */
const roomsSchema = (rooms: readonly Room[]) =>
  z
    .strictObject(
      Object.fromEntries(
        rooms.map((room) => {
          const section = room.config.nullable();
          return [room.name, isOnByDefault(room) ? section.prefault({}) : section.default(null)];
        }),
      ),
    )
    .prefault({});

const brokers = z
  .string()
  .regex(/^[^\s,@/]+:\d{1,5}(,[^\s,@/]+:\d{1,5})*$/, 'expected host:port, more of them after commas')
  .nullable()
  .default(null);

const kafka = z
  .strictObject({
    brokers,
    /** Connections over TLS. */
    ssl: z.boolean().default(false),
    /** Certificates in PEM that are trusted instead of the system's; null: those of the system. */
    sslCaFile: z.string().nullable().default(null),
    /** Null: nobody logs in. */
    sasl: z
      .strictObject({
        mechanism: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']),
        username: z.string().min(1),
        password: z.string().min(1),
      })
      .nullable()
      .default(null),
  })
  .refine((given) => given.brokers !== null || (!given.ssl && given.sasl === null), {
    path: ['brokers'],
    message: 'expected brokers, because ssl or sasl is set: local brokers have neither',
  })
  .refine((given) => given.ssl || given.sslCaFile === null, {
    path: ['ssl'],
    message: 'expected true, because sslCaFile is set',
  });

/** Every setting there is. Null at `kafka.brokers` and `registry.url`: local ones are started. */
export const settingsSchema = z.strictObject({
  kafka: kafka.prefault({}),
  registry: z
    .strictObject({
      url: z
        .url({ protocol: /^https?$/ })
        .nullable()
        .default(null),
    })
    .prefault({}),
  connectors: roomsSchema(connectors),
  sinks: roomsSchema(sinks),
});

/** Parts of rooms' settings by room. */
export interface Provided {
  readonly connectors?: Readonly<Record<string, unknown>>;
  readonly sinks?: Readonly<Record<string, unknown>>;
}

/** What a person says: file, environment, options. */
export interface SettingSources {
  /** Path of a YAML file; null: none. */
  readonly file: string | null;
  readonly environment: Environment;
  /** From options of the command line: wins over everything. */
  readonly overrides?: Provided;
}

export interface BuildOptions extends SettingSources {
  /** What was found at start, such as the address of the simulator: wins over defaults only. */
  readonly provided: Provided;
  /** Before anything is started: what will be found then is stood in for. */
  readonly isPreview?: boolean;
}

/** Services that run elsewhere; undefined: not configured. */
export interface ConfiguredServices {
  readonly kafkaBrokers: string | undefined;
  readonly registryUrl: string | undefined;
  readonly databaseUrl: string | undefined;
}

/** Validated settings. A room that is off is not among the rooms. */
export interface BuiltSettings {
  readonly connectors: Readonly<Record<string, unknown>>;
  readonly sinks: Readonly<Record<string, unknown>>;
  readonly configured: ConfiguredServices;
  /** How the configured brokers are talked to; holds a password. */
  readonly kafkaSecurity: KafkaSecurity;
  /** No live provider is named (`LIVE_SETTINGS`): the simulated one serves. */
  readonly simulated: boolean;
  /** Every leaf with its origin, secrets masked. */
  readonly explained: readonly Setting[];
}

/** One of these from a person means live providers, and then only those that are named. */
export const LIVE_SETTINGS = [
  'connectors.evm.rpcUrl',
  'connectors.bybit.url',
  'connectors.helius.authorization',
] as const;

/**
 * What `up` finds out at start, in form only: so that settings can be validated before anything is started, and
 * looked at without starting anything.
 */
export const STAND_INS: Provided = {
  connectors: {
    evm: { rpcUrl: 'http://127.0.0.1:1', wsUrl: 'ws://127.0.0.1:1' },
    bybit: { url: 'ws://127.0.0.1:1' },
    helius: { authorization: 'a secret made at start' },
    labels: {},
  },
  sinks: { postgres: { url: 'postgres://baleen@127.0.0.1:1/baleen' } },
};

/** Throws CONFIG_INVALID with every problem. */
export async function buildSettings(options: BuildOptions): Promise<BuiltSettings> {
  const path = options.file;
  const source: ConfigOptions<z.infer<typeof settingsSchema>> = {
    schema: settingsSchema,
    file: path === null ? undefined : { path, text: await readText(path, 'settings', '--config') },
    environment: options.environment,
    aliases: ALIASES,
    overrides: { ...options.overrides },
    prefix: PREFIX,
  };
  const { origins: said } = readLayers(source).layered;
  const simulated = !LIVE_SETTINGS.some((setting) => said.has(setting));
  const { sinks, connectors } = STAND_INS;
  const standIns = simulated ? { sinks, connectors } : { sinks };
  const provided = options.isPreview === true ? standIns : options.provided;
  const { value, settings } = loadConfig({ ...source, provided: { ...provided } });
  const database = value.sinks['postgres'];
  return {
    connectors: thoseOn(value.connectors),
    sinks: thoseOn(value.sinks),
    configured: {
      kafkaBrokers: value.kafka.brokers ?? undefined,
      registryUrl: value.registry.url ?? undefined,
      databaseUrl: said.has('sinks.postgres.url') ? urlOf(database) : undefined,
    },
    kafkaSecurity: await securityOf(value.kafka),
    simulated,
    explained: settings,
  };
}

/** What commands need that only look at topics. Throws CONFIG_INVALID. */
export async function readKafkaSecurity(sources: SettingSources): Promise<KafkaSecurity> {
  return (await buildSettings({ ...sources, provided: {}, isPreview: true })).kafkaSecurity;
}

async function securityOf({ ssl, sslCaFile, sasl }: z.infer<typeof kafka>): Promise<KafkaSecurity> {
  if (!ssl) return { ssl: null, sasl };
  if (sslCaFile === null) return { ssl: { ca: null }, sasl };
  return {
    ssl: { ca: await readText(sslCaFile, 'certificates', 'kafka.sslCaFile (KAFKA_SSL_CA_FILE)') },
    sasl,
  };
}

async function readText(path: string, what: string, option: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new PipelineError(
      'CONFIG_INVALID',
      `expected a readable ${what} file at ${path}, found: ${messageOf(cause)}; correct ${option}`,
      { cause },
    );
  }
}

const thoseOn = (rooms: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> =>
  Object.fromEntries(Object.entries(rooms).filter(([, config]) => config !== null && config !== undefined));

const urlOf = (config: unknown): string | undefined =>
  typeof config === 'object' && config !== null && 'url' in config && typeof config.url === 'string'
    ? config.url
    : undefined;
