/** Changes which tasks run in a process while the others fold on. */
import { backoffMs, type Clock } from '#pipeline/clock.ts';
import { isPipelineError, messageOf } from '#pipeline/errors.ts';
import { writerName } from '#pipeline/merge/position.ts';
import type { Log } from '#pipeline/telemetry/log.ts';
import type { KeptTask } from './checkpoints.ts';
import type { TaskId } from './graph.ts';

/** Most of opening is waiting for Kafka and the disk. */
const OPENED_AT_ONCE = 4;

export interface Assignment {
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
  readonly open: (id: TaskId) => Promise<KeptTask>;
  /** It folds from now on. */
  readonly enter: (one: KeptTask) => void;
  /** It folds no more; resolves when its state rests. */
  readonly leave: (one: KeptTask) => Promise<void>;
  /** After each that came or went. */
  readonly changed: () => void;
}): Assignment {
  const { kept, clock, log } = parts;
  const stopping = new AbortController();
  const { signal } = stopping;
  let latest = 0;
  let working: Promise<void> = Promise.resolve();

  /** Once tasks run, a broker that is away for long must not end them: what was to come waits for it. */
  const open = async (id: TaskId, isFirst: boolean): Promise<KeptTask> => {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await parts.open(id);
      } catch (error) {
        if (isFirst || signal.aborted || !isPipelineError(error) || error.action !== 'retry') throw error;
        const task = writerName(id.subTopology, id.partition);
        log.warn('a task cannot be opened yet, trying again', { task, error: messageOf(error) });
        await clock.sleep(backoffMs(attempt), signal);
      }
    }
  };

  const change = async (wanted: readonly TaskId[], turn: number): Promise<void> => {
    const isStale = () => turn !== latest || signal.aborted;
    if (isStale()) return;
    const names = new Set(wanted.map(nameOf));
    const going = kept.filter(({ task }) => !names.has(task.writer));
    await Promise.all(going.map(parts.leave));
    parts.changed();
    if (wanted.length > 0 && !isStale()) await parts.prepare();
    const coming = wanted.filter((id) => kept.every(({ task }) => task.writer !== nameOf(id)));
    const worker = async (): Promise<void> => {
      for (let id = coming.shift(); id !== undefined && !isStale(); id = coming.shift()) {
        parts.enter(await open(id, turn === 1));
        parts.changed();
      }
    };
    // All of them come to an end, so that nothing is opened behind the back of whoever handles the failure of one.
    const ends = await Promise.allSettled(Array.from({ length: OPENED_AT_ONCE }, worker));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  };

  return {
    assign: (wanted) => {
      latest += 1;
      const turn = latest;
      const done = working.then(() => change(wanted, turn));
      working = done.catch((error: unknown) => {
        if (turn > 1) parts.fail(error);
      });
      return turn > 1 ? working : done;
    },
    stop: async () => {
      stopping.abort();
      await working;
    },
  };
}

const nameOf = ({ subTopology, partition }: TaskId): string => writerName(subTopology, partition);
