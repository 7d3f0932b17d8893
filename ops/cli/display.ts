/** What `up` shows: a line for each service and each alert, and one live line below them. */
import type { Clock } from '#pipeline/clock.ts';
import type { Alert } from '#schemas/alert.ts';
import { cutTo, stripped } from './printable.ts';

export interface Summary {
  readonly recordsPerSecond: number;
  /** Records in the topics that are not folded yet. */
  readonly lag: number;
  readonly alerts: number;
  /** What is under way outside or waited for; null or empty: nothing to say. */
  readonly waiting: string | null;
}

export interface Display {
  /** One line as it becomes ready or fails; what is under way is in the live line. */
  service(name: string, state: string, detail: string, elapsedMs: number): void;
  /** Its text may be hostile. */
  alert(alert: Pick<Alert, 'op' | 'severity' | 'text'>): void;
  summary(summary: Summary): void;
  note(text: string): void;
  warn(text: string): void;
  /** Leaves the last summary behind and draws no more. */
  finish(): void;
}

export interface DisplayOptions {
  readonly stream: Pick<NodeJS.WriteStream, 'write'> & { readonly columns?: number };
  readonly isTerminal: boolean;
  readonly clock: Clock;
  /** Colours on a terminal, unless NO_COLOR says otherwise (no-color.org). */
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

const REDRAW_MS = 250;
const LINE_EVERY_MS = 5_000;
const CLEAR_LINE = '\r\u001b[K';
const COLOURS = { green: 32, red: 31, yellow: 33, dim: 2 } as const;
const ENDED: readonly string[] = ['ready', 'failed', 'stopped'];

export function createDisplay(options: DisplayOptions): Display {
  const { stream, isTerminal, clock } = options;
  const environment = options.environment ?? process.env;
  const hasColours = isTerminal && (environment['NO_COLOR'] ?? '') === '' && environment['TERM'] !== 'dumb';
  const starting = new Map<string, string>();
  let latest: Summary | null = null;
  let lastDrawnMs = Number.NEGATIVE_INFINITY;
  let isDirty = false;
  let isFinished = false;

  const coloured = (colour: keyof typeof COLOURS, text: string): string =>
    hasColours ? `\u001b[${COLOURS[colour]}m${text}\u001b[0m` : text;

  const liveLine = (): string => {
    if (latest !== null) return summaryText(latest);
    return [...starting].map(([name, state]) => `${name} ${state}`).join(', ');
  };

  const draw = (): void => {
    isDirty = false;
    lastDrawnMs = clock.nowMs();
    // The last column is left free: some terminals begin a new line after it.
    const text = cutTo(liveLine(), (stream.columns ?? 80) - 1);
    stream.write(CLEAR_LINE + coloured('dim', text));
  };

  const line = (text: string): void => {
    if (!isTerminal || isFinished) {
      stream.write(`${text}\n`);
      return;
    }
    stream.write(`${CLEAR_LINE}${text}\n`);
    draw();
  };

  const change = (): void => {
    const sinceMs = clock.nowMs() - lastDrawnMs;
    if (isFinished) return;
    if (isTerminal) {
      if (sinceMs >= REDRAW_MS) draw();
      else isDirty = true;
    } else if (latest !== null && sinceMs >= LINE_EVERY_MS) {
      lastDrawnMs = clock.nowMs();
      line(summaryText(latest));
    }
  };

  const stopDrawing = isTerminal ? clock.every(REDRAW_MS, () => isDirty && !isFinished && draw()) : () => {};

  return {
    service: (name, state, detail, elapsedMs) => {
      if (!ENDED.includes(state)) {
        starting.set(stripped(name), stripped(state));
        change();
        return;
      }
      starting.delete(stripped(name));
      const mark = state === 'failed' ? coloured('red', 'failed ') : coloured('green', state.padEnd(7));
      line(
        `${mark} ${stripped(name).padEnd(12)} ${stripped(detail)} ${coloured('dim', `(${seconds(elapsedMs)})`)}`,
      );
    },
    alert: ({ op, severity, text }) => {
      const [word, colour] =
        op === 'retract' ? (['undone ', 'dim'] as const) : (['alert  ', 'yellow'] as const);
      line(`${coloured(colour, word)} ${String(severity).padStart(3)}  ${stripped(text)}`);
    },
    summary: (summary) => {
      latest = summary;
      change();
    },
    note: (text) => line(stripped(text)),
    warn: (text) => line(`${coloured('yellow', 'warning')} ${stripped(text)}`),
    finish: () => {
      if (isFinished) return;
      isFinished = true;
      stopDrawing();
      if (isTerminal) stream.write(CLEAR_LINE);
      if (latest !== null) stream.write(`${summaryText(latest)}\n`);
    },
  };
}

/** Without fractions of records and with the least that says all. */
function summaryText({ recordsPerSecond, lag, alerts, waiting }: Summary): string {
  const parts = [
    `${grouped(recordsPerSecond)} records/s`,
    `lag ${grouped(lag)}`,
    `${grouped(alerts)} ${alerts === 1 ? 'alert' : 'alerts'}`,
    ...(waiting === null || waiting === '' ? [] : [stripped(waiting)]),
  ];
  return parts.join('  ');
}

const grouped = (count: number): string => Math.round(count).toLocaleString('en-US');

const seconds = (ms: number): string =>
  ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;
