/** The one error class. A code is stable and never reused; `ops/errors.md` explains each. */

/** What the caller has to do: try again, stop reading until it is better, put the record aside, or end. */
export type ErrorAction = 'retry' | 'pause' | 'dead-letter' | 'stop';

/** All codes with their default action. */
export const ERROR_CODES = {
  CONFIG_INVALID: 'stop',
  SERVICE_UNREACHABLE: 'stop',
  SERVICE_FAILED: 'stop',
  TOPIC_SETTINGS_WRONG: 'stop',
  SCHEMA_UNSUPPORTED: 'stop',
  SCHEMA_INCOMPATIBLE: 'stop',
  VALUE_UNREADABLE: 'dead-letter',
  VALUE_TOO_LARGE: 'dead-letter',
  EVENT_TIME_AHEAD: 'dead-letter',
  LOGIC_FAILED: 'dead-letter',
  POISON_SKIPPED: 'dead-letter',
  KAFKA_UNAVAILABLE: 'retry',
  KAFKA_REFUSED: 'stop',
  OFFSET_OUT_OF_RANGE: 'stop',
  OFFSET_GAP: 'stop',
  SEQUENCE_GAP: 'stop',
  STREAM_FORKED: 'stop',
  ORDER_BROKEN: 'stop',
  FINGERPRINT_CHANGED: 'stop',
  PLAN_UNREADABLE: 'stop',
  EPOCH_CLOSED: 'stop',
  CUT_NOT_REACHED: 'stop',
  UPGRADE_REFUSED: 'stop',
  SKIP_REFUSED: 'stop',
  STATE_UNREADABLE: 'stop',
  CHANGELOG_BROKEN: 'stop',
  GRAPH_INVALID: 'stop',
  SINK_UNAVAILABLE: 'retry',
  SINK_STALE: 'retry',
  SINK_REFUSED: 'stop',
  PROVIDER_UNAVAILABLE: 'retry',
  PROVIDER_REFUSED: 'stop',
  RECORDINGS_INVALID: 'stop',
  THREAD_FAILED: 'stop',
  INVARIANT_BROKEN: 'stop',
} as const satisfies Record<string, ErrorAction>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** Typed details; nothing secret goes in. */
export type ErrorFacts = Readonly<Record<string, string | number | bigint | boolean | null | undefined>>;

export class PipelineError extends Error {
  readonly code: ErrorCode;
  readonly action: ErrorAction;
  readonly facts: ErrorFacts;

  /** `message`: what was expected, what was found, where, and the next step. */
  constructor(code: ErrorCode, message: string, options: { facts?: ErrorFacts; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'PipelineError';
    this.code = code;
    this.action = ERROR_CODES[code];
    this.facts = options.facts ?? {};
  }
}

export const isPipelineError = (error: unknown, code?: ErrorCode): error is PipelineError =>
  error instanceof PipelineError && (code === undefined || error.code === code);

/** The message of anything thrown, on one line. */
export const messageOf = (error: unknown): string =>
  (error instanceof Error ? error.message || error.name : String(error)).replaceAll(/\s+/g, ' ');

/** A URL that may be printed: user, password, query values and long path segments (keys) are cut out. */
export function printableUrl(url: string): string {
  try {
    const parsed = new URL(url);
    const path = parsed.pathname
      .split('/')
      .map((part) => (/^[A-Za-z0-9_-]{20,}$/.test(part) ? '***' : part))
      .join('/');
    return `${parsed.protocol}//${parsed.host}${path}${parsed.search === '' ? '' : '?***'}`;
  } catch {
    return '(not a URL)';
  }
}
