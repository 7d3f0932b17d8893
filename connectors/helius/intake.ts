/** From the body of a delivery to an acknowledged raw record, in bounded time. */
import { messageOf } from '#pipeline/errors.ts';
import type { ConnectorContext } from '#pipeline/rooms.ts';
import { rawHelius } from '#schemas/topics.ts';
import { deliveryOf } from './delivery.ts';

/** At a stop, a record that is on its way gets this long; the provider repeats what was not answered with 200. */
const STOP_PATIENCE_MS = 3_000;

export interface Intake {
  /** True once Kafka holds the record; false when it cannot within the time, or a stop is asked for. Never rejects. */
  accept(body: Buffer): Promise<boolean>;
  /** Resolves when nothing is on its way any more. */
  settled(): Promise<void>;
  /** Records on their way, also those whose request was answered with 503 because it took too long. */
  readonly pendingCount: number;
  readonly acceptedCount: number;
}

/** `stopped`: no record is started after it. */
export function createIntake(options: {
  context: ConnectorContext;
  ackTimeoutMs: number;
  stopped: AbortSignal;
}): Intake {
  const { context, ackTimeoutMs, stopped } = options;
  const { clock, log, metrics } = context;
  const pending = new Set<Promise<boolean>>();
  let acceptedCount = 0;

  const deliver = async (body: Buffer, isLate: AbortSignal): Promise<boolean> => {
    const receivedAtMs = clock.nowMs();
    await Promise.race([context.writable(), aborted(AbortSignal.any([isLate, stopped]))]);
    if (isLate.aborted || stopped.aborted) return false;
    const { kind, key } = deliveryOf(body);
    if (kind === 'unreadable') {
      // Kept with its bytes and answered with 200 all the same: sent again it would be no better.
      metrics.add('connector_refused_total', { connector: 'helius', reason: 'unreadable' });
      log.warn('unreadable delivery kept for the dead-letter topic', { bytes: body.length });
    }
    await context.emit(rawHelius, key, { source: 'helius', kind, receivedAtMs, body });
    metrics.add('connector_records_total', { connector: 'helius' });
    acceptedCount += 1;
    return true;
  };

  return {
    async accept(body) {
      const answered = new AbortController();
      const late = new AbortController();
      const delivered = deliver(body, late.signal)
        .catch((error: unknown) => {
          log.error('a delivery could not be written to Kafka', { error: messageOf(error) });
          return false;
        })
        .finally(() => pending.delete(delivered));
      pending.add(delivered);
      // A record may still get through after the 503; the repeated delivery is then dropped by its signature.
      const isDelivered = await Promise.race([
        delivered,
        clock.sleep(ackTimeoutMs, answered.signal).then(() => false),
        aborted(stopped, answered.signal)
          .then(() => clock.sleep(STOP_PATIENCE_MS, answered.signal))
          .then(() => false),
      ]);
      answered.abort();
      late.abort();
      return isDelivered;
    },
    async settled() {
      await Promise.all(pending);
    },
    get pendingCount() {
      return pending.size;
    },
    get acceptedCount() {
      return acceptedCount;
    },
  };
}

/** Resolves when the signal aborts; forgets about it as soon as `unless` does. */
function aborted(signal: AbortSignal, unless?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const options = unless === undefined ? { once: true } : { once: true, signal: unless };
    signal.addEventListener('abort', () => resolve(), options);
  });
}
