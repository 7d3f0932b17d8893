/** When the window of a record is closed. */
import type { FiredTimer, StoreAccess } from '#pipeline/state/store.ts';
import type { CloseRule } from '#pipeline/windows/closing.ts';

/** A close rule against the times of a task. Close times are in event time; a delay in log time is taken off. */
export interface Closing {
  /** How far closing has come: what closes at or before it is closed. Never falls; a whole number. */
  progressMs(): number;
  /** The close time of which the timers were last set; undefined: of none. */
  readonly armedMs: number | undefined;
  /** Sets the timers for a close time, or none. */
  arm(closeMs: number | undefined): void;
  /** Sets the timers when they are not set for an earlier time. */
  armBy(closeMs: number): void;
  /** The close time of a timer that fired. */
  closeMsOf(fired: FiredTimer): number;
}

/** One timer of each kind is enough: for the first close time that somebody waits for. */
const TIMER = 'close';
/** Stands for -Infinity, before the first record, which text would lose. */
const LEAST_PROGRESS_MS = Number.MIN_SAFE_INTEGER;

export function createClosing(rule: CloseRule, access: Pick<StoreAccess, 'context' | 'timers'>): Closing {
  const { context, timers } = access;
  const delayMs = rule.by === 'event-time' ? 0 : rule.delayMs;
  const [byEvent, byLog] = [rule.by !== 'log-time', rule.by !== 'event-time'];
  const armedMs = (): number | undefined => {
    if (byEvent) return timers.get('event', TIMER);
    const dueMs = timers.get('log', TIMER);
    return dueMs === undefined ? undefined : dueMs - delayMs;
  };
  const arm = (closeMs: number | undefined): void => {
    if (closeMs === undefined) {
      if (byEvent) timers.cancel('event', TIMER);
      if (byLog) timers.cancel('log', TIMER);
      return;
    }
    if (byEvent) timers.set('event', TIMER, closeMs);
    if (byLog) timers.set('log', TIMER, closeMs + delayMs);
  };
  return {
    progressMs: () => {
      const eventMs = byEvent ? context.streamTimeMs : LEAST_PROGRESS_MS;
      const logMs = byLog ? context.logTimeMs - delayMs : LEAST_PROGRESS_MS;
      return Math.floor(Math.max(eventMs, logMs, LEAST_PROGRESS_MS));
    },
    get armedMs() {
      return armedMs();
    },
    arm,
    armBy: (closeMs) => {
      const armed = armedMs();
      if (armed === undefined || closeMs < armed) arm(closeMs);
    },
    closeMsOf: ({ time, atMs }) => (time === 'event' ? atMs : atMs - delayMs),
  };
}
