/** All that goes between the main thread and those that run tasks. Plain values: they are copied on the way. */
import type { ErrorCode, ErrorFacts } from '#pipeline/errors.ts';
import { isPipelineError, messageOf, PipelineError } from '#pipeline/errors.ts';
import type { KafkaSecurity } from '#pipeline/kafka/client.ts';
import type { TaskId } from '#pipeline/runtime/graph.ts';
import type { HopMode } from '#pipeline/runtime/hop.ts';
import type { Limits } from '#pipeline/runtime/limits.ts';
import type { TaskRestore } from '#pipeline/runtime/open-task.ts';
import type { Genesis } from '#pipeline/runtime/plan.ts';
import type { RunningTask } from '#pipeline/runtime/running-tasks.ts';
import type { ViewedFrom, ViewedKey, ViewedPage } from '#pipeline/runtime/state-view.ts';
import type { TaskWait } from '#pipeline/runtime/waits.ts';
import type { LogFields } from '#pipeline/telemetry/log.ts';
import type { MetricSamples } from '#pipeline/telemetry/metrics.ts';

/** What a thread begins with. */
export interface ThreadStart {
  readonly brokers: readonly string[];
  /** Holds passwords: never logged. */
  readonly kafkaSecurity: KafkaSecurity | null;
  readonly registryUrl: string;
  /** Logical -> physical topic name, of those that differ. */
  readonly topicNames: ReadonlyMap<string, string>;
  readonly genesis: Genesis;
  /** From 1, in its process. */
  readonly number: number;
  /** Unique among all threads of all starts. */
  readonly instance: string;
  readonly lagGroup: string | null;
  /** Where the state of tasks rests, one folder each. */
  readonly stateDirectory: string;
  /** Which tasks run here at first. */
  readonly tasks: readonly TaskId[];
  readonly limits: Partial<Limits>;
  readonly hop: HopMode;
}

/** What the main thread asks of one that runs tasks, and what it answers. */
export interface Asked {
  /** Only these of the tasks that run may go on: the others rest when this is answered. */
  readonly keep: { given: readonly TaskId[]; answer: null };
  /** See `Processing.assign`. */
  readonly assign: { given: readonly TaskId[]; answer: null };
  readonly drained: { given: null; answer: { readonly isDrained: boolean; readonly steps: number } };
  readonly metrics: { given: null; answer: MetricSamples };
  readonly lookUp: { given: { store: string; key: string }; answer: readonly ViewedKey[] };
  readonly pages: { given: { store: string; range: ViewedFrom }; answer: readonly ViewedPage[] };
  /** Answered when its tasks rest, and all is closed. */
  readonly stop: { given: null; answer: null };
}

export type Question = {
  [K in keyof Asked]: { readonly id: number; readonly ask: K; readonly given: Asked[K]['given'] };
}[keyof Asked];

/** What a thread says. */
export type Said =
  | { readonly say: 'answer'; readonly id: number; readonly answer: Asked[keyof Asked]['answer'] }
  | { readonly say: 'refusal'; readonly id: number; readonly error: ErrorText }
  /** Its first tasks run. */
  | { readonly say: 'ready' }
  | { readonly say: 'failed'; readonly error: ErrorText }
  | { readonly say: 'ended'; readonly epoch: number }
  /** Several times a second. */
  | { readonly say: 'status'; readonly tasks: readonly RunningTask[]; readonly waits: readonly TaskWait[] }
  | { readonly say: 'restore'; readonly task: TaskId; readonly progress: TaskRestore }
  | { readonly say: 'log'; readonly line: LogLine };

export interface LogLine {
  readonly level: 'error' | 'warn' | 'info' | 'debug';
  readonly component: string | null;
  readonly message: string;
  readonly fields: LogFields;
  /** The field of this name. */
  readonly error: ErrorText | null;
}

/** An error without its class, which would not come over. */
export interface ErrorText {
  readonly message: string;
  readonly stack: string | null;
  /** Null: none of ours. */
  readonly code: ErrorCode | null;
  readonly facts: ErrorFacts;
}

export const textOfError = (error: unknown): ErrorText => ({
  message: error instanceof Error ? error.message : messageOf(error),
  stack: error instanceof Error ? (error.stack ?? null) : null,
  ...(isPipelineError(error) ? { code: error.code, facts: error.facts } : { code: null, facts: {} }),
});

/** With the code, and the stack of where it was thrown. */
export function errorOf({ message, stack, code, facts }: ErrorText): Error {
  const error = code === null ? new Error(message) : new PipelineError(code, message, { facts });
  if (stack !== null) error.stack = stack;
  return error;
}
