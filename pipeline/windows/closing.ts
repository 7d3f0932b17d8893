/** When windows close: the declared rule, as a function of the stream time and the log time. */
import type { StoreAccess } from '#pipeline/state/store.ts';
import { lengthProblem } from './shapes.ts';

/**
 * - `event-time`: once the stream time has reached end + grace. Without further records nothing closes.
 * - `log-time`: once the log time has reached end + grace + `delayMs`, also on quiet keys and quiet partitions. The
 *   delay is what event time usually lies behind log time.
 * - `either`: whichever is first.
 */
export type CloseRule =
  | { readonly by: 'event-time' }
  | { readonly by: 'log-time' | 'either'; readonly delayMs: number };

/** Null when the rule has a usable delay or needs none. */
export const closeProblem = (path: string, close: CloseRule): string | null =>
  close.by === 'event-time'
    ? null
    : lengthProblem(`${path}.delayMs`, close.delayMs, 0, 'give 0 when records arrive without delay');

export interface Closing {
  /** What ends by this time is due to close. -Infinity before the first record. */
  reachedMs(): number;
  /** Sets the timers that fire when `reachedMs` comes to `endMs`; replaces those of this key. */
  set(key: string, endMs: number): void;
  /** The same, unless those of this key fire earlier. */
  setIfEarlier(key: string, endMs: number): void;
  clear(key: string): void;
  isSet(key: string): boolean;
}

export function createClosing(
  close: CloseRule,
  graceMs: number,
  { context, timers }: Pick<StoreAccess, 'context' | 'timers'>,
): Closing {
  const usesEvent = close.by !== 'log-time';
  const usesLog = close.by !== 'event-time';
  const logGraceMs = close.by === 'event-time' ? 0 : graceMs + close.delayMs;
  const setIfEarlier = (time: 'event' | 'log', key: string, dueMs: number): void => {
    const presentMs = timers.get(time, key);
    if (presentMs === undefined || presentMs > dueMs) timers.set(time, key, dueMs);
  };
  return {
    reachedMs: usesLog
      ? () => {
          const byLogMs = context.logTimeMs - logGraceMs;
          return usesEvent ? Math.max(byLogMs, context.streamTimeMs - graceMs) : byLogMs;
        }
      : () => context.streamTimeMs - graceMs,
    set: (key, endMs) => {
      if (usesEvent) timers.set('event', key, endMs + graceMs);
      if (usesLog) timers.set('log', key, endMs + logGraceMs);
    },
    setIfEarlier: (key, endMs) => {
      if (usesEvent) setIfEarlier('event', key, endMs + graceMs);
      if (usesLog) setIfEarlier('log', key, endMs + logGraceMs);
    },
    clear: (key) => {
      if (usesEvent) timers.cancel('event', key);
      if (usesLog) timers.cancel('log', key);
    },
    isSet: (key) => timers.get(usesEvent ? 'event' : 'log', key) !== undefined,
  };
}
