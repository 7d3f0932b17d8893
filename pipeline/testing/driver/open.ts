/** Opens tasks of the driver from their disks, and shows them the log. */
import type { Clock } from '#pipeline/clock.ts';
import type { Entry } from '#pipeline/kafka/types.ts';
import type { Graph, GraphNode, TaskId } from '#pipeline/runtime/graph.ts';
import { DEFAULT_LIMITS } from '#pipeline/runtime/limits.ts';
import type { ControlTick } from '#pipeline/runtime/outputs.ts';
import { createTask, type Task } from '#pipeline/runtime/task.ts';
import { MAX_RECORD_BYTES } from '#pipeline/runtime/topic-settings.ts';
import type { Serde } from '#pipeline/serde/serde.ts';
import { type KeyRange, withContents } from '#pipeline/state/task-state.ts';
import { type Metrics, silentMetrics } from '#pipeline/telemetry/metrics.ts';
import type { Disk } from './disk.ts';
import type { MemoryLog } from './memory-log.ts';

/** What all tasks of a driver share. */
export interface World {
  readonly graph: Graph;
  readonly serde: Serde;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: MemoryLog;
  /** The greatest promise of each writer: what a reader that starts later is told again. */
  readonly promises: ReadonlyMap<string, ControlTick>;
}

export const FINGERPRINT = 'driver';
const GENESIS = { fingerprint: FINGERPRINT, epoch: 1, startOffsets: new Map<string, number>() };

/** An entry on its way to the log. */
export interface Sent {
  readonly topic: string;
  readonly partition: number;
  readonly entry: Entry;
}

export interface OpenOptions {
  readonly world: World;
  readonly id: TaskId;
  readonly node: GraphNode;
  readonly disk: Disk;
  readonly send: (sent: Sent) => void;
}

/** A task with its state as the disk has it, before its first record. */
export function openTask({ world, id, node, disk, send }: OpenOptions, metrics: Metrics): Task {
  const task = createTask({
    id,
    node,
    graph: world.graph,
    genesis: GENESIS,
    serde: world.serde,
    clock: world.clock,
    metrics,
    producer: { append: (topic, partition, entry) => send({ topic, partition, entry }) },
    backend: disk,
    maxRecordBytes: MAX_RECORD_BYTES,
    limits: DEFAULT_LIMITS,
    physicalName: (topic) => topic,
  });
  for (const { first, end, foundLast } of task.state.ranges)
    foundLast(disk.scan(first, end).at(-1)?.[0] ?? null);
  for (const { first, end, load } of task.state.loaders)
    for (const [key, text] of disk.scan(first, end)) load(key, text);
  return task;
}

/** Shows a task everything in the log that it has not seen. */
export function feed(task: Task, log: MemoryLog): void {
  for (const { topic, partition, nextOffset } of task.inbounds) {
    const records = log.records(topic, partition);
    if (nextOffset < records.length) task.accept(topic, partition, records.slice(nextOffset));
  }
}

/** A copy of a task that runs on, opened from a disk of its state. */
export interface Copy {
  readonly task: Task;
  /** Folds one record or timer, knowing what the original knows. False: it could not. */
  step(): boolean;
  /** Writes its state to its disk, and returns the ranges of keys that its stores gave up. */
  save(): readonly KeyRange[];
}

export function openCopy(options: OpenOptions, original: Task): Copy {
  const { world, disk } = options;
  const task = openTask(options, silentMetrics);
  /** Shows it at most `limit` more records of each partition, but none that the original has not seen. False: there are none. */
  const feedSome = (limit: number): boolean => {
    let isFed = false;
    for (const [index, inbound] of task.inbounds.entries()) {
      const end = Math.min(original.inbounds[index]?.nextOffset ?? 0, inbound.nextOffset + limit);
      if (end <= inbound.nextOffset || inbound.canPause()) continue;
      const { topic, partition, nextOffset } = inbound;
      task.accept(topic, partition, world.log.records(topic, partition).slice(nextOffset, end));
      isFed = true;
    }
    for (const promise of world.promises.values()) task.acceptControl(promise);
    return isFed;
  };
  return {
    task,
    step: () => {
      // Little by little: a step must not cost more for all that waits behind it.
      for (let limit = 4; ; limit *= 4) {
        const isFed = feedSome(limit);
        if (task.work(1) === 1) return true;
        if (!isFed) return false;
      }
    },
    save: () => {
      const captured = task.state.capture();
      disk.write(withContents(captured.operations, JSON.stringify(task.contents())));
      for (const [first, end] of captured.dropped) disk.clear(first, end);
      captured.settled();
      return captured.dropped;
    },
  };
}
