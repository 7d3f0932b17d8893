/** The commands and options of `baleen`. Command modules are loaded when they are run, so that help is quick. */
import { Command, Option } from 'commander';
import {
  adminHost,
  adminPort,
  collect,
  configFile,
  dataDir,
  examples,
  json,
  speed,
  threads,
  verbose,
  wholeNumber,
} from './options.ts';
import { addPartCommands } from './part-commands.ts';
import type { Provided, SettingSources } from './settings.ts';
import { addVersionCommands } from './version-commands.ts';

const NOTES = `
Settings come from --config FILE (YAML) and the environment: BALEEN__SECTION__KEY, such as
BALEEN__CONNECTORS__EVM__RPC_URL; also KAFKA_BROKERS, REGISTRY_URL and DATABASE_URL, and for
Kafka over TLS or with a user KAFKA_SSL, KAFKA_SSL_CA_FILE, KAFKA_SASL_MECHANISM (plain, scram-sha-256, scram-sha-512),
KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD. "baleen config" shows them, without secrets.
Exit codes: 0 done, 1 failed, 2 wrong usage. ops/errors.md explains the codes of errors.`;

function addStateCommands(program: Command, finish: (code: number) => void): void {
  const state = program
    .command('state')
    .summary('look into the stores of the processors')
    .description(
      'Reads what the stores hold as of the last checkpoints: of the running pipeline, else from the folders it left.',
    )
    .addHelpText(
      'after',
      examples(['state get enrich.tokens ethereum:native', 'state list enrich.labels --limit 20']),
    );
  state
    .command('get')
    .summary('what is stored under a key')
    .argument('<store>', 'as <processor>.<store>, such as enrich.labels')
    .argument('<key>', 'as the processor names it')
    .addOption(dataDir())
    .addOption(json())
    .addHelpText(
      'after',
      examples([
        'state get enrich.tokens ethereum:native',
        'state get alert.rules ethereum:native --json',
        'state get normalize-bybit.tickers linear:BTCUSDT --data-dir /var/lib/baleen',
      ]),
    )
    .action(async (store: string, key: string, given) => {
      const { stateGet } = await import('./state.ts');
      finish(await stateGet({ store, key, dataDir: given.dataDir, json: given.json === true }));
    });
  state
    .command('list')
    .summary('entries in order of their keys')
    .argument('<store>', 'as <processor>.<store>, such as enrich.labels')
    .option('--from <key>', 'begin there')
    .addOption(
      new Option('--limit <n>', 'at most so many keys').argParser(wholeNumber(1, 10_000)).default(20),
    )
    .addOption(dataDir())
    .addOption(json())
    .addHelpText(
      'after',
      examples([
        'state list enrich.labels',
        "state list enrich.labels --from 'ethereum:0x28' --limit 5 --json",
      ]),
    )
    .action(async (store: string, given) => {
      const { stateList } = await import('./state.ts');
      const { from, limit, dataDir, json } = given;
      finish(await stateList({ store, from: from ?? null, limit, dataDir, json: json === true }));
    });
}

