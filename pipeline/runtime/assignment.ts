/** Which process runs which tasks. Pure: the same processes and tasks give the same shares, wherever it is worked out. */
import { byCodeUnits } from '#pipeline/state/byte-order.ts';
import { type TaskId, taskName } from './graph.ts';

/** One of several processes that are told apart by number alone. */
export interface Shard {
  /** From 1 to `of`. */
  readonly number: number;
  readonly of: number;
  /** Shards that run each task, at most `of`; 1: no hot copies. */
  readonly copies: number;
}

/**
 * The copies of all tasks, in the order of the graph, go round the shards. So the copies of a task are on different shards,
 * and shards differ by one task at most, in the whole and in each sub-topology.
 */
export function tasksOfShard(tasks: readonly TaskId[], { number, of, copies }: Shard): readonly TaskId[] {
  return tasks.filter((_, index) => {
    const first = (index * copies) % of;
    return (number - 1 - first + of) % of < copies;
  });
}

/** A process that asks for tasks. */
export interface Member {
  readonly id: string;
  /** Tasks that run there now; two may say so of one task. */
  readonly running: ReadonlySet<string>;
  /** Tasks whose state rests there, from now or from earlier. */
  readonly stored: ReadonlySet<string>;
}

/**
 * Each task to one member, by task name. Totals differ by one at most, and those of each sub-topology by little. A task stays
 * where it runs if that leaves room; one that must move goes where its state rests, if that does.
 */
export function shareTasks(
  tasks: readonly TaskId[],
  members: readonly Member[],
): ReadonlyMap<string, readonly TaskId[]> {
  const shares = [...members]
    .sort((a, b) => byCodeUnits(a.id, b.id))
    .map((member) => ({ member, tasks: [] as TaskId[] }));
  type Share = (typeof shares)[number];
  const least = Math.floor(tasks.length / shares.length);
  const withOneMore = tasks.length % shares.length;
  const sizes = Map.groupBy(tasks, ({ subTopology }) => subTopology);

  const ofSameKind = (share: Share, { subTopology }: TaskId): number =>
    share.tasks.filter((other) => other.subTopology === subTopology).length;
  const hasRoom = ({ tasks: own }: Share): boolean =>
    own.length < least ||
    (own.length === least && shares.filter((share) => share.tasks.length > least).length < withOneMore);
  const isSpread = (share: Share, task: TaskId): boolean =>
    ofSameKind(share, task) < Math.ceil((sizes.get(task.subTopology)?.length ?? 0) / shares.length);

  const homeless = tasks.filter((task) => {
    const name = taskName(task);
    const stays = shares.find(
      (share) => share.member.running.has(name) && hasRoom(share) && isSpread(share, task),
    );
    stays?.tasks.push(task);
    return stays === undefined;
  });
  for (const task of homeless) {
    const rank = (share: Share): readonly number[] => [
      isSpread(share, task) ? 0 : 1,
      share.member.stored.has(taskName(task)) ? 0 : 1,
      ofSameKind(share, task),
      share.tasks.length,
    ];
    const [best] = shares.filter(hasRoom).sort((a, b) => compareRanks(rank(a), rank(b)));
    best?.tasks.push(task);
  }
  return new Map(shares.map((share) => [share.member.id, share.tasks]));
}

/**
 * Shares of the threads of a process, of the tasks that it has: one for each of `before`, which holds what they had (nothing at
 * first). As with processes, a task stays where it is if that leaves room. Other processes, and how many threads those have,
 * make no difference.
 */
export function dealTasks(
  tasks: readonly TaskId[],
  before: readonly (readonly TaskId[])[],
): readonly (readonly TaskId[])[] {
  const threads = before.map((share, index) => ({
    // In the order of the numbers, however many there are.
    id: String(index).padStart(6, '0'),
    running: new Set(share.map(taskName)),
    stored: new Set<string>(),
  }));
  const shares = shareTasks(tasks, threads);
  return threads.map(({ id }) => shares.get(id) ?? []);
}

const compareRanks = (a: readonly number[], b: readonly number[]): number =>
  a.map((value, index) => value - (b[index] ?? 0)).find((difference) => difference !== 0) ?? 0;
