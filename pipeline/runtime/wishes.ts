/**
 * Wishes for ticks, between processes. A record that waits here may wait, through tasks that run elsewhere, for a raw
 * partition that nobody here reads. Those who read it see nothing wait, so they are told: a small record on a control topic,
 * which everybody reads (engine rules, 5.1).
 */
import type { Clock } from '#pipeline/clock.ts';
import type { Producer } from '#pipeline/kafka/types.ts';
import type { Metrics } from '#pipeline/telemetry/metrics.ts';
import type { Graph, TaskId } from './graph.ts';

export interface Wishes {
  /** Something here waits for proof that nothing up to this log time follows. */
  want(logTimeMs: number): void;
}

export function createWishes(options: {
  producer: Pick<Producer, 'append' | 'isHeldUp'>;
  /** Physical name of the control topic that they go to. */
  topic: string;
  clock: Pick<Clock, 'nowMs'>;
  metrics: Pick<Metrics, 'add'>;
  /** Least time between two. */
  intervalMs: number;
}): Wishes {
  const { producer, topic, clock, metrics, intervalMs } = options;
  let lastMs = Number.NEGATIVE_INFINITY;
  return {
    want: (logTimeMs) => {
      const nowMs = clock.nowMs();
      if (nowMs - lastMs < intervalMs || producer.isHeldUp(topic, 0)) return;
      lastMs = nowMs;
      const value = Buffer.from(JSON.stringify({ wantMs: logTimeMs }));
      producer.append(topic, 0, { timestampMs: nowMs, key: null, value, headers: [] });
      metrics.add('ticks_total', { kind: 'wish' });
    },
  };
}

/** The log time of a wish; null when the bytes are none. */
export function readWish(bytes: Buffer | null): number | null {
  try {
    const value: unknown = JSON.parse(bytes?.toString() ?? '');
    const wantMs = typeof value === 'object' && value !== null && 'wantMs' in value ? value.wantMs : null;
    return typeof wantMs === 'number' ? wantMs : null;
  } catch {
    return null;
  }
}

/** Some of these tasks read what tasks write that run elsewhere. */
export function waitOnOthers(
  graph: Graph,
  tasks: readonly { readonly id: TaskId; readonly writer: string }[],
): boolean {
  const here = new Set(tasks.map(({ writer }) => writer));
  const running = new Set(tasks.map(({ id }) => id.subTopology));
  return graph.nodes
    .filter(({ name }) => running.has(name))
    .flatMap(({ keyedInputs, broadcastInputs }) => [...keyedInputs, ...broadcastInputs])
    .some((topic) => graph.writers(topic).some((writer) => !here.has(writer)));
}
