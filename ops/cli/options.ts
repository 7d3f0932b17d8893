/** Options that several commands have, and readers of their values. What these refuse is an error of usage. */
import { InvalidArgumentError, Option } from 'commander';

/** A whole number within limits, both included. */
export const wholeNumber =
  (least: number, most: number = Number.MAX_SAFE_INTEGER) =>
  (text: string): number => {
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new InvalidArgumentError(
      `Expected a whole number ${most === Number.MAX_SAFE_INTEGER ? `from ${least} on` : `from ${least} to ${most}`}.`,
    );
  };

/** One of several, such as `2/3`. */
export function shard(text: string): { readonly number: number; readonly of: number } {
  const match = /^(\d{1,4})\/(\d{1,4})$/.exec(text);
  const [number, of] = [Number(match?.[1]), Number(match?.[2])];
  if (number >= 1 && number <= of) return { number, of };
  throw new InvalidArgumentError('Expected number/of, such as 1/3: from 1/3 to 3/3 for three processes.');
}

/** A positive factor, or `max`. */
export function speed(text: string): number | 'max' {
  if (text === 'max') return 'max';
  const value = /^\d{1,6}(\.\d{1,6})?$/.test(text) ? Number(text) : Number.NaN;
  if (value > 0) return value;
  throw new InvalidArgumentError('Expected a positive number such as 1 or 10, or max.');
}

/** Options that may be given again. */
export const collect = (text: string, before: readonly string[]): readonly string[] => [...before, text];

/** Where a pipeline keeps what is its own. */
export const dataDir = () =>
  new Option('--data-dir <dir>', 'where everything of this pipeline is kept').default('.baleen');
/** Settings from a file. */
export const configFile = () => new Option('--config <file>', 'settings in YAML');
/** For programs. */
export const json = () => new Option('--json', 'print JSON for programs');
/** For those who look for a fault. */
export const verbose = () => new Option('--verbose', 'log more, and show where errors come from');

/** How many cores the tasks may use. */
export const threads = () =>
  new Option('--threads <n>', 'threads that the tasks run in, for several cores; what comes out is the same')
    .argParser(wholeNumber(1, 64))
    .default(1);

/** Where metrics, status and state are shown. */
export const adminPort = () =>
  new Option('--admin-port <n>', 'port for metrics, status and state; 0: any')
    .argParser(wholeNumber(0, 65_535))
    .default(0);
/** The address of that. */
export const adminHost = () =>
  new Option(
    '--admin-host <address>',
    'where it listens; state can be read there by all who reach it',
  ).default('127.0.0.1');

/** At the end of a help text. */
export const examples = (lines: readonly string[]): string =>
  `\nExamples:\n${lines.map((line) => `  $ baleen ${line}`).join('\n')}`;
