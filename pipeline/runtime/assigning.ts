/** Changes which tasks run in a process while the others fold on. */
import { backoffMs, type Clock } from '#pipeline/clock.ts';
import { isPipelineError, messageOf } from '#pipeline/errors.ts';
import type { Log } from '#pipeline/telemetry/log.ts';
import type { KeptTask } from './checkpoints.ts';
import { type TaskId, taskName } from './graph.ts';
import type { Opened } from './open-task.ts';

/** Most of opening is waiting for Kafka and the disk. */
const OPENED_AT_ONCE = 4;
/** Between two looks whether what cannot be opened yet now can. */
const [FIRST_PAUSE_MS, LAST_PAUSE_MS] = [100, 1_000];

export interface Assignment {
  /** All that were wanted last are here, or over. */
  readonly isSettled: boolean;
  /** Of those that were wanted last, how many a later version has gone on with. */
  readonly over: number;
  /** See `Processing.assign`. The first one throws what fails, later ones end processing. */
  assign(wanted: readonly TaskId[]): Promise<void>;
  /** Ends what is under way, as soon as the task that is being opened is open. */
  stop(): Promise<void>;
}

export function createAssignment(parts: {
  /** Those that run at present; changed by `enter` and `leave` alone. */
  readonly kept: readonly KeptTask[];
  readonly clock: Clock;
  readonly log: Log;
  readonly fail: (error: unknown) => void;
  /** Once, before the first task is opened. */
  readonly prepare: () => Promise<void>;
  readonly open: (id: TaskId) => Promise<Opened>;
  /** It folds from now on. */
  readonly enter: (one: KeptTask) => void;
  /** It folds no more; resolves when its state rests. */
  readonly leave: (one: KeptTask) => Promise<void>;
  /** After each that came or went. */
  readonly changed: () => void;
}): Assignment {
  const { kept, clock, log } = parts;
  let stopped = false;
  let turns = 0;
  let present = new AbortController();
  let isSettled = true;
  let over = 0;
  let working: Promise<void> = Promise.resolve();

  /** Once tasks run, a broker that is away for long must not end them: what was to come waits for it. */
  const open = async (id: TaskId, isFirst: boolean): Promise<Opened> => {
    try {
      return await parts.open(id);
    } catch (error) {
      if (isFirst || !isPipelineError(error) || error.action !== 'retry') throw error;
      log.warn('a task cannot be opened yet, trying again', { task: taskName(id), error: messageOf(error) });
      return 'early';
    }
  };

  /** Those that cannot be opened yet. */
  const openAll = async (
    ids: readonly TaskId[],
    isFirst: boolean,
    signal: AbortSignal,
  ): Promise<readonly TaskId[]> => {
    const coming = [...ids];
    const early: TaskId[] = [];
    const worker = async (): Promise<void> => {
      for (let id = coming.shift(); id !== undefined && !signal.aborted; id = coming.shift()) {
        const opened = await open(id, isFirst);
        if (opened === 'early') early.push(id);
        else if (opened === 'over') over += 1;
        else {
          parts.enter(opened);
          parts.changed();
        }
      }
    };
    // All of them come to an end, so that nothing is opened behind the back of whoever handles the failure of one.
    const ends = await Promise.allSettled(Array.from({ length: OPENED_AT_ONCE }, worker));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
    return early;
  };

  const change = async (wanted: readonly TaskId[], isFirst: boolean, signal: AbortSignal): Promise<void> => {
    if (signal.aborted) return;
    over = 0;
    const names = new Set(wanted.map(taskName));
    const going = kept.filter(({ task }) => !names.has(task.writer));
    await Promise.all(going.map(parts.leave));
    parts.changed();
    if (wanted.length > 0 && !signal.aborted) await parts.prepare();
    let coming: readonly TaskId[] = wanted.filter((id) =>
      kept.every(({ task }) => task.writer !== taskName(id)),
    );
    for (let attempt = 0; coming.length > 0 && !signal.aborted; attempt += 1) {
      if (attempt > 0) await clock.sleep(backoffMs(attempt - 1, FIRST_PAUSE_MS, LAST_PAUSE_MS), signal);
      coming = await openAll(coming, isFirst, signal);
      if (attempt === 0 && coming.length > 0)
        log.warn(
          `${coming.map(taskName).join(', ')}: not at the cut yet, or out of reach; waits, and the version before must be kept running ("baleen upgrade --force" where it cannot)`,
        );
    }
    isSettled = !signal.aborted;
  };

  return {
    get isSettled() {
      return isSettled;
    },
    get over() {
      return over;
    },
    assign: (wanted) => {
      if (stopped) return working;
      // What still waits for its state gives way.
      present.abort();
      present = new AbortController();
      const { signal } = present;
      isSettled = false;
      turns += 1;
      const isFirst = turns === 1;
      const done = working.then(() => change(wanted, isFirst, signal));
      working = done.catch((error: unknown) => {
        if (!isFirst) parts.fail(error);
      });
      return isFirst ? done : working;
    },
    stop: async () => {
      stopped = true;
      present.abort();
      await working;
    },
  };
}
