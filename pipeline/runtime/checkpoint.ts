/** A checkpoint binds everything, and its order is here, top to bottom (engine rules, section 8). */
import { PipelineError } from '#pipeline/errors.ts';
import type { Producer } from '#pipeline/kafka/types.ts';
import type { ChannelPoint } from '#pipeline/merge/channel.ts';
import type { ResumePoint } from '#pipeline/merge/inbound.ts';
import type { MergeKey } from '#pipeline/merge/merge.ts';
import type { WriteOperation } from '#pipeline/state/backend.ts';
import { encodeGroup } from '#pipeline/state/changelog.ts';
import { type KeyRange, withContents } from '#pipeline/state/task-state.ts';
import type { Destination } from './outputs.ts';
import type { Task } from './task.ts';

/** Everything but the state itself. Names are logical; `topic/partition` and `topic/partition/writer`. */
export interface CheckpointContents {
  readonly fingerprint: string;
  readonly epoch: number;
  /** Of the version that begins here, after this one's last step; absent: this one goes on. */
  readonly nextEpoch?: number;
  /** Records folded and timers fired since genesis. */
  readonly step: number;
  /** Log time of the last of them. */
  readonly logTimeMs: number;
  /** Key of the last record folded. */
  readonly lastKey: MergeKey;
  /** Where reading goes on: at the first record that is not folded, with what was true just before it. */
  readonly inputs: Readonly<Record<string, ResumePoint>>;
  /** Last record folded of each channel. */
  readonly channels: Readonly<Record<string, ChannelPoint>>;
  /** Last record written to each destination. */
  readonly destinations: Readonly<Record<string, Readonly<Destination>>>;
  /** Processor -> greatest event time seen. */
  readonly streamTimes: Readonly<Record<string, number>>;
  /** What was passed over because the plan says so, by `skipName`; absent: nothing. */
  readonly skipped?: readonly string[];
}

/** What has to be waited for before the next line may run. */
export type CheckpointStage =
  | { readonly name: 'outputs' | 'changelog'; readonly wait: 'acknowledged' }
  | {
      readonly name: 'local';
      readonly wait: 'written';
      readonly operations: Iterable<WriteOperation>;
      /** Cleared after the batch is written. */
      readonly dropped: readonly KeyRange[];
    };

export interface ChangelogWriter {
  /** Physical name; null: no changelog, as in a replay. */
  readonly topic: string | null;
  readonly producer: Pick<Producer, 'append'>;
  /** One start of one process. */
  readonly instance: string;
  /** The step that is safe. */
  lastStep: number;
  groups: number;
  /** Written since the last snapshot. */
  bytesSinceSnapshot: number;
  /** One record of a group; a single larger entry goes alone. */
  readonly maxRecordBytes: number;
}

/**
 * Takes a checkpoint of a task, if it did anything since the last. What is captured is one moment between two records;
 * folding may go on meanwhile. Each stage that is yielded must have come true before the generator is resumed; given
 * up in between, nothing false has been said. Ends with the step that is now safe.
 */
export function* checkpoint(task: Task, log: ChangelogWriter): Generator<CheckpointStage, number> {
  if (task.step === log.lastStep) return log.lastStep;
  // 1. One moment: contents and writes belong to the same step.
  const contents = task.contents();
  const captured = task.state.capture();
  const meta = JSON.stringify(contents);
  // 2. All outputs up to that step are in Kafka. Without this a restart would go on after records that nobody has. So is
  // all that was taken from memory by then: its writers are of this process and had given it to the same producer.
  yield { name: 'outputs', wait: 'acknowledged' };
  const { operations } = captured;
  // 3. The changelog before the local state: the other way round leaves a step that no other machine can restore.
  if (log.topic !== null) {
    log.groups += 1;
    const { instance, groups: number, lastStep: from } = log;
    const group = { instance, number, from, to: contents.step, kind: 'delta' as const };
    for (const entry of encodeGroup(group, operations, {
      ...log,
      meta,
      logTimeMs: contents.logTimeMs,
    })) {
      log.bytesSinceSnapshot += entry.value?.length ?? 0;
      log.producer.append(log.topic, task.id.partition, entry);
    }
    yield { name: 'changelog', wait: 'acknowledged' };
  }
  // 4. State and contents in one atomic local batch.
  const { dropped } = captured;
  yield { name: 'local', wait: 'written', operations: withContents(operations, meta), dropped };
  captured.settled();
  log.lastStep = contents.step;
  // 5. Group offsets follow (lag.ts): for lag tools only, never read back.
  return contents.step;
}

/** Null when there is none. Throws FINGERPRINT_CHANGED when it is of none of the versions named, or STATE_UNREADABLE. */
export function readCheckpoint(
  meta: string | undefined,
  ...fingerprints: readonly string[]
): CheckpointContents | null {
  if (meta === undefined) return null;
  let contents: CheckpointContents;
  try {
    contents = JSON.parse(meta) as CheckpointContents;
  } catch (error) {
    throw new PipelineError(
      'STATE_UNREADABLE',
      'expected JSON as the contents of the checkpoint; start again, and the state is made again from the changelog',
      { facts: { isDamaged: true }, cause: error },
    );
  }
  if (!fingerprints.includes(contents.fingerprint)) {
    throw new PipelineError(
      'FINGERPRINT_CHANGED',
      `state is of version ${contents.fingerprint.slice(0, 12)}, the plan is of ${fingerprints.map((one) => one.slice(0, 12)).join(', ')}; start with --fresh, or run the version that made it`,
    );
  }
  return contents;
}
