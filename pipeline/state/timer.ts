/** Timers of a processor's own, declared among its stores; their handlers stand in `onTimer`. */
import type { StoreDeclaration, TimerTime } from './store.ts';

/** At most one timer for each key; part of the state. */
export interface TimerStore {
  /** Fires once at `atMs`; replaces the one of this key. */
  set(key: string, atMs: number): void;
  cancel(key: string): void;
  /** Due time, or undefined. */
  get(key: string): number | undefined;
}

const timer = (time: TimerTime): StoreDeclaration<TimerStore> => ({
  kind: 'timer',
  settings: { time },
  open: ({ timers }) => ({
    handle: {
      set: (key, atMs) => timers.set(time, key, atMs),
      cancel: (key) => timers.cancel(time, key),
      get: (key) => timers.get(time, key),
    },
  }),
});

/** Fires in log time, before anything of that time or later: also on a quiet key and a quiet partition. */
export const logTimer = (): StoreDeclaration<TimerStore> => timer('log');

/**
 * Fires when event time moves to its due time or past it, before the record that moves it is processed. One that is set
 * for a time already reached fires with the next move.
 */
export const eventTimer = (): StoreDeclaration<TimerStore> => timer('event');
