/** What a process reads on the control topics: progress of tasks everywhere, and wishes of other processes. */
import type { KafkaRecord } from '#pipeline/kafka/types.ts';
import { type ControlTick, readControlTick } from './outputs.ts';
import type { Task } from './task.ts';
import { readWish } from './wishes.ts';

export interface Control {
  take(records: readonly KafkaRecord[]): void;
  /** Tells a task that was opened just now what is known of its writers: else it would wait for their next repetition. */
  tell(task: Task): void;
}

export function createControl(options: {
  /** Those that run at present. */
  readonly tasks: readonly Task[];
  readonly onWish: (logTimeMs: number) => void;
}): Control {
  const { tasks, onWish } = options;
  const last = new Map<string, ControlTick>();
  return {
    take: (records) => {
      for (const { value } of records) {
        const tick = readControlTick(value);
        if (tick === null) {
          const wantMs = readWish(value);
          if (wantMs !== null) onWish(wantMs);
          continue;
        }
        const known = last.get(tick.writer);
        if (known === undefined || !isBefore(tick, known)) last.set(tick.writer, tick);
        for (const task of tasks) task.acceptControl(tick);
      }
    },
    tell: (task) => {
      for (const tick of last.values()) task.acceptControl(tick);
    },
  };
}

const isBefore = (one: ControlTick, other: ControlTick): boolean =>
  one.epoch < other.epoch || (one.epoch === other.epoch && one.logTimeMs < other.logTimeMs);
