/** A log whose warnings and errors are seen. */
import { messageOf } from '#pipeline/errors.ts';
import type { Log, LogFields } from '#pipeline/telemetry/log.ts';
import type { Display } from './display.ts';

/** What is degraded is said on the screen too, not in the log file alone. */
export function showWarnings(log: Log, display: Pick<Display, 'warn'>): Log {
  const show = (message: string, fields?: LogFields) => {
    const error = fields?.['error'];
    display.warn(error === undefined ? message : `${message}: ${messageOf(error)}`);
  };
  return {
    ...log,
    warn: (message, fields) => {
      log.warn(message, fields);
      show(message, fields);
    },
    error: (message, fields) => {
      log.error(message, fields);
      show(message, fields);
    },
    for: (component) => showWarnings(log.for(component), display),
  };
}
