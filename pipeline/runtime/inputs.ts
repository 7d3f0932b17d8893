/** What the tasks of a process read: one fetched partition may have several readers. */
import type { Fetcher, KafkaRecord } from '#pipeline/kafka/types.ts';
import type { Inbound } from '#pipeline/merge/inbound.ts';
import type { Task } from './task.ts';

export interface Input {
  /** Logical name. */
  readonly topic: string;
  readonly physical: string;
  readonly partition: number;
  readonly readers: readonly { readonly task: Task; readonly inbound: Inbound }[];
  isPaused: boolean;
  /** Where the partition ended when it was last fetched; 0 before. */
  endOffset: number;
}

export interface Inputs {
  readonly all: readonly Input[];
  /** Hands records to all readers. False when nobody reads the partition. */
  take(physical: string, partition: number, records: readonly KafkaRecord[], endOffset?: number): boolean;
  /** Records that the task has not folded yet, as far as was seen; ticks count until they are read. */
  lag(task: Task): number;
  /** Stops fetching partitions of which enough waits, and starts again those of which little does. */
  balance(fetcher: Pick<Fetcher, 'pause' | 'resume'>): void;
}

export function createInputs(options: {
  tasks: readonly Task[];
  physicalName: (topic: string) => string;
  /** Bytes that may wait in one partition before its fetching is paused. */
  maxWaitingBytes: number;
}): Inputs {
  const { tasks, physicalName, maxWaitingBytes } = options;
  const byName = new Map<string, Input & { readonly readers: { task: Task; inbound: Inbound }[] }>();
  for (const task of tasks) {
    for (const inbound of task.inbounds) {
      const { topic, partition } = inbound;
      const physical = physicalName(topic);
      const name = `${physical}/${partition}`;
      const input = byName.get(name) ?? {
        topic,
        physical,
        partition,
        readers: [],
        isPaused: false,
        endOffset: 0,
      };
      input.readers.push({ task, inbound });
      byName.set(name, input);
    }
  }
  const all = [...byName.values()];
  return {
    all,
    take: (physical, partition, records, endOffset = 0) => {
      const input = byName.get(`${physical}/${partition}`);
      if (input === undefined) return false;
      input.endOffset = Math.max(input.endOffset, endOffset);
      for (const { task } of input.readers) task.accept(input.topic, partition, records);
      return true;
    },
    lag: (task) => {
      let lag = task.waiting;
      for (const { readers, endOffset } of all) {
        for (const { task: reader, inbound } of readers)
          if (reader === task) lag += Math.max(0, endOffset - inbound.nextOffset);
      }
      return lag;
    },
    balance: (fetcher) => {
      for (const input of all) {
        const limit = input.isPaused ? maxWaitingBytes / 2 : maxWaitingBytes;
        // Pausing a partition whose needed writer lies behind others would be a deadlock (engine rules, section 6).
        const mustPause =
          input.readers.some(({ inbound }) => inbound.waitingBytes > limit) &&
          input.readers.every(({ inbound }) => inbound.canPause());
        if (mustPause === input.isPaused) continue;
        input.isPaused = mustPause;
        if (mustPause) fetcher.pause(input.physical, input.partition);
        else fetcher.resume(input.physical, input.partition);
      }
    },
  };
}
