/** The whole tree of settings, from the rooms' own schemas; and the options of each command. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { connectors } from '#connectors/registry.ts';
import { type LoadedConfig, loadConfig, type Setting } from '#pipeline/config/load.ts';
import { messageOf, PipelineError } from '#pipeline/errors.ts';
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
  readonly config: string | null;
  readonly websocketPort: number | null;
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
  readonly config: string | null;
  readonly verbose: boolean;
}

export const PREFIX = 'BALEEN';

/** Names that other tools use too. The regular name wins. */
export const ALIASES: Readonly<Record<string, string>> = {
  KAFKA_BROKERS: 'kafka.brokers',
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

/** Every setting there is. Null at `kafka.brokers` and `registry.url`: local ones are started. */
export const settingsSchema = z.strictObject({
  kafka: z.strictObject({ brokers }).prefault({}),
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

/** Validated settings. A room that is off is not among the rooms. */
export interface Settings {
  readonly kafka: { readonly brokers: string | null };
  readonly registry: { readonly url: string | null };
  readonly connectors: Readonly<Record<string, unknown>>;
  readonly sinks: Readonly<Record<string, unknown>>;
}

/** Parts of rooms' settings by room. */
export interface Provided {
  readonly connectors?: Readonly<Record<string, unknown>>;
  readonly sinks?: Readonly<Record<string, unknown>>;
}

export interface SettingsSource {
  /** Path of a YAML file. */
  readonly file?: string | null | undefined;
  readonly environment: Environment;
  /** What was found at start, such as the address of the simulator: wins over defaults only. */
  readonly provided?: Provided;
  /** From options of the command line: wins over everything. */
  readonly overrides?: Provided;
}

export interface BuiltSettings {
  readonly settings: Settings;
  /** Every leaf with its origin, secrets masked. */
  readonly explained: readonly Setting[];
}

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
export async function buildSettings(source: SettingsSource): Promise<BuiltSettings> {
  const { value, settings } = await load(source);
  return {
    settings: { ...value, connectors: thoseOn(value.connectors), sinks: thoseOn(value.sinks) },
    explained: settings,
  };
}

/** Services that run elsewhere, as file and environment say. Null: not configured. */
export interface ConfiguredServices {
  readonly kafkaBrokers: string | null;
  readonly registryUrl: string | null;
  readonly databaseUrl: string | null;
  /** The sink is switched off: no database is needed. */
  readonly isDatabaseOff: boolean;
}

/** To be asked before services are started; validates everything that can be by then. Throws CONFIG_INVALID. */
export async function configuredServices(
  source: Pick<SettingsSource, 'file' | 'environment'>,
): Promise<ConfiguredServices> {
  const { value, origins } = await load({ ...source, provided: STAND_INS });
  const postgres = value.sinks['postgres'] ?? null;
  const isOwn = ['file', 'environment'].includes(origins.get('sinks.postgres.url') ?? 'default');
  return {
    kafkaBrokers: value.kafka.brokers,
    registryUrl: value.registry.url,
    databaseUrl: isOwn ? urlOf(postgres) : null,
    isDatabaseOff: postgres === null,
  };
}

async function load(source: SettingsSource): Promise<LoadedConfig<z.infer<typeof settingsSchema>>> {
  const path = source.file ?? null;
  return loadConfig({
    schema: settingsSchema,
    file: path === null ? undefined : { path, text: await readText(path) },
    environment: source.environment,
    aliases: ALIASES,
    provided: { ...source.provided },
    overrides: { ...source.overrides },
    prefix: PREFIX,
  });
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new PipelineError(
      'CONFIG_INVALID',
      `expected a readable settings file at ${path}, found: ${messageOf(cause)}; correct --config`,
      { cause },
    );
  }
}

const thoseOn = (rooms: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> =>
  Object.fromEntries(Object.entries(rooms).filter(([, config]) => config !== null && config !== undefined));

const urlOf = (config: unknown): string | null =>
  typeof config === 'object' && config !== null && 'url' in config && typeof config.url === 'string'
    ? config.url
    : null;
