/** Folds what is there in several processes that share the tasks, into shadow topics; for `determinism` and its broker test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { prepareShadow } from '#ops/cli/shadow.ts';
import { systemClock } from '#pipeline/clock.ts';
import { openKafka } from '#pipeline/kafka/client.ts';
import { writerName } from '#pipeline/merge/position.ts';
import { type Shard, tasksOfShard } from '#pipeline/runtime/assignment.ts';
import type { TaskId } from '#pipeline/runtime/graph.ts';
import type { HopMode } from '#pipeline/runtime/hop.ts';
import type { Limits } from '#pipeline/runtime/limits.ts';
import { joinTaskGroup } from '#pipeline/runtime/task-group.ts';
import { silentLog } from '#pipeline/telemetry/log.ts';
import { createMetrics } from '#pipeline/telemetry/metrics.ts';
import { graph } from '#topology/graph.ts';
import { startTasks } from '#topology/start-tasks.ts';
import { storedIn } from '#topology/state-directory.ts';

/** How a process folds. */
export interface Run {
  readonly brokers: string;
  readonly registryUrl: string;
  /** Before the names of its topics, and of its group if it has one. */
  readonly prefix: string;
  readonly stateDir: string;
  readonly limits: Partial<Limits>;
  readonly hop: HopMode;
}

/** How one of several processes does. */
export interface SharedRun extends Run {
  readonly sharing: 'all' | 'group' | Shard;
  readonly threads: number;
}

/** What a process says of itself, several times a second. */
interface Report {
  readonly tasks: readonly string[];
  readonly steps: number;
  readonly isFolded: boolean;
}

const REPORT_MS = 100;
/** Nothing has moved for so many looks, and everybody says that all is folded. */
const CALM_LOOKS = 5;
const STALL_MS = 300_000;

/** A process of a run; `kill` and `restart` are for those who disturb it. */
export class SharedProcess {
  readonly run: SharedRun;
  report: Report | null = null;
  #child: ChildProcess;
  #failure: Error | null = null;

  constructor(run: SharedRun) {
    this.run = run;
    this.#child = this.#start();
  }

  get failure(): Error | null {
    return this.#failure;
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(signal);
  }

  async kill(): Promise<void> {
    const closed = once(this.#child, 'close');
    this.#child.kill('SIGKILL');
    await closed;
    this.report = null;
  }

  restart(): void {
    this.#child = this.#start();
  }

  /** With last checkpoints, and a goodbye to the group. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const closed = once(this.#child, 'close');
    this.#child.kill('SIGTERM');
    await closed;
  }

  #start(): ChildProcess {
    const child = spawn(process.execPath, [import.meta.filename, JSON.stringify(this.run)], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    child.on('message', (report) => {
      this.report = report as Report;
    });
    child.once('exit', (code) => {
      if (code !== null && code !== 0)
        this.#failure = new Error(`a process of ${JSON.stringify(this.run.sharing)} ended with ${code}`);
    });
    return child;
  }
}

/** Resolves when all is folded that was there. Throws when a process fails, or when nothing comes to an end. */
export async function untilAllFolded(processes: readonly SharedProcess[]): Promise<void> {
  const all = graph.tasks().map(({ subTopology, partition }) => writerName(subTopology, partition));
  let [calm, lastSteps] = [0, -1];
  const startedMs = performance.now();
  while (calm < CALM_LOOKS) {
    await sleep(REPORT_MS * 2);
    for (const { failure } of processes) if (failure !== null) throw failure;
    const reports = processes.map(({ report }) => report);
    const owned = new Set(reports.flatMap((report) => report?.tasks ?? []));
    const steps = reports.reduce((sum, report) => sum + (report?.steps ?? 0), 0);
    const isDone =
      reports.every((report) => report?.isFolded === true) && all.every((task) => owned.has(task));
    calm = isDone && steps === lastSteps ? calm + 1 : 0;
    lastSteps = steps;
    if (performance.now() - startedMs > STALL_MS) {
      const missing = all.filter((task) => !owned.has(task));
      throw new Error(
        `not folded after ${STALL_MS / 1_000} s: ${JSON.stringify(reports)}; without an owner: ${missing.join(', ') || 'none'}`,
      );
    }
  }
}

/** In a process of its own: folds its share until it is told to stop. */
async function fold(run: SharedRun): Promise<void> {
  const clock = systemClock;
  const { brokers, sharing, stateDir, prefix } = run;
  const kafka = await openKafka({
    brokers: brokers.split(','),
    clientId: 'shared-run',
    log: silentLog,
    clock,
  });
  const prepared = await prepareShadow({ ...run, kafka, clock });
  const processing = await startTasks({
    ...prepared,
    ...run,
    ...{ kafka, clock },
    brokers: brokers.split(','),
    kafkaSecurity: null,
    log: silentLog,
    metrics: createMetrics(),
    instance: `${process.pid}-${clock.nowMs()}`,
    lagGroup: null,
    stateDirectory: stateDir,
    tasks: tasksAtFirst(sharing),
  });
  const membership =
    sharing === 'group'
      ? joinTaskGroup({
          kafka,
          group: `${prefix}tasks`,
          tasks: graph.tasks(),
          processing,
          stored: () => storedIn(stateDir),
        })
      : null;
  const stopping = new AbortController();
  process.on('SIGTERM', () => stopping.abort());
  // Whoever started it is gone.
  const exit = () => process.exit(1);
  process.once('disconnect', exit);
  void processing.failed.then((error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exit(1);
  });
  while (!stopping.signal.aborted) {
    const { tasks } = processing;
    const isPast = tasks.every(({ boundMs }) => boundMs > prepared.untilMs);
    const isFolded = isPast || (await processing.isDrained());
    const report: Report = {
      tasks: tasks.map(({ writer }) => writer),
      steps: tasks.reduce((sum, { step }) => sum + step, 0),
      isFolded,
    };
    process.send?.(report);
    await clock.sleep(REPORT_MS, stopping.signal);
  }
  await processing.stop();
  await membership?.leave();
  await kafka.close();
  // This one is meant.
  process.off('disconnect', exit);
  process.disconnect?.();
}

const tasksAtFirst = (sharing: SharedRun['sharing']): readonly TaskId[] => {
  if (sharing === 'group') return [];
  return sharing === 'all' ? graph.tasks() : tasksOfShard(graph.tasks(), sharing);
};

/** State folder of a process of a run. */
export const folderOf = (directory: string, index: number): string => join(directory, `process-${index}`);

if (import.meta.main) await fold(JSON.parse(process.argv[2] ?? '') as SharedRun);
