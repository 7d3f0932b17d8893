/**
 * Ticks on raw, fact and plan partitions: small records that readers append, on demand, when a record waits for them.
 * The broker's append time makes one a proof that nothing earlier can follow (engine rules, 5.1).
 *
 * A record that waits anywhere will, on its way down, be waited for against every raw partition. So one wish ticks all that
 * are behind it, in one request, instead of one hop after the other.
 */
import type { Clock } from '#pipeline/clock.ts';
import type { Producer } from '#pipeline/kafka/types.ts';
import { TICK_HEADERS } from '#pipeline/merge/position.ts';
import type { Metrics } from '#pipeline/telemetry/metrics.ts';

export interface Ticker {
  /** A partition is read here from now on, or no more. Physical names. */
  add(topic: string, partition: number): void;
  remove(topic: string, partition: number): void;
  /** A record or tick was seen. */
  seen(topic: string, partition: number, timestampMs: number): void;
  /** Something waits for proof that no partition has anything up to this log time. */
  want(logTimeMs: number): void;
}

interface PartitionTime {
  readonly topic: string;
  readonly partition: number;
  /** Greatest append time seen. */
  maximumMs: number;
  /** Wall clock of the last record or tick, seen or asked for. */
  activeAtMs: number;
}

export function createTicker(options: {
  producer: Pick<Producer, 'append' | 'isHeldUp'>;
  clock: Pick<Clock, 'nowMs'>;
  metrics: Pick<Metrics, 'add'>;
  /** A partition is left alone for this long after its last record or tick. */
  intervalMs: number;
}): Ticker {
  const { producer, clock, metrics, intervalMs } = options;
  const times = new Map<string, PartitionTime>();
  return {
    add: (topic, partition) => {
      const name = `${topic}/${partition}`;
      if (!times.has(name)) times.set(name, { topic, partition, maximumMs: 0, activeAtMs: 0 });
    },
    remove: (topic, partition) => void times.delete(`${topic}/${partition}`),
    seen: (topic, partition, timestampMs) => {
      const time = times.get(`${topic}/${partition}`);
      if (time === undefined) return;
      time.maximumMs = Math.max(time.maximumMs, timestampMs);
      time.activeAtMs = clock.nowMs();
    },
    want: (logTimeMs) => {
      const nowMs = clock.nowMs();
      // Within the same millisecond a tick would prove nothing: others of that millisecond may follow it.
      if (nowMs <= logTimeMs) return;
      for (const time of times.values()) {
        if (time.maximumMs > logTimeMs || nowMs - time.activeAtMs < intervalMs) continue;
        // More would only fill the memory.
        if (producer.isHeldUp(time.topic, time.partition)) continue;
        time.activeAtMs = nowMs;
        producer.append(time.topic, time.partition, {
          timestampMs: nowMs,
          key: null,
          value: null,
          headers: TICK_HEADERS,
        });
        metrics.add('ticks_total', { kind: 'raw' });
      }
    },
  };
}
