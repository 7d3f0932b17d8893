/** A checkpoint binds everything, and its order is here, top to bottom (engine rules, section 8). */
import { PipelineError } from '#pipeline/errors.ts';
import type { Producer } from '#pipeline/kafka/types.ts';
import type { ResumePoint } from '#pipeline/merge/inbound.ts';
import type { MergeKey } from '#pipeline/merge/merge.ts';
import type { Metrics } from '#pipeline/telemetry/metrics.ts';
import type { Destination } from './outputs.ts';
import type { Task } from './task.ts';

/** Everything but the state itself. Names are logical; `topic/partition` and `topic/partition/writer`. */
export interface CheckpointContents {
  readonly fingerprint: string;
  readonly epoch: number;
  /** Inputs folded since genesis. */
  readonly step: number;
  /** Key of the last record folded. */
  readonly lastKey: MergeKey;
  /** Where reading goes on: at the first record that is not folded, with what was true just before it. */
  readonly inputs: Readonly<Record<string, ResumePoint>>;
  /** Last record folded of each channel. */
  readonly channels: Readonly<Record<string, { readonly sequence: number; readonly digest: number }>>;
  /** Last record written to each destination. */
  readonly destinations: Readonly<Record<string, Readonly<Destination>>>;
}

export interface CheckpointOptions {
  readonly producer: Producer;
  readonly metrics: Metrics;
  /** Waits before a local write is tried again (a full disk); throws to give up. */
  readonly waitOut: (error: unknown, attempt: number) => Promise<void>;
}

/**
 * Takes a checkpoint of a task, if it did anything since `lastStep`. Folding may go on meanwhile: what is captured is
 * one moment between two records. Returns the step that is now safe.
 */
export async function checkpoint(task: Task, lastStep: number, options: CheckpointOptions): Promise<number> {
  const { producer, metrics, waitOut } = options;
  if (task.step === lastStep) return lastStep;
  // 1. One moment: contents and writes belong to the same step.
  const contents = task.contents();
  const writes = task.state.capture();
  const text = JSON.stringify(contents);
  // 2. All outputs up to that step are in Kafka. Without this a restart would go on after records that nobody has.
  await producer.acknowledged();
  // 3. (The changelog group goes here.)
  // 4. State and contents in one atomic local batch.
  await persist(() => writes.write(text), waitOut);
  metrics.add('checkpoints_total', { subtopology: task.id.subTopology });
  // 5. Group offsets follow (lag.ts): for lag tools only, never read back.
  return contents.step;
}

/** What was captured stays captured: a write that failed is tried again as it was. */
async function persist(write: () => Promise<void>, waitOut: CheckpointOptions['waitOut']): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await write();
    } catch (error) {
      await waitOut(error, attempt);
    }
  }
}

/** Null when there is none. Throws FINGERPRINT_CHANGED or STATE_UNREADABLE. */
export function readCheckpoint(meta: string | undefined, fingerprint: string): CheckpointContents | null {
  if (meta === undefined) return null;
  const contents = JSON.parse(meta) as CheckpointContents;
  if (contents.fingerprint !== fingerprint) {
    throw new PipelineError(
      'FINGERPRINT_CHANGED',
      `state is of version ${contents.fingerprint.slice(0, 12)}, the plan is of ${fingerprint.slice(0, 12)}; start with --fresh, or run the version that made it`,
    );
  }
  return contents;
}
