/** Runs the tasks of a process in several threads, so that it uses several cores. What comes out is the same. */
import { Worker } from 'node:worker_threads';
import { untilAborted } from '#pipeline/clock.ts';
import { messageOf, PipelineError } from '#pipeline/errors.ts';
import { dealTasks } from '#pipeline/runtime/assignment.ts';
import { type TaskId, taskName } from '#pipeline/runtime/graph.ts';
import type { TaskRestore } from '#pipeline/runtime/open-task.ts';
import type { RunningTask, RunningTasks } from '#pipeline/runtime/running-tasks.ts';
import type { FoundStore } from '#pipeline/runtime/state-view.ts';
import type { TaskWait } from '#pipeline/runtime/waits.ts';
import type { Log } from '#pipeline/telemetry/log.ts';
import type { Metrics } from '#pipeline/telemetry/metrics.ts';
import { graph } from './graph.ts';
import { type Asked, errorOf, type LogLine, type Said, type ThreadStart } from './thread-messages.ts';

export interface ThreadsOptions extends Omit<ThreadStart, 'number'> {
  /** How many, at least one. `tasks` and `instance` are those of the process. */
  readonly threads: number;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'include'>;
  readonly onRestore?: (task: TaskId, progress: TaskRestore) => void;
  /** Gives up waiting for the version before, at the start. */
  readonly signal?: AbortSignal;
  /** What each runs; another one in tests. */
  readonly entry?: URL;
}

const ENTRY = new URL('./thread.ts', import.meta.url);

/**
 * Deals the tasks to the threads and resolves when all run. Threads share nothing: a record goes from one to another through
 * Kafka, as between processes. A thread that dies ends processing with THREAD_FAILED.
 */
export async function startThreads(options: ThreadsOptions): Promise<RunningTasks> {
  const { threads: count, metrics, log, signal } = options;
  const { promise: failed, resolve: fail } = Promise.withResolvers<Error>();
  const { promise: ended, resolve: settleEnded } = Promise.withResolvers<number>();
  let shares = dealTasks(options.tasks, Array<readonly TaskId[]>(count).fill([]));
  const threads = shares.map((tasks, index) =>
    startThread({
      ...options,
      number: index + 1,
      start: startOf(options, index + 1, tasks),
      fail,
      onEnded: () => lookForEnd(),
    }),
  );
  const lookForEnd = (): void => {
    const epochs = threads.flatMap(({ endedAt }, index) => (shares[index]?.length === 0 ? [] : [endedAt]));
    // As with a process: of no tasks nothing is known.
    const [epoch] = epochs;
    if (epoch != null && epochs.every((other) => other !== null)) settleEnded(epoch);
  };
  const askAll = <K extends keyof Asked>(ask: K, given: Asked[K]['given']): Promise<Asked[K]['answer'][]> =>
    Promise.all(threads.map((thread) => thread.ask(ask, given)));
  const stopIncluding = metrics.include(async () =>
    // One that has died counts no more, and must not hide the others.
    Promise.all(threads.map((thread) => thread.ask('metrics', null).catch(() => []))),
  );

  const stopAll = async (): Promise<void> => {
    const ends = threads.map(async ({ number, ask, end }) => {
      await ask('stop', null).catch((error) =>
        log.warn('no last checkpoints of a thread', { thread: number, error: messageOf(error) }),
      );
      await end();
    });
    await Promise.all(ends);
    stopIncluding();
  };
  let stopped: Promise<void> | null = null;
  const stop = (): Promise<void> => {
    stopped ??= stopAll();
    return stopped;
  };

  let assignments = 0;
  const assign = async (wanted: readonly TaskId[]): Promise<void> => {
    assignments += 1;
    const own = assignments;
    const given = dealTasks(wanted, shares);
    shares = given;
    // A task that goes from thread to thread rests before it is opened again: its folder is locked until then.
    await Promise.all(threads.map((thread, index) => thread.ask('keep', given[index] ?? [])));
    if (own !== assignments) return;
    await Promise.all(threads.map((thread, index) => thread.ask('assign', given[index] ?? [])));
    lookForEnd();
  };

  try {
    const ready = Promise.all(threads.map((thread) => thread.ready));
    await Promise.race([ready, rejectOn(failed), ...(signal === undefined ? [] : [rejectOnAbort(signal)])]);
  } catch (error) {
    await stop();
    throw error;
  }

  return {
    failed,
    ended,
    get tasks() {
      return inOrder(
        threads.flatMap(({ tasks }) => tasks),
        ({ writer }) => writer,
      );
    },
    waits: () =>
      inOrder(
        threads.flatMap(({ waits }) => waits),
        ({ task }) => task,
      ),
    assign: (wanted) => assign(wanted).catch(fail),
    isDrained: async () => {
      const before = await askAll('drained', null);
      if (!before.every(({ isDrained }) => isDrained)) return false;
      // One may have written to another that had answered already.
      const after = await askAll('drained', null);
      return after.every(({ isDrained, steps }, index) => isDrained && steps === before[index]?.steps);
    },
    lookUp: async (found, key) =>
      inOrder((await askAll('lookUp', { store: nameOfStore(found), key })).flat(), ({ task }) => task),
    pages: async (found, range) =>
      inOrder((await askAll('pages', { store: nameOfStore(found), range })).flat(), ({ task }) => task),
    stop,
  };
}

