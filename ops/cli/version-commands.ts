/** The commands that look at the plan and decide what stands there: versions, and what is passed over. */
import type { Command } from 'commander';
import { collect, configFile, dataDir, examples, json } from './options.ts';
import type { SettingSources } from './settings.ts';

/** Adds `diff`, `upgrade`, `plan`, `exclude`, `return` and `skip`. */
export function addVersionCommands(
  program: Command,
  finish: (code: number) => void,
  sources: (config: string | undefined) => SettingSources,
): void {
  program
    .command('diff')
    .summary('what differs between the version that runs and this one')
    .description(
      'Compares processors, inputs, outputs, stores, partitions and code, and says what becomes of the state of each. ' +
        'Exit code 1: something has no way to go over.',
    )
    .option('--from <file>', 'compare with a description in this file, not with what runs')
    .option('--describe', 'print the description of this version, for --from of another')
    .option('--empty <store>', 'as with upgrade: this store begins anew; may be repeated', collect, [])
    .addOption(dataDir())
    .addOption(json())
    .addOption(configFile())
    .addHelpText(
      'after',
      examples(['diff', 'diff --json', 'diff --describe > v1.json', 'diff --from v1.json']),
    )
    .action(async (given) => {
      const { diff } = await import('./diff.ts');
      finish(
        await diff({
          from: given.from ?? null,
          describe: given.describe === true,
          empty: given.empty,
          dataDir: given.dataDir,
          json: given.json === true,
          sources: sources(given.config),
        }),
      );
    });
  program
    .command('upgrade')
    .summary('go over from the version that runs to this one')
    .description(
      'Decides, for good, that this version begins now. The one that runs folds up to there and ends; then start this ' +
        'one. Without --yes it only says what would happen. --force is for a version that cannot run any more, before or ' +
        'after the cut was decided: its tasks go on from their last checkpoints, and what they wrote since comes out twice.',
    )
    .option('--yes', 'decide it')
    .option(
      '--force',
      'bring tasks to the cut that the version before cannot bring there any more; not exactly once',
    )
    .option('--empty <store>', 'this store begins anew, as its layout changed; may be repeated', collect, [])
    .option('--note <text>', 'why; kept in the plan')
    .addOption(dataDir())
    .addOption(json())
    .addOption(configFile())
    .addHelpText(
      'after',
      examples([
        'upgrade',
        'upgrade --yes',
        'upgrade --empty enrich.prices --yes',
        "upgrade --force --yes --note 'version 3 runs out of memory'",
      ]),
    )
    .action(async (given) => {
      const { upgrade } = await import('./upgrade.ts');
      finish(
        await upgrade({
          yes: given.yes === true,
          force: given.force === true,
          empty: given.empty,
          note: given.note ?? null,
          dataDir: given.dataDir,
          json: given.json === true,
          sources: sources(given.config),
        }),
      );
    });
  program
    .command('plan')
    .summary('what was decided: versions, and what is passed over')
    .addOption(dataDir())
    .addOption(json())
    .addOption(configFile())
    .addHelpText('after', examples(['plan', 'plan --json']))
    .action(async (given) => {
      const { plan } = await import('./plan.ts');
      const { json, dataDir, config } = given;
      finish(await plan({ dataDir, json: json === true, sources: sources(config) }));
    });
  program
    .command('exclude')
    .summary('go on without a task or a partition that stands still')
    .description(
      'Decides, for good, that the version that runs goes on without it from now on, so that what is downstream of it waits no ' +
        'more. Tasks that can come to that cut do, and end; then stop all processes, bring the others there with "baleen ' +
        'upgrade --force --yes", and start the processes again. A partition of a raw topic is not read while it is ' +
        'excluded, and refused while it can be written to. Without names it lists what is excluded.',
    )
    .argument('[name...]', 'tasks, and partitions of raw topics, as "baleen status" shows them')
    .option('--yes', 'decide it')
    .option('--note <text>', 'why; kept in the plan')
    .addOption(dataDir())
    .addOption(json())
    .addOption(configFile())
    .addHelpText(
      'after',
      examples([
        'exclude',
        'exclude detect-2',
        "exclude detect-2 --yes --note 'its disk is gone'",
        'exclude raw.bybit.v1/1 --yes',
      ]),
    )
    .action(async (names: readonly string[], given) => {
      const { exclude } = await import('./exclude.ts');
      finish(await exclude(exclusion(names, given, sources)));
    });
  program
    .command('return')
    .summary('take in again what was excluded')
    .description(
      'Decides, for good, that what was excluded takes part again from now on. Waits until all tasks that run have come to ' +
        'that cut, which they do by themselves, and brings it there from where it stood; then start the processes ' +
        'again. What it had not folded counts as of that cut. Cut short, it goes on when it is run again.',
    )
    .argument('<name...>', 'as "baleen exclude" lists them')
    .option('--yes', 'decide it')
    .option('--note <text>', 'why; kept in the plan')
    .addOption(dataDir())
    .addOption(json())
    .addOption(configFile())
    .addHelpText('after', examples(['return detect-2', 'return detect-2 --yes']))
    .action(async (names: readonly string[], given) => {
      const { takeIn } = await import('./take-in.ts');
      finish(await takeIn(exclusion(names, given, sources)));
    });
  program
    .command('skip')
    .summary('pass over a record that ends the process each time')
    .description(
      'A process that died a few times looks for the record by itself, and passes over it once it is sure; this decides it ' +
        'by hand, as for a record that never comes to an end. Refused when the log shows that somebody folded it. Without ' +
        'a place it shows what processes of the data directory died at.',
    )
    .argument('[place]', 'as it is shown without one')
    .option('--yes', 'decide it, for every process and replay')
    .option('--note <text>', 'why; kept in the plan')
    .addOption(dataDir())
    .addOption(json())
    .addOption(configFile())
    .addHelpText('after', examples(['skip', 'skip chain.transfers.v1/0/normalize-evm-0:4711 --yes']))
    .action(async (place: string | undefined, given) => {
      const { skip } = await import('./skip.ts');
      finish(
        await skip({
          place: place ?? null,
          yes: given.yes === true,
          note: given.note ?? null,
          dataDir: given.dataDir,
          json: given.json === true,
          sources: sources(given.config),
        }),
      );
    });
}

/** As commander hands them over. */
interface GivenExclusion {
  readonly yes?: boolean;
  readonly note?: string;
  readonly dataDir: string;
  readonly json?: boolean;
  readonly config?: string;
}

const exclusion = (
  names: readonly string[],
  { yes, note, dataDir, json, config }: GivenExclusion,
  sources: (config: string | undefined) => SettingSources,
) => ({
  names,
  yes: yes === true,
  note: note ?? null,
  dataDir,
  json: json === true,
  sources: sources(config),
});
