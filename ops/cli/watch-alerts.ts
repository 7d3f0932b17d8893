/** Counts and shows the alerts of a run, and samples how long they took. */
import type { Clock } from '#pipeline/clock.ts';
import type { SinkRecord } from '#pipeline/rooms.ts';
import type { Alert } from '#schemas/alert.ts';
import { alerts } from '#schemas/topics.ts';
import type { Display } from './display.ts';

export interface AlertWatch {
  readonly onDelivered: (sink: string, records: readonly SinkRecord[]) => void;
  /** From receipt by the connector, the last ones. */
  readonly kafkaMs: readonly number[];
  readonly postgresMs: readonly number[];
  count(): number;
}

/** Samples kept for the report: enough for percentiles, bounded for an endless run. */
const MAX_SAMPLES = 100_000;

/** Alerts as they become visible: on the WebSocket (which is at the end of the Kafka topic), and in Postgres. */
export function watchAlerts(display: Display, clock: Clock): AlertWatch {
  const kafkaMs: number[] = [];
  const postgresMs: number[] = [];
  let count = 0;
  const sample = (samples: number[], valueMs: number) => {
    if (samples.length >= MAX_SAMPLES) samples.splice(0, MAX_SAMPLES / 2);
    samples.push(valueMs);
  };
  return {
    kafkaMs,
    postgresMs,
    count: () => count,
    onDelivered: (sink, records) => {
      const nowMs = clock.nowMs();
      for (const record of records) {
        if (record.topic.name !== alerts.name) continue;
        const alert = record.value as Alert;
        if (sink === 'websocket') {
          count += 1;
          sample(kafkaMs, nowMs - alert.receivedAtMs);
          display.alert(alert);
        } else if (sink === 'postgres') sample(postgresMs, nowMs - alert.receivedAtMs);
      }
    },
  };
}
