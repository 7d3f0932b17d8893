/** Stops what uses Kafka in order, and in bounded time. */
import type { Clock } from '#pipeline/clock.ts';
import type { Kafka } from '#pipeline/kafka/types.ts';
import type { Log } from '#pipeline/telemetry/log.ts';

const STOP_MS = 10_000;

/**
 * Runs `stop`, then closes the client. When it takes longer than 10 s, Kafka does not take, or say, what is waited for: the client
 * is closed before, which ends all waiting. Nothing that was acknowledged is lost, and what was not is made or asked for again.
 */
export async function stopInTime(options: {
  readonly kafka: Pick<Kafka, 'close'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly stop: () => Promise<void>;
}): Promise<void> {
  const { kafka, clock, log, stop } = options;
  const stopped = new AbortController();
  const givenUp = clock.sleep(STOP_MS, stopped.signal).then(async () => {
    if (stopped.signal.aborted) return;
    log.warn('Kafka does not take what is left to write: stopping without it', { waitedMs: STOP_MS });
    await kafka.close();
  });
  try {
    await stop();
  } finally {
    stopped.abort();
    await givenUp;
    await kafka.close();
  }
}