/** What a thread needs, and no more: the rest of the options would not come over. */
const startOf = (options: ThreadsOptions, number: number, tasks: readonly TaskId[]): ThreadStart => {
  const { brokers, kafkaSecurity, registryUrl, topicNames, genesis, lagGroup, stateDirectory, limits, hop } =
    options;
  const instance = `${options.instance}-t${number}`;
  return {
    ...{ brokers, kafkaSecurity, registryUrl, topicNames, genesis, lagGroup, stateDirectory, limits, hop },
    ...{ number, instance, tasks },
  };
};

interface Thread {
  /** From 1. */
  readonly number: number;
  readonly ready: Promise<void>;
  /** As it last said. */
  readonly tasks: readonly RunningTask[];
  readonly waits: readonly TaskWait[];
  /** The next version's epoch, once all its tasks were at the cut. */
  readonly endedAt: number | null;
  /** Rejects with what it refuses with, or with THREAD_FAILED when it is gone. */
  readonly ask: <K extends keyof Asked>(ask: K, given: Asked[K]['given']) => Promise<Asked[K]['answer']>;
  /** At once. */
  end(): Promise<void>;
}

function startThread(
  options: Pick<ThreadsOptions, 'entry' | 'log' | 'onRestore'> & {
    readonly number: number;
    readonly start: ThreadStart;
    readonly fail: (error: Error) => void;
    readonly onEnded: () => void;
  },
): Thread {
  const { number, start, log, fail, onRestore, onEnded } = options;
  const worker = new Worker(options.entry ?? ENTRY, {
    name: `tasks ${number}`,
    workerData: start,
  });
  const { promise: ready, resolve: settleReady } = Promise.withResolvers<void>();
  const asked = new Map<number, PromiseWithResolvers<unknown>>();
  let [questions, tasks, waits] = [0, [] as readonly RunningTask[], [] as readonly TaskWait[]];
  let endedAt: number | null = null;
  let gone: PipelineError | null = null;
  let isEnding = false;

  const onGone = (cause: unknown): void => {
    if (gone !== null) return;
    const names = (tasks.length > 0 ? tasks.map(({ writer }) => writer) : start.tasks.map(taskName)).join(
      ', ',
    );
    gone = new PipelineError(
      'THREAD_FAILED',
      `thread ${number} (${names || 'no tasks'}) has died: ${messageOf(cause)}; start again: its tasks go on from their last checkpoints`,
      { facts: { thread: number }, cause },
    );
    if (!isEnding) fail(gone);
    for (const { reject } of asked.values()) reject(gone);
    asked.clear();
  };
  worker.on('error', onGone);
  worker.on('exit', (code) => onGone(new Error(`it ended with ${code}`)));

  const answered = (id: number): PromiseWithResolvers<unknown> | undefined => {
    const question = asked.get(id);
    asked.delete(id);
    return question;
  };
  const hear = (said: Said): void => {
    if (said.say === 'answer') answered(said.id)?.resolve(said.answer);
    else if (said.say === 'refusal') answered(said.id)?.reject(errorOf(said.error));
    else if (said.say === 'status') ({ tasks, waits } = said);
    else if (said.say === 'restore') onRestore?.(said.task, said.progress);
    else if (said.say === 'log') write(log, number, said.line);
    else if (said.say === 'ready') settleReady();
    else if (said.say === 'failed') fail(errorOf(said.error));
    else {
      endedAt = said.epoch;
      onEnded();
    }
  };
  worker.on('message', hear);

  return {
    number,
    ready,
    get tasks() {
      return tasks;
    },
    get waits() {
      return waits;
    },
    get endedAt() {
      return endedAt;
    },
    ask: <K extends keyof Asked>(ask: K, given: Asked[K]['given']) => {
      const id = questions++;
      // thread.ts answers by the same list.
      const question = Promise.withResolvers<unknown>() as PromiseWithResolvers<Asked[K]['answer']>;
      if (gone !== null) question.reject(gone);
      else {
        asked.set(id, question as PromiseWithResolvers<unknown>);
        worker.postMessage({ id, ask, given });
      }
      return question.promise;
    },
    end: async () => {
      isEnding = true;
      await worker.terminate();
    },
  };
}

const write = (log: Log, thread: number, { level, component, message, fields, error }: LogLine): void =>
  (component === null ? log : log.for(component))[level](message, {
    ...fields,
    thread,
    ...(error === null ? {} : { error: errorOf(error) }),
  });

const rejectOn = async (failed: Promise<Error>): Promise<never> => {
  throw await failed;
};

const rejectOnAbort = async (signal: AbortSignal): Promise<never> => {
  await untilAborted(signal);
  throw signal.reason;
};

const nameOfStore = ({ processor, store }: FoundStore): string => `${processor}.${store}`;

const order = new Map(graph.tasks().map((task, index) => [taskName(task), index]));

/** As if all were in one thread. */
const inOrder = <T>(items: readonly T[], taskOf: (item: T) => string): readonly T[] =>
  [...items].sort((a, b) => (order.get(taskOf(a)) ?? 0) - (order.get(taskOf(b)) ?? 0));
