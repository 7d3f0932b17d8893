/** What a running pipeline says of itself: `GET /status`, `baleen status --json`. */
import { z } from 'zod';
import type { TaskId } from '#pipeline/runtime/graph.ts';
import type { TaskRestore } from '#pipeline/runtime/open-task.ts';
import type { Pipeline } from '#topology/main.ts';
import { versionStatusOf, versionStatusSchema } from './version-status.ts';

const taskSchema = z.object({
  task: z.string(),
  subTopology: z.string(),
  partition: z.int(),
  /** Records folded and timers fired since genesis. */
  step: z.int(),
  /** Log time of the last of them. */
  logTimeMs: z.number(),
  /** Nothing with a lower log time will be folded; null: nothing at all. */
  boundMs: z.number().nullable(),
  /** Records that wait in the merge. */
  buffered: z.int(),
  /** Those and what is in Kafka beyond them, as of the last fetch. */
  lag: z.int(),
  checkpoint: z.object({
    step: z.int(),
    /** Wall clock; null: taken before this start. */
    atMs: z.number().nullable(),
  }),
});

const waitSchema = z.object({
  task: z.string(),
  halted: z.object({ place: z.string(), cause: z.string() }).nullable(),
  waitsFor: z.string().nullable(),
  writer: z.string().nullable(),
  logTimeMs: z.number().nullable(),
  sinceMs: z.number().nullable(),
  slowest: z.object({ name: z.string(), writer: z.string().nullable() }).nullable(),
});

const restoreSchema = z.object({
  task: z.string(),
  isDone: z.boolean(),
  entries: z.int(),
  bytes: z.int(),
  /** Records of the changelog. */
  remaining: z.int(),
  startedAtMs: z.number(),
  endedAtMs: z.number().nullable(),
});

/** Read by commands of another process, perhaps of another version. */
export const statusSchema = z.object({
  /** `starting`: services are up, tasks take their state; then only `restores` are known. */
  state: z.enum(['starting', 'running', 'stopping']),
  pid: z.int(),
  startedAtMs: z.number(),
  nowMs: z.number(),
  /** Null while it is starting, and from an older program. */
  version: versionStatusSchema.nullable().default(null),
  tasks: z.array(taskSchema),
  /** Who waits for whom: every task, those that wait for nothing included. */
  waits: z.array(waitSchema),
  /** Tasks that take state from their changelogs, or took some in this start. */
  restores: z.array(restoreSchema),
  connectors: z.array(z.object({ name: z.string(), isIdle: z.boolean(), detail: z.string() })),
  sinks: z.array(z.object({ name: z.string(), detail: z.string() })),
});

export type Status = Readonly<z.infer<typeof statusSchema>>;
export type RestoreStatus = Status['restores'][number];

export interface StatusSource {
  readonly pid: number;
  readonly startedAtMs: number;
  readonly nowMs: number;
  readonly restores: readonly RestoreStatus[];
  /** Null while it is being opened. */
  readonly pipeline: Pick<Pipeline, 'genesis' | 'processing' | 'connectors' | 'sinks'> | null;
  readonly isStopping: boolean;
}

export function statusOf({ pipeline, isStopping, ...rest }: StatusSource): Status {
  const state = isStopping ? 'stopping' : pipeline === null ? 'starting' : 'running';
  const { pid, startedAtMs, nowMs } = rest;
  const restores = [...rest.restores];
  const base = { state, pid, startedAtMs, nowMs, restores } as const;
  if (pipeline === null) return { ...base, version: null, tasks: [], waits: [], connectors: [], sinks: [] };
  const { genesis, processing, connectors, sinks } = pipeline;
  return {
    ...base,
    version: versionStatusOf(genesis),
    tasks: processing.tasks.map(({ id, writer, boundMs, waiting, ...task }) => ({
      task: writer,
      ...id,
      ...task,
      boundMs: Number.isFinite(boundMs) ? boundMs : null,
      buffered: waiting,
    })),
    waits: [...processing.waits()],
    connectors: [...connectors].map(([name, connector]) => {
      const { isIdle, detail } = connector.status();
      return { name, isIdle, detail };
    }),
    sinks: [...sinks].map(([name, sink]) => ({ name, detail: sink.status().detail })),
  };
}

export interface RestoreWatch {
  readonly list: readonly RestoreStatus[];
  onRestore(id: TaskId, progress: TaskRestore): RestoreStatus;
}

/** Remembers how far each task has taken its state from its changelog. */
export function watchRestores(nowMs: () => number): RestoreWatch {
  const byTask = new Map<string, RestoreStatus>();
  return {
    get list() {
      return [...byTask.values()].filter(({ isDone, entries }) => !isDone || entries > 0);
    },
    onRestore: ({ subTopology, partition }, { isDone, entries, bytes, remaining }) => {
      const task = `${subTopology}-${partition}`;
      const before = byTask.get(task);
      // A second one begins where the first was given up: its folder was damaged.
      const startedAtMs = before === undefined || before.isDone ? nowMs() : before.startedAtMs;
      const endedAtMs = isDone ? nowMs() : null;
      const status = { task, isDone, entries, bytes, remaining, startedAtMs, endedAtMs };
      byTask.set(task, status);
      return status;
    },
  };
}
