/** The program `baleen`: runs a command and tells what went wrong. */
import { type Command, CommanderError } from 'commander';
import { isPipelineError, messageOf } from '#pipeline/errors.ts';
import { escaped } from './printable.ts';
import { createProgram } from './program.ts';

/** The exit code: 0, 1 when it failed, 2 when it was used wrongly. */
export async function main(args: readonly string[]): Promise<number> {
  const isVerbose = args.includes('--verbose') || (process.env['BALEEN_DEBUG'] ?? '') !== '';
  const fail = (error: unknown): void => process.exit(report(error, isVerbose));
  process.on('unhandledRejection', fail).on('uncaughtException', fail);
  // The reader of a pipe has seen enough.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  let exitCode = 0;
  const program = createProgram({
    environment: process.env,
    finish: (code) => {
      exitCode = code;
    },
  });
  throwing(program);
  try {
    if (args.length === 0) program.help();
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    // Commander has printed it.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    return report(error, isVerbose);
  }
}

/** What commander would end the process for is thrown, by commands within commands too. */
function throwing(command: Command): void {
  command.exitOverride();
  for (const inner of command.commands) throwing(inner);
}

/** One line (settings: one for each problem), the code, and where to read on. */
function report(error: unknown, isVerbose: boolean): number {
  // What is wrong with settings is a list; everything else is one line.
  const text = isPipelineError(error, 'CONFIG_INVALID')
    ? error.message.split('\n').map(escaped).join('\n')
    : escaped(messageOf(error));
  const next = isPipelineError(error)
    ? ` [${error.code}, see ops/errors.md]`
    : ' (unexpected: --verbose or BALEEN_DEBUG=1 shows where)';
  process.stderr.write(`baleen: ${text}${next}\n`);
  if (isVerbose && error instanceof Error) process.stderr.write(`${error.stack ?? ''}\n`);
  return 1;
}
