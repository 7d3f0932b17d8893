/** Who waits for whom: a task that is stuck holds everything downstream of it, and this shows where it began (engine rules, 11.6). */
import type { Clock } from '#pipeline/clock.ts';
import { messageOf } from '#pipeline/errors.ts';
import type { Channel } from '#pipeline/merge/channel.ts';
import type { Task } from './task.ts';

/** How exactly the beginning of a wait is known. */
const LOOK_EVERY_MS = 500;

export interface TaskWait {
  /** Such as `detect-2`; also its name as a writer. */
  readonly task: string;
  /** The record before which it stays, as its processor declares, and why; null: it does not. */
  readonly halted: { readonly place: string; readonly cause: string } | null;
  /** `topic/partition/writer`, or `topic/partition` where readers append the ticks; null: it waits for nothing. */
  readonly waitsFor: string | null;
  /** The task that must speak first; null on raw, fact and plan partitions. */
  readonly writer: string | null;
  /** Log time of the record or timer that waits; null: none does. */
  readonly logTimeMs: number | null;
  /** Wall clock since when, half a second exact; null: nothing waits. */
  readonly sinceMs: number | null;
  /** Where nothing waits: whom it must hear of before it can promise more to those who wait for it. Null: nobody. */
  readonly slowest: { readonly name: string; readonly writer: string | null } | null;
}

export interface Waits {
  /** Of every task, in their order. */
  list(): readonly TaskWait[];
  stop(): void;
}

/** A wait goes on as long as the task makes no step; whom it waits for may change meanwhile. */
export function watchWaits(options: {
  readonly tasks: readonly Task[];
  readonly clock: Pick<Clock, 'nowMs' | 'every'>;
}): Waits {
  const { tasks, clock } = options;
  const known = new WeakMap<Task, { readonly step: number; readonly sinceMs: number }>();

  const look = (task: Task): TaskWait => {
    const { halted, writer } = task;
    const blocked = halted === null ? task.blocked() : null;
    if (halted === null && blocked === null) {
      known.delete(task);
      const none = { halted: null, waitsFor: null, writer: null, logTimeMs: null, sinceMs: null };
      return { task: writer, ...none, slowest: task.slowest === null ? null : nameOf(task.slowest) };
    }
    let wait = known.get(task);
    if (wait?.step !== task.step) {
      wait = { step: task.step, sinceMs: clock.nowMs() };
      known.set(task, wait);
    }
    const { sinceMs } = wait;
    if (blocked === null) {
      const stays = halted === null ? null : { place: halted.place, cause: messageOf(halted.cause) };
      const on = { waitsFor: null, writer: null, logTimeMs: task.boundMs };
      return { task: writer, halted: stays, ...on, sinceMs, slowest: null };
    }
    const { name: waitsFor, writer: awaited } = nameOf(blocked.channel);
    const on = { waitsFor, writer: awaited, logTimeMs: blocked.logTimeMs };
    return { task: writer, halted: null, ...on, sinceMs, slowest: null };
  };

  const stop = clock.every(LOOK_EVERY_MS, () => {
    for (const task of tasks) look(task);
  });
  return { list: () => tasks.map(look), stop };
}

const nameOf = ({ topic, partition, writer }: Channel): { name: string; writer: string | null } =>
  writer === ''
    ? { name: `${topic}/${partition}`, writer: null }
    : { name: `${topic}/${partition}/${writer}`, writer };

/** Where the wait of a task ends: the raw partition, the halted task or the busy task that must move first. */
export interface WaitCause {
  /** The tasks passed on the way, the waiting one first; the last is the one that is halted, busy or reads the partition. */
  readonly path: readonly string[];
  /** `silent`: a partition from which a task hears nothing, in which itself nothing waits; for a moment that is usual. */
  readonly kind: 'halted' | 'partition' | 'silent' | 'busy';
  /** The partition for `partition` and `silent`, else the last task of the path. */
  readonly name: string;
}

/** Null when the task does not wait. `waits` is the list of all tasks; one that is not in it counts as busy. */
export function causeOf(task: string, waits: readonly TaskWait[]): WaitCause | null {
  const byTask = new Map(waits.map((wait) => [wait.task, wait]));
  const path: string[] = [];
  let isSilent = false;
  for (let name = task; ; ) {
    // The graph has no cycle; a task that is met again took a step while the list was made.
    const isMet = path.includes(name);
    path.push(name);
    const wait = byTask.get(name);
    if (wait?.halted != null) return { path, kind: 'halted', name };
    if (path.length === 1 && wait?.waitsFor == null) return null;
    isSilent ||= wait?.waitsFor === null;
    const on = wait?.waitsFor == null ? wait?.slowest : { name: wait.waitsFor, writer: wait.writer };
    if (on == null || isMet) return { path, kind: 'busy', name };
    if (on.writer === null) return { path, kind: isSilent ? 'silent' : 'partition', name: on.name };
    name = on.writer;
  }
}
