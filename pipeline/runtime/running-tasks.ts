/** The tasks of a process as the rest of it sees them: told apart by name, wherever in the process they run. */
import type { CommittedStep } from './checkpoints.ts';
import type { TaskId } from './graph.ts';
import type { Processing } from './processing.ts';
import {
  type FoundStore,
  lookUp,
  pagesOf,
  type ViewedFrom,
  type ViewedKey,
  type ViewedPage,
} from './state-view.ts';
import type { Task } from './task.ts';
import type { TaskWait } from './waits.ts';

/** What a task says of itself. */
export interface RunningTask
  extends Pick<Task, 'id' | 'writer' | 'step' | 'logTimeMs' | 'boundMs' | 'waiting'> {
  /** Records in its inputs that it has not folded yet, as far as was seen. */
  readonly lag: number;
  /** What is safe of it. */
  readonly checkpoint: CommittedStep;
}

export interface RunningTasks {
  /** Those that run here now, as they were a moment ago. */
  readonly tasks: readonly RunningTask[];
  /** See `Processing`. */
  readonly failed: Promise<Error>;
  readonly ended: Promise<number>;
  assign(wanted: readonly TaskId[]): Promise<void>;
  isDrained(): Promise<boolean>;
  waits(): readonly TaskWait[];
  stop(): Promise<void>;
  /** What its tasks have under a key of a store. */
  lookUp(found: FoundStore, key: string): Promise<readonly ViewedKey[]>;
  /** What its tasks have of a range of a store. */
  pages(found: FoundStore, range: ViewedFrom): Promise<readonly ViewedPage[]>;
}

/** Of the thread that runs them. */
export function runningIn(processing: Processing): RunningTasks {
  const { failed, ended, assign, isDrained, waits, stop } = processing;
  const tasksOf = ({ subTopology }: FoundStore) =>
    processing.tasks
      .filter(({ id }) => id.subTopology === subTopology)
      .map((task) => ({ task: task.writer, state: processing.stateOf(task) }));
  return {
    ...{ failed, ended, assign, isDrained, waits, stop },
    get tasks() {
      return processing.tasks.map((task) => {
        const { id, writer, step, logTimeMs, boundMs, waiting } = task;
        const known = { id, writer, step, logTimeMs, boundMs, waiting };
        return { ...known, lag: processing.lagOf(task), checkpoint: processing.committed(task) };
      });
    },
    lookUp: (found, key) => lookUp(tasksOf(found), found, key),
    pages: (found, range) => pagesOf(tasksOf(found), found, range),
  };
}
