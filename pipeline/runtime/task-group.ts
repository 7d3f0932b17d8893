/** Shares the tasks among the processes of a group, and moves them when processes come and go. */
import type { GroupMember, Kafka, Membership } from '#pipeline/kafka/types.ts';
import { type Member, shareTasks } from './assignment.ts';
import { type TaskId, taskName } from './graph.ts';
import type { RunningTask, RunningTasks } from './running-tasks.ts';

/** The least that Kafka allows by default: the tasks of a killed process stand still for so long. */
const SESSION_TIMEOUT_MS = 6_000;
const HEARTBEAT_MS = 500;

export interface TaskGroupOptions {
  readonly kafka: Pick<Kafka, 'join'>;
  /** Members must know the same tasks: the name tells versions apart. */
  readonly group: string;
  readonly tasks: readonly TaskId[];
  readonly processing: Pick<RunningTasks, 'assign'> & {
    readonly tasks: readonly Pick<RunningTask, 'writer'>[];
  };
  /** Names of tasks whose state rests here, also from earlier. */
  readonly stored: () => readonly string[];
}

/** What a process has is its own until it is given something else: to be counted out changes nothing by itself. */
export function joinTaskGroup(options: TaskGroupOptions): Membership {
  const { tasks, processing } = options;
  return options.kafka.join({
    group: options.group,
    sessionTimeoutMs: SESSION_TIMEOUT_MS,
    heartbeatMs: HEARTBEAT_MS,
    says: () =>
      JSON.stringify({ running: processing.tasks.map(({ writer }) => writer), stored: options.stored() }),
    share: (members) => {
      const shares = shareTasks(tasks, members.map(readMember));
      return new Map([...shares].map(([id, share]) => [id, JSON.stringify(share.map(taskName))]));
    },
    onShare: (share) => {
      const names = namesIn(parsed(share));
      void processing.assign(tasks.filter((task) => names.has(taskName(task))));
    },
  });
}

function readMember({ id, said }: GroupMember): Member {
  const value = parsed(said);
  const claims: { running?: unknown; stored?: unknown } =
    typeof value === 'object' && value !== null ? value : {};
  return { id, running: namesIn(claims.running), stored: namesIn(claims.stored) };
}

/** What is not understood claims nothing. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const namesIn = (value: unknown): ReadonlySet<string> =>
  new Set(Array.isArray(value) ? value.filter((name) => typeof name === 'string') : []);
