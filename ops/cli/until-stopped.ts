/** What every command has in common that runs until it is stopped: signals, screen, log file, and closing in order. */
import { resolve } from 'node:path';
import { lockDirectory } from '#ops/local/lock.ts';
import { type Clock, systemClock } from '#pipeline/clock.ts';
import { messageOf } from '#pipeline/errors.ts';
import { createLog, type Log } from '#pipeline/telemetry/log.ts';
import { createDisplay, type Display } from './display.ts';
import { showWarnings } from './show-warnings.ts';

export interface Running {
  /** Absolute path. */
  readonly dataDir: string;
  readonly clock: Clock;
  readonly display: Display;
  readonly log: Log;
  /** Aborted by Ctrl-C, or by the command itself. */
  readonly stopping: AbortController;
  /** What was opened; closed at the end, the last first, whatever happened. */
  readonly opened: (() => Promise<void>)[];
}

/**
 * Returns 0 when it was stopped or is done. Throws, after everything is closed, what it could not go on for.
 * `isLocked`: no other process may run on the same folder.
 */
export async function runUntilStopped(
  options: { readonly dataDir: string; readonly isVerbose: boolean; readonly isLocked: boolean },
  run: (running: Running) => Promise<void>,
): Promise<number> {
  const clock = systemClock;
  const dataDir = resolve(options.dataDir);
  const display = createDisplay({ stream: process.stdout, isTerminal: process.stdout.isTTY === true, clock });
  const stopping = new AbortController();
  const stop = () => stopping.abort();
  // A second signal changes nothing: stopping is bounded, and cut short it would leave work behind.
  process.on('SIGINT', stop).on('SIGTERM', stop);
  const opened: (() => Promise<void>)[] = [];
  let failure: unknown = null;
  try {
    if (options.isLocked) {
      const release = lockDirectory(dataDir);
      opened.push(async () => release());
    }
    const file = createLog({
      path: `${dataDir}/logs/baleen.log`,
      level: options.isVerbose ? 'debug' : 'info',
    });
    await run({ dataDir, clock, display, log: showWarnings(file, display), stopping, opened });
  } catch (error) {
    // Stopped while it started: what was waited for is given up, and that is no failure.
    if (error !== stopping.signal.reason) failure = error;
  }
  display.note('stopping');
  for (const close of opened.reverse()) await close().catch((error) => display.warn(messageOf(error)));
  display.finish();
  if (failure !== null) throw failure;
  return 0;
}
