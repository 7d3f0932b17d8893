/** The commands that run one part of a pipeline: `connect`, `process`, `deliver`. */
import { type Command, Option } from 'commander';
import {
  adminHost,
  adminPort,
  configFile,
  examples,
  shard,
  threads,
  verbose,
  wholeNumber,
} from './options.ts';
import type { PartOptions } from './part.ts';
import type { SettingSources } from './settings.ts';

interface Given {
  readonly config?: string;
  readonly dataDir: string;
  readonly adminHost: string;
  readonly adminPort: number;
  /** Of `process` alone. */
  readonly threads?: number;
  readonly verbose?: boolean;
}

const PARTS = [
  [
    'connect',
    'run connectors only',
    'Receives from the providers that are configured and writes to raw topics.',
  ],
  ['deliver', 'run sinks only', 'Takes records out of the topics to where they are wanted.'],
] as const;

/** `finish` is given the exit code of the command that was run. */
export function addPartCommands(
  program: Command,
  sources: (config: string | undefined) => SettingSources,
  finish: (code: number) => void,
): void {
  const run = async (part: PartOptions['part'], given: Given, sharing: PartOptions['sharing']) => {
    const { runPart } = await import('./part.ts');
    const { config, dataDir, adminHost, adminPort, verbose } = given;
    finish(
      await runPart({
        part,
        sharing,
        threads: given.threads ?? 1,
        dataDir,
        adminHost,
        adminPort,
        isVerbose: verbose === true,
        sources: sources(config),
      }),
    );
  };
  for (const [name, summary, description] of PARTS) {
    withCommonOptions(program.command(name).summary(summary).description(description))
      .addHelpText('after', `\nExample:\n  $ baleen ${name} --data-dir /var/lib/baleen-${name}`)
      .action((given: Given) => run(name, given, 'none'));
  }
  withCommonOptions(
    program
      .command('process')
      .summary('run tasks only, shared with other processes')
      .description(
        'Runs tasks: those that the group of all such processes leaves to this one, or with --shard a fixed share. ' +
          'Each process needs a data directory of its own; state that is found there is used.',
      )
      .addOption(new Option('--shard <i/n>', 'share i of n, without a group').argParser(shard))
      .addOption(
        new Option('--copies <n>', 'shards that run each task: with 2, killing one leaves no gap').argParser(
          wholeNumber(1, 100),
        ),
      )
      .addOption(threads()),
  )
    .addHelpText(
      'after',
      examples([
        'process --data-dir /var/lib/baleen',
        'process --shard 1/3 --copies 2 --data-dir /var/lib/baleen-1',
        'process --threads 4 --data-dir /var/lib/baleen',
      ]),
    )
    .action(
      async (given: Given & { shard?: ReturnType<typeof shard>; copies?: number }, command: Command) => {
        const { shard: own, copies } = given;
        if (own === undefined) {
          if (copies !== undefined) command.error('error: --copies needs --shard');
          return run('process', given, 'group');
        }
        if ((copies ?? 1) > own.of)
          command.error(`error: --copies: at most as many as there are shards, ${own.of}`);
        return run('process', given, { ...own, copies: copies ?? 1 });
      },
    );
}

const withCommonOptions = (command: Command): Command =>
  command
    .addOption(
      new Option('--data-dir <dir>', 'where this process keeps its own; not shared with others').default(
        '.baleen',
      ),
    )
    .addOption(configFile())
    .addOption(adminPort())
    .addOption(adminHost())
    .addOption(verbose());
