/** The wall clock and the timers that hang on it. Handed in, so that tests move time by hand. */
export interface Clock {
  /** Epoch milliseconds. */
  nowMs(): number;
  /** Resolves after `ms`, or as soon as the signal aborts; never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls `tick` every `ms` until the returned function is called. Does not keep the process alive. */
  every(ms: number, tick: () => void): () => void;
  /** Calls `work` soon, after what waits already. */
  soon(work: () => void): void;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal?.addEventListener('abort', done, { once: true });
    }),
  every: (ms, tick) => {
    const timer = setInterval(tick, ms);
    timer.unref();
    return () => clearInterval(timer);
  },
  soon: (work) => {
    setImmediate(work);
  },
};

/** Resolves once the signal is aborted; never rejects. */
export const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

/** Doubles from `firstMs` up to `maxMs`; `attempt` counts from 0. No jitter: one process, one peer. */
export const backoffMs = (attempt: number, firstMs = 100, maxMs = 5_000): number =>
  Math.min(maxMs, firstMs * 2 ** Math.min(attempt, 16));
