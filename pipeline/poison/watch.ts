/** What a process does about records that kill it: searches, decides, and says so. */
import { isPipelineError } from '#pipeline/errors.ts';
import type { KeptTask } from '#pipeline/runtime/checkpoints.ts';
import type { Opened } from '#pipeline/runtime/open-task.ts';
import type { Log } from '#pipeline/telemetry/log.ts';
import type { Mark } from './gate.ts';
import type { Notes } from './notes.ts';
import { createSearch } from './search.ts';
import { decideSkip, readSkips, type VerdictOptions } from './verdict.ts';

export interface PoisonWatch {
  /** Some task is searched. */
  readonly isSearching: boolean;
  isSearched(one: KeptTask): boolean;
  /**
   * Before a task folds. `isLate`: the plan may have grown since this process read it. Throws SKIP_REFUSED when this process
   * dies at a record that another got past; what was opened is closed then.
   */
  admit(opened: Opened, isLate: boolean): Promise<Opened>;
  /** After a round of checkpoints: those whose search has ended. */
  checked(kept: readonly KeptTask[]): readonly KeptTask[];
  /** Tasks whose work here ends in order. */
  ended(kept: readonly KeptTask[]): void;
}

/** `notes` null: nothing is searched for, as in a replay; the plan is honoured all the same. */
export function watchPoison(
  options: VerdictOptions & {
    readonly notes: Notes | null;
    readonly log: Log;
    readonly searchMs: number;
  },
): PoisonWatch {
  const { notes, log, genesis } = options;
  const search = notes === null ? null : createSearch({ ...options, notes });
  const isLive = genesis.versions !== undefined;

  const settle = async (mark: Mark): Promise<void> => {
    await decideSkip(options, mark, 'it ended the process each time');
    const { writer, processor, place, step } = mark;
    log.error(
      `POISON: ${place} ends the process whenever ${writer} folds it${processor === '' ? '' : ` (${processor})`}. The plan now passes over it, in every process and replay; its bytes go to the dead letters. Look at it: baleen plan; baleen tap dlq --where 'code=POISON_SKIPPED'`,
      { writer, processor, place, step },
    );
  };

  const admitKept = async ({ task }: KeptTask, isLate: boolean): Promise<void> => {
    if (isLate && isLive) for (const skip of await readSkips(options)) task.learn(skip);
    const mark = search?.opened(task) ?? null;
    if (mark === null) return;
    try {
      await settle(mark);
    } catch (error) {
      // Somebody got past it, so it is not looked for again before the process died as often once more.
      if (isPipelineError(error, 'SKIP_REFUSED')) search?.settled(mark);
      else search?.ended([task.writer]);
      throw error;
    }
    for (const skip of await readSkips(options)) task.learn(skip);
    search?.settled(mark);
  };

  return {
    get isSearching() {
      return search !== null && search.count > 0;
    },
    isSearched: ({ task }) => search?.isSearched(task.writer) ?? false,
    admit: async (opened, isLate) => {
      if (typeof opened === 'string') return opened;
      try {
        await admitKept(opened, isLate);
      } catch (error) {
        await opened.backend.close().catch(() => {});
        throw error;
      }
      return opened;
    },
    checked: (kept) => {
      if (search === null || search.count === 0) return [];
      return kept.filter(({ task, log: { lastStep } }) => search.committed(task, lastStep));
    },
    ended: (kept) => search?.ended(kept.map(({ task }) => task.writer)),
  };
}
