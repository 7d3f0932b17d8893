/** Whether a partition of a raw topic can be written to at present. */
import { type Clock, systemClock } from '#pipeline/clock.ts';
import { isPipelineError } from '#pipeline/errors.ts';
import { TICK_HEADERS } from '#pipeline/merge/position.ts';
import type { PlanAccess } from './plan-access.ts';

const TRY_MS = 4_000;

/** Those of `names` (`raw.trades.v1/3`; tasks are passed over) that take a tick within 4 s: no reader waits for them for long. */
export async function writableOf(
  { kafka, physicalName }: Pick<PlanAccess, 'kafka' | 'physicalName'>,
  names: readonly string[],
  clock: Clock = systemClock,
): Promise<readonly string[]> {
  const producers = names.flatMap((name) => {
    const at = name.lastIndexOf('/');
    if (at === -1) return [];
    // One for each: a partition that takes nothing holds up all that go with it.
    const producer = kafka.producer();
    const sent = producer
      .send(physicalName(name.slice(0, at)), Number(name.slice(at + 1)), {
        timestampMs: clock.nowMs(),
        key: null,
        value: null,
        headers: TICK_HEADERS,
      })
      .then(
        () => name,
        (error: unknown) => {
          if (isPipelineError(error, 'KAFKA_UNAVAILABLE')) return null;
          throw error;
        },
      );
    return [{ producer, sent }];
  });
  const waiting = new AbortController();
  const late = clock.sleep(TRY_MS, waiting.signal).then(() => null);
  try {
    const found = await Promise.all(producers.map(({ sent }) => Promise.race([sent, late])));
    return found.filter((name) => name !== null);
  } finally {
    waiting.abort();
    await Promise.all(producers.map(({ producer }) => producer.close(AbortSignal.abort())));
  }
}
