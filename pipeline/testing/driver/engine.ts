/** The process of the driver: a log in memory, its tasks, and the loop that runs until nothing more can happen. */
import type { Clock } from '#pipeline/clock.ts';
import { PipelineError } from '#pipeline/errors.ts';
import { TICK_HEADERS } from '#pipeline/merge/position.ts';
import type { Graph } from '#pipeline/runtime/graph.ts';
import { type ControlTick, readControlTick } from '#pipeline/runtime/outputs.ts';
import type { Serde } from '#pipeline/serde/serde.ts';
import { createCounts } from './counts.ts';
import { createMemoryLog, type MemoryTopic } from './memory-log.ts';
import type { World } from './open.ts';
import { createStreams, type Streams } from './streams.ts';
import { DriverTask } from './task.ts';

export interface Engine extends World {
  readonly tasks: readonly DriverTask[];
  readonly streams: Streams;
  readonly metrics: ReturnType<typeof createCounts>;
  readonly nowMs: number;
  /** Throws INVARIANT_BROKEN when `ms` lies in the past. */
  moveTo(ms: number): void;
  /** Proves on every partition with append time that its broker's clock has come to now. */
  tick(): void;
  /** Folds all that can be folded, through all tasks. */
  settle(): void;
}

const TICK = { timestampMs: 0, key: null, value: null, headers: TICK_HEADERS } as const;

export function createEngine(options: {
  graph: Graph;
  serde: Serde;
  startMs: number;
  appendTimeMs: (topic: string, partition: number, nowMs: number) => number;
  isStrict: boolean;
}): Engine {
  const { graph, serde } = options;
  let nowMs = options.startMs;
  const appendTimeMs = (topic: string, partition: number): number =>
    options.appendTimeMs(topic, partition, nowMs);
  const clock: Clock = {
    nowMs: () => nowMs,
    sleep: () => Promise.resolve(),
    every: () => () => {},
    soon: (work) => work(),
  };

  const stamped = graph.topics.filter(({ layer }) => layer !== 'derived');
  const derived = new Set(graph.topics.filter(({ layer }) => layer === 'derived').map(({ name }) => name));
  const controlTopics = new Set(graph.nodes.map(({ controlTopic }) => controlTopic));
  const streams = createStreams();
  const promises = new Map<string, ControlTick>();
  const log = createMemoryLog({
    topics: new Map<string, MemoryTopic>([
      ...graph.topics.map((topic): [string, MemoryTopic] => [
        topic.name,
        { partitions: topic.partitions, hasAppendTime: topic.layer !== 'derived' },
      ]),
      ...[...graph.engineTopics].map(([name, { partitions }]): [string, MemoryTopic] => [
        name,
        { partitions, hasAppendTime: false },
      ]),
    ]),
    appendTimeMs,
    onAppend: (topic, partition, record) => {
      if (derived.has(topic)) streams.add(topic, partition, record);
      if (!controlTopics.has(topic)) return;
      const tick = readControlTick(record.value);
      if (tick !== null && tick.logTimeMs > (promises.get(tick.writer)?.logTimeMs ?? -1))
        promises.set(tick.writer, tick);
    },
  });

  const world = { graph, serde, clock, log, promises, metrics: createCounts() };
  const tasks = graph.nodes.flatMap((node) =>
    Array.from({ length: node.partitions }, (_, partition) => {
      const id = { subTopology: node.name, partition };
      return new DriverTask({ world, id, node, isStrict: options.isStrict });
    }),
  );

  return {
    ...world,
    tasks,
    streams,
    get nowMs() {
      return nowMs;
    },
    moveTo: (ms) => {
      if (!(ms >= nowMs)) {
        throw new PipelineError('INVARIANT_BROKEN', `log time is ${nowMs}: expected no less, found ${ms}`);
      }
      nowMs = ms;
    },
    tick: () => {
      for (const { name, partitions } of stamped) {
        for (let partition = 0; partition < partitions; partition += 1) {
          const last = log.records(name, partition).at(-1);
          if (last === undefined || last.timestampMs < appendTimeMs(name, partition))
            log.append(name, partition, TICK);
        }
      }
    },
    settle: () => {
      for (;;) {
        const before = log.size;
        let folded = 0;
        for (const task of tasks) task.feed();
        for (const task of tasks) folded += task.work();
        for (const task of tasks) {
          task.task.emitTick(false);
          if (!task.isHeld) task.deliver();
        }
        if (folded === 0 && log.size === before) return;
      }
    },
  };
}
