/** Structured log lines. The message is a fixed sentence; everything variable is a field. */
import { pino } from 'pino';

export type LogLevel = 'error' | 'warn' | 'info' | 'debug' | 'trace';
export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  error(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  /** The same log with `component` set. */
  for(component: string): Log;
}

/** Writes JSON lines to `path`, or to standard error when no path is given. */
export function createLog(options: { level?: LogLevel | 'silent'; path?: string } = {}): Log {
  const target = pino.destination({ dest: options.path ?? 2, mkdir: true, sync: true });
  const root = pino(
    {
      level: options.level ?? 'info',
      base: null,
      serializers: { error: pino.stdSerializers.err },
      redact: ['*.password', '*.authorization', '*.token', '*.apiKey', '*.secret'],
    },
    target,
  );
  return wrap(root);
}

export const silentLog: Log = {
  error: () => {},
  warn: () => {},
  info: () => {},
  debug: () => {},
  for: () => silentLog,
};

/** The part of pino's logger that is used. */
interface Lines {
  error(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  debug(fields: LogFields, message: string): void;
  child(bindings: { component: string }): Lines;
}

const wrap = (logger: Lines): Log => ({
  error: (message, fields) => logger.error(fields ?? {}, message),
  warn: (message, fields) => logger.warn(fields ?? {}, message),
  info: (message, fields) => logger.info(fields ?? {}, message),
  debug: (message, fields) => logger.debug(fields ?? {}, message),
  for: (component) => wrap(logger.child({ component })),
});
