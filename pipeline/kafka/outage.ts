/** Says once, then at intervals, that Kafka does not answer; and when it answers again. */
import { backoffMs, type Clock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import type { Log } from '../telemetry/log.ts';

const REPEAT_MS = 10_000;
/** Errors of single partitions are normal for a moment: after creation of a topic, when a leader moves. */
const PARTITION_GRACE_MS = 1_000;
/** After so long without another error the next one is a new outage. */
const QUIET_MS = 5_000;

export interface Outage {
  /** A request failed and will be tried again. `isPartition`: the node answered, some partition cannot be used. */
  failed(error: unknown, options?: { isPartition?: boolean }): void;
  /** An answer without error came. */
  recovered(): void;
}

/** Pause before attempt `attempt` (from 0): 20 ms, doubling to 1 s. */
export const retryDelayMs = (attempt: number): number => backoffMs(attempt, 20, 1_000);

export function createOutage(options: { log: Log; clock: Clock; brokers: readonly string[] }): Outage {
  const { log, clock, brokers } = options;
  let sinceMs: number | null = null;
  let lastMs = 0;
  let saidMs: number | null = null;
  return {
    failed: (error, { isPartition = false } = {}) => {
      const nowMs = clock.nowMs();
      if (sinceMs === null || nowMs - lastMs > QUIET_MS) sinceMs = nowMs;
      lastMs = nowMs;
      if (isPartition && nowMs - sinceMs < PARTITION_GRACE_MS) return;
      if (saidMs !== null && nowMs - saidMs < REPEAT_MS) return;
      saidMs = nowMs;
      log.warn('Kafka does not answer, trying again', {
        brokers: brokers.join(','),
        error: messageOf(error),
      });
    },
    recovered: () => {
      if (sinceMs === null) return;
      if (saidMs !== null) log.info('Kafka answers again', { durationMs: clock.nowMs() - sinceMs });
      sinceMs = null;
      saidMs = null;
    },
  };
}