/** `finish` is given the exit code of the command that was run. */
export function createProgram(options: {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly finish: (code: number) => void;
}): Command {
  const { environment, finish } = options;
  const sources = (config: string | undefined, overrides?: Provided): SettingSources => ({
    file: config ?? null,
    environment,
    ...(overrides === undefined ? {} : { overrides }),
  });
  const program = new Command('baleen')
    .description(
      'Stream processing on Kafka: raw on-chain and market feeds in, scored events and alerts out.',
    )
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('(--help says more)')
    .addHelpText('after', NOTES);

  program
    .command('up')
    .summary('start everything and show alerts as they come')
    .description(
      'Starts Kafka, a schema registry and Postgres where none are configured, then all connectors, processors and ' +
        'sinks. Without live providers it serves a simulated world, or recordings. Ctrl-C stops everything.',
    )
    .option('--recordings <dir>', 'serve the recordings in this folder')
    .addOption(
      new Option('--speed <factor>', 'pace of recordings and world: 1, 10, ... or max')
        .argParser(speed)
        .default(1),
    )
    .option('--exit-when-done', 'stop when everything served is processed')
    .option('--report <file>', 'write what was done and how fast, as JSON')
    .addOption(dataDir())
    .option('--fresh', 'forget what is in the data directory')
    .addOption(
      new Option('--services <how>', 'how services are run that are not configured')
        .choices(['auto', 'local', 'docker'])
        .default('auto'),
    )
    .addOption(configFile())
    .addOption(
      new Option('--websocket-port <n>', 'port for live alerts; 0: any').argParser(wholeNumber(0, 65_535)),
    )
    .addOption(threads())
    .addOption(adminPort())
    .addOption(adminHost())
    .addOption(new Option('--seed <n>', 'seed of the simulated world').argParser(wholeNumber(0)).default(1))
    .addOption(
      new Option('--world-blocks <n>', 'end the simulated world after so many blocks').argParser(
        wholeNumber(1),
      ),
    )
    .addOption(
      new Option('--events-per-second <n>', 'load of the simulated world').argParser(
        wholeNumber(1, 1_000_000),
      ),
    )
    .addOption(verbose())
    .addHelpText(
      'after',
      examples([
        'up',
        'up --recordings ../shared/data --speed max --exit-when-done --report report.json',
        'up --seed 7 --world-blocks 100 --speed max --exit-when-done',
        'up --config live.yaml --data-dir /var/lib/baleen --admin-port 9464 --threads 2',
      ]),
    )
    .action(async (given) => {
      const { up } = await import('./up.ts');
      const port: number | undefined = given.websocketPort;
      const overrides = port === undefined ? undefined : { sinks: { websocket: { port } } };
      finish(
        await up({
          recordings: given.recordings ?? null,
          speed: given.speed,
          exitWhenDone: given.exitWhenDone === true,
          report: given.report ?? null,
          dataDir: given.dataDir,
          fresh: given.fresh === true,
          services: given.services,
          websocketPort: port ?? null,
          threads: given.threads,
          adminHost: given.adminHost,
          adminPort: given.adminPort,
          seed: given.seed,
          worldBlocks: given.worldBlocks ?? null,
          eventsPerSecond: given.eventsPerSecond ?? null,
          verbose: given.verbose === true,
          sources: sources(given.config, overrides),
        }),
      );
    });

  addPartCommands(program, sources, finish);

  program
    .command('tap')
    .summary('print the records of a topic, decoded')
    .description('Reads a topic without leaving a trace: from its start to its present end.')
    .argument('<topic>', 'such as alerts or raw.evm.v1; "baleen graph" names all')
    .option('--latest', 'only what is written from now on, until Ctrl-C')
    .option('--follow', 'from the start, and go on until Ctrl-C')
    .addOption(
      new Option('--where <condition>', 'only records that fit; may be repeated (= != > >= < <=, ~ contains)')
        .argParser(collect)
        .default([], 'all'),
    )
    .addOption(new Option('--limit <n>', 'stop after so many').argParser(wholeNumber(0)))
    .addOption(json())
    .option('--full', 'cut nothing')
    .addOption(dataDir())
    .addOption(configFile())
    .addHelpText(
      'after',
      examples([
        'tap alerts --latest',
        "tap enriched.transfers --where 'usd>250000' --where 'fromLabel.name~binance' --limit 5",
        "tap raw.evm --where 'kind=block' --limit 1 --full --json",
      ]),
    )
    .action(async (topic: string, given) => {
      const { tap } = await import('./tap.ts');
      const { latest, follow, where, limit, json, full, dataDir } = given;
      finish(
        await tap({
          topic,
          latest,
          follow,
          where,
          limit: limit ?? null,
          json,
          full,
          dataDir,
          sources: sources(given.config),
        }),
      );
    });

  program
    .command('status')
    .summary('what the running pipeline does, and who waits for whom')
    .addOption(dataDir())
    .addOption(json())
    .addHelpText('after', examples(['status', 'status --json', 'status --data-dir /var/lib/baleen']))
    .action(async (given) => {
      const { status } = await import('./status.ts');
      finish(await status({ dataDir: given.dataDir, json: given.json === true }));
    });

  addStateCommands(program, finish);

  program
    .command('graph')
    .summary('draw what reads and writes which topic')
    .addOption(
      new Option('--form <form>', 'how it is drawn').choices(['text', 'mermaid', 'json']).default('text'),
    )
    .addOption(new Option('--json', 'the same as --form json'))
    .addHelpText('after', examples(['graph', 'graph --form mermaid > graph.mmd']))
    .action(async (given) => {
      const { graph } = await import('./graph.ts');
      finish(await graph({ form: given.json === true ? 'json' : given.form }));
    });

  addVersionCommands(program, finish, sources);

  program
    .command('replay')
    .summary('process all raw records again and compare every byte')
    .description(
      'Runs the present code over all raw records, into shadow topics, and compares them with what was written live.',
    )
    .addOption(dataDir())
    .addOption(json())
    .option('--keep', 'keep the shadow topics for a look')
    .addOption(configFile())
    .addOption(verbose())
    .addHelpText('after', examples(['replay', 'replay --keep --json']))
    .action(async (given) => {
      const { replay } = await import('./replay.ts');
      finish(
        await replay({
          dataDir: given.dataDir,
          json: given.json === true,
          keep: given.keep === true,
          verbose: given.verbose === true,
          sources: sources(given.config),
        }),
      );
    });

  program
    .command('doctor')
    .summary('check what is needed, and say what to do')
    .addOption(dataDir())
    .addOption(json())
    .addOption(configFile())
    .addHelpText('after', examples(['doctor', 'doctor --config live.yaml --json']))
    .action(async (given) => {
      const { doctor } = await import('./doctor.ts');
      finish(
        await doctor({ dataDir: given.dataDir, json: given.json === true, sources: sources(given.config) }),
      );
    });

  program
    .command('config')
    .summary('print the settings in effect and where each came from')
    .addOption(json())
    .addOption(configFile())
    .addHelpText('after', examples(['config', 'config --config live.yaml --json']))
    .action(async (given) => {
      const { config } = await import('./config.ts');
      finish(await config({ json: given.json === true, sources: sources(given.config) }));
    });

  return program;
}
