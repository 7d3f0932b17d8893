/** What is said about tasks that wait for long or are halted, by where it began, with the next step. */

import type { Clock } from '#pipeline/clock.ts';
import { causeOf, type TaskWait, type WaitCause } from '#pipeline/runtime/waits.ts';
import type { Display } from './display.ts';
import { duration } from './quantities.ts';

/** A proof from Kafka takes milliseconds. */
const PARTITION_MS = 5_000;
/** A task that has much to do lets its readers wait. */
const BUSY_MS = 30_000;
const SAY_AGAIN_MS = 60_000;

export interface WaitNotice {
  /** The same as long as the cause is. */
  readonly id: string;
  readonly text: string;
}

interface Group {
  readonly cause: WaitCause;
  readonly waits: TaskWait[];
}

/** One for each cause, in the order of the tasks. */
export function waitNotices(waits: readonly TaskWait[], nowMs: number): readonly WaitNotice[] {
  const groups = new Map<string, Group>();
  for (const wait of waits) {
    const cause = causeOf(wait.task, waits);
    if (cause === null) continue;
    const id = `${cause.kind} ${cause.name}`;
    const group = groups.get(id) ?? { cause, waits: [] };
    group.waits.push(wait);
    groups.set(id, group);
  }
  return [...groups].flatMap(([id, group]) => {
    const text = textOf(group, nowMs);
    return text === null ? [] : [{ id, text }];
  });
}

/** Null: not for long yet. */
function textOf({ cause: { kind, name }, waits }: Group, nowMs: number): string | null {
  const sinceMs = Math.min(...waits.map((wait) => wait.sinceMs ?? nowMs));
  const forMs = nowMs - sinceMs;
  const names = (tasks: readonly TaskWait[]) => tasks.map(({ task }) => task).join(', ');
  const verb = waits.length === 1 ? 'has' : 'have';
  if (kind === 'halted') {
    const halted = waits.find((wait) => wait.task === name)?.halted ?? null;
    const others = waits.filter((wait) => wait.task !== name);
    const readers =
      others.length === 0 ? '' : `; ${names(others)} ${others.length === 1 ? 'waits' : 'wait'} for it`;
    return `${name} is halted before ${halted?.place}: ${halted?.cause}${readers}. Correct the processor, or let its onError put the record aside, and start again; where neither can be, "baleen exclude ${name}" lets the others go on without it`;
  }
  if (forMs < (kind === 'partition' ? PARTITION_MS : BUSY_MS)) return null;
  const waited = `${names(waits)} ${verb} waited ${duration(forMs)} for ${name}`;
  return kind === 'busy'
    ? `${waited}, which is behind. "baleen status" shows its lag`
    : `${waited}: no tick shows that nothing earlier follows there. Is Kafka up? "baleen doctor" checks it; where that partition cannot be mended soon, "baleen exclude ${name}" goes on without it`;
}

/** Says what is new, says it again every minute, and says when it is over. To be called about once a second. */
export function showWaits(display: Pick<Display, 'warn' | 'note'>, clock: Pick<Clock, 'nowMs'>) {
  const said = new Map<string, number>();
  return (waits: readonly TaskWait[]): void => {
    const nowMs = clock.nowMs();
    const notices = waitNotices(waits, nowMs);
    for (const { id, text } of notices) {
      if (nowMs - (said.get(id) ?? Number.NEGATIVE_INFINITY) < SAY_AGAIN_MS) continue;
      said.set(id, nowMs);
      display.warn(text);
    }
    for (const id of said.keys()) {
      if (notices.some((notice) => notice.id === id)) continue;
      said.delete(id);
      display.note(`nobody waits for ${id.slice(id.indexOf(' ') + 1)} any more`);
    }
  };
}
