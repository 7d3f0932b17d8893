/** Says once, then at intervals, that Kafka, or a partition of it, cannot be used; and when it can again. */
import { backoffMs, type Clock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import type { Log } from '../telemetry/log.ts';

const REPEAT_MS = 10_000;
/** Errors of single partitions are normal for a moment: after creation of a topic, when a leader moves. */
const PARTITION_GRACE_MS = 1_000;
/** After so long without another error the next one is a new outage. */
const QUIET_MS = 5_000;

export interface Outage {
  /** A request failed and will be tried again. */
  failed(error: unknown): void;
  /** An answer without error came. */
  recovered(): void;
  /** The node answered, or would: this partition (`raw.evm.v1/3`) cannot be used, and will be tried again. */
  partitionFailed(use: Use, place: string, error: string): void;
  partitionRecovered(use: Use, place: string): void;
}

type Use = 'read from' | 'written to';

/** Pause before attempt `attempt` (from 0): 20 ms, doubling to 1 s. */
export const retryDelayMs = (attempt: number): number => backoffMs(attempt, 20, 1_000);

interface Trouble {
  readonly sinceMs: number;
  saidMs: number | null;
}

export function createOutage(options: { log: Log; clock: Clock; brokers: readonly string[] }): Outage {
  const { log, clock, brokers } = options;
  let sinceMs: number | null = null;
  let lastMs = 0;
  let saidMs: number | null = null;
  const troubles = new Map<string, Trouble>();
  return {
    failed: (error) => {
      const nowMs = clock.nowMs();
      if (sinceMs === null || nowMs - lastMs > QUIET_MS) sinceMs = nowMs;
      lastMs = nowMs;
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
    partitionFailed: (use, place, error) => {
      const nowMs = clock.nowMs();
      const key = `${use} ${place}`;
      const trouble = troubles.get(key) ?? { sinceMs: nowMs, saidMs: null };
      troubles.set(key, trouble);
      const { sinceMs, saidMs } = trouble;
      if (nowMs - sinceMs < PARTITION_GRACE_MS || (saidMs !== null && nowMs - saidMs < REPEAT_MS)) return;
      trouble.saidMs = nowMs;
      log.warn(`${place} cannot be ${use}, trying again`, { error, durationMs: nowMs - sinceMs });
    },
    partitionRecovered: (use, place) => {
      if (troubles.size === 0) return;
      const key = `${use} ${place}`;
      const trouble = troubles.get(key);
      if (trouble === undefined) return;
      troubles.delete(key);
      if (trouble.saidMs === null) return;
      log.info(`${place} can be ${use} again`, { durationMs: clock.nowMs() - trouble.sinceMs });
    },
  };
}
