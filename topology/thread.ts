/**
 * A thread that runs tasks, as `threads.ts` starts it: with connections, a hop in memory and metrics of its own, as if it were
 * a process of its own. What there is one of in the process stays in the main thread.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '#pipeline/clock.ts';
import { PipelineError } from '#pipeline/errors.ts';
import { openKafka } from '#pipeline/kafka/client.ts';
import { type TaskId, taskName } from '#pipeline/runtime/graph.ts';
import { startProcessing } from '#pipeline/runtime/processing.ts';
import { type RunningTasks, runningIn } from '#pipeline/runtime/running-tasks.ts';
import { findStore } from '#pipeline/runtime/state-view.ts';
import { openSerde } from '#pipeline/serde/serde.ts';
import type { Log, LogFields } from '#pipeline/telemetry/log.ts';
import { createMetrics } from '#pipeline/telemetry/metrics.ts';
import { allTopics, graph } from './graph.ts';
import { notesIn, openStateIn } from './state-directory.ts';
import { stopInTime } from './stop-in-time.ts';
import {
  type Asked,
  type LogLine,
  type Question,
  type Said,
  type ThreadStart,
  textOfError,
} from './thread-messages.ts';

const STATUS_MS = 200;
/** Warnings of Node about things that are known and meant so; as in the main thread. */
const QUIET_WARNINGS = ['TimeoutNegativeWarning', 'ExperimentalWarning'];

if (parentPort === null) throw new PipelineError('INVARIANT_BROKEN', 'thread.ts is started by threads.ts');
const port = parentPort;
const say = (said: Said): void => port.postMessage(said);
// What threads.ts gives.
const start = workerData as ThreadStart;
const clock = systemClock;
const metrics = createMetrics();
const stopping = new AbortController();

/** The main thread writes the lines. */
const logOf = (component: string | null): Log => {
  const at =
    (level: LogLine['level']) =>
    (message: string, { error, ...fields }: LogFields = {}): void =>
      say({
        say: 'log',
        line: { level, component, message, fields, error: error === undefined ? null : textOfError(error) },
      });
  return { error: at('error'), warn: at('warn'), info: at('info'), debug: at('debug'), for: logOf };
};

process.removeAllListeners('warning').on('warning', (warning) => {
  if (!QUIET_WARNINGS.includes(warning.name)) logOf(null).warn('Node warns', { error: warning });
});

interface Opened {
  readonly running: RunningTasks;
  stop(): Promise<void>;
}

async function open(): Promise<Opened> {
  const { kafkaSecurity, stateDirectory, topicNames, tasks } = start;
  const log = logOf(null);
  const kafka = await openKafka({
    brokers: start.brokers,
    ...(kafkaSecurity === null ? {} : { security: kafkaSecurity }),
    clientId: 'baleen',
    ...{ log, clock, metrics },
  });
  try {
    const serde = await openSerde({ registryUrl: start.registryUrl, topics: allTopics });
    const own = new Set(tasks.map(taskName));
    const processing = await startProcessing({
      ...start,
      ...{ kafka, graph, serde, clock, log, metrics },
      physicalName: (topic) => topicNames.get(topic) ?? topic,
      owns: (task) => own.has(taskName(task)),
      openState: openStateIn(stateDirectory),
      notes: notesIn(stateDirectory, log, start.number),
      onRestore: (task, progress) => say({ say: 'restore', task, progress }),
      signal: stopping.signal,
    });
    const running = runningIn(processing);
    return { running, stop: () => stopInTime({ kafka, clock, log, stop: running.stop }) };
  } catch (error) {
    await kafka.close();
    throw error;
  }
}

let opened: Opened | null = null;
const sayStatus = (): void => {
  if (opened === null) return;
  const { running } = opened;
  say({ say: 'status', tasks: running.tasks, waits: running.waits() });
};
const opening = open().then(
  (now) => {
    opened = now;
    sayStatus();
    say({ say: 'ready' });
    clock.every(STATUS_MS, sayStatus);
    void now.running.failed.then((error) => say({ say: 'failed', error: textOfError(error) }));
    void now.running.ended.then((epoch) => say({ say: 'ended', epoch }));
  },
  (error: unknown) => {
    if (!stopping.signal.aborted) say({ say: 'failed', error: textOfError(error) });
  },
);

const assign = async (tasks: readonly TaskId[]): Promise<null> => {
  await opened?.running.assign(tasks);
  sayStatus();
  return null;
};

const answers: { readonly [K in keyof Asked]: (given: Asked[K]['given']) => Promise<Asked[K]['answer']> } = {
  keep: (tasks) => {
    const running = new Set(opened?.running.tasks.map(({ writer }) => writer));
    return assign(tasks.filter((task) => running.has(taskName(task))));
  },
  assign,
  drained: async () => ({
    isDrained: (await opened?.running.isDrained()) ?? false,
    steps: opened?.running.tasks.reduce((sum, { step }) => sum + step, 0) ?? 0,
  }),
  metrics: metrics.samples,
  lookUp: async ({ store, key }) => (await opened?.running.lookUp(findStore(graph, store), key)) ?? [],
  pages: async ({ store, range }) => (await opened?.running.pages(findStore(graph, store), range)) ?? [],
  stop: async () => {
    stopping.abort();
    await opening;
    await opened?.stop();
    return null;
  },
};

// Of threads.ts, whose questions are typed by the same list.
port.on('message', ({ id, ask, given }: Question) => {
  answers[ask](given as never).then(
    (answer) => say({ say: 'answer', id, answer }),
    (error: unknown) => say({ say: 'refusal', id, error: textOfError(error) }),
  );
});
