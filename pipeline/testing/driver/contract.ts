/** What the test driver takes and gives; `driver.ts` makes one. */
import type { ProcessorDefinition } from '#pipeline/processor.ts';
import type { Graph } from '#pipeline/runtime/graph.ts';
import type { FiredTimer, Json } from '#pipeline/state/store.ts';
import type { CounterName } from '#pipeline/telemetry/metrics.ts';
import type { RecordSchema, ValueOf } from '#schemas/avro.ts';
import type { DeadLetter, deadLetter } from '#schemas/dead-letter.ts';
import type { Topic } from '#schemas/topics.ts';
import type { CheckpointStageName } from './task.ts';

export interface DriverOptions {
  readonly processors: readonly ProcessorDefinition[];
  /** Names of sub-topologies, as for `buildGraph`. */
  readonly names?: Readonly<Record<string, string>>;
  /** Default: a topic `plan.v1` that stays empty. */
  readonly planTopic?: Topic;
  /** Default: a topic `dlq.v1` of one partition. */
  readonly dlqTopic?: Topic<typeof deadLetter>;
  /** First log time, epoch milliseconds; default 0. */
  readonly startMs?: number;
  /** The clock of the broker that stamps a raw or fact partition, where it is not exact; default `nowMs`. */
  readonly appendTimeMs?: (topic: string, partition: number, nowMs: number) => number;
  /**
   * Default true. Each record is folded twice: by the task, and by a copy opened from its stored state; both must write
   * the same. Values that handlers and stores get are frozen. What is wrong throws INVARIANT_BROKEN.
   */
  readonly strict?: boolean;
}

/** What a test writes: a value (null for a tombstone), or bytes that may be no value at all. */
export type DriverInput<V> = {
  readonly key: string;
  /** Default: by the key, as everywhere. Only for topics that connectors write. */
  readonly partition?: number;
  /** Moves log time there first; default now. */
  readonly atMs?: number;
} & ({ readonly value: V | null } | { readonly bytes: Buffer });

/** A record that a task wrote. */
export interface DriverRecord<V> {
  readonly key: string;
  readonly value: V;
  readonly logTimeMs: number;
  readonly partition: number;
  readonly writer: string;
  readonly sequence: number;
}

export interface CrashOptions {
  /** Last stage of a checkpoint that came about before the end; default `nothing`. */
  readonly after?: CheckpointStageName;
  /** False: opened again from the changelog alone, as on another machine. Default true. */
  readonly keepsDisk?: boolean;
}

/** A record or timer that cannot be taken yet. */
export interface Wait {
  readonly task: string;
  readonly logTimeMs: number;
  /** The channel that must show that it has nothing earlier: `topic/partition/writer`. */
  readonly on: string;
}

export interface DriverTimer extends FiredTimer {
  readonly task: string;
  readonly processor: string;
  readonly store: string;
}

export interface StoredEntry {
  readonly partition: number;
  readonly key: string;
  readonly text: string;
}

/** Tasks are named `<sub-topology>-<partition>`, stores `<processor>.<store>`. */
export interface Driver {
  readonly graph: Graph;
  readonly tasks: readonly string[];
  /** Log time now. */
  readonly nowMs: number;
  /**
   * Appends a record, as a connector would, and returns its place. A derived topic that no processor of the driver
   * writes is written by a task of the driver. A record is folded once log time has moved past it.
   */
  write<S extends RecordSchema>(topic: Topic<S>, input: DriverInput<ValueOf<S>>): string;
  /** Moves log time: records before `ms` are folded, timers due by `ms` fire. Throws when it lies in the past. */
  advanceTo(ms: number): void;
  advanceBy(ms: number): void;
  /** What tasks wrote to a topic, each position once, in the order in which a reader takes it. */
  read<S extends RecordSchema>(topic: Topic<S>): readonly DriverRecord<ValueOf<S>>[];
  /** The values of `read`. */
  values<S extends RecordSchema>(topic: Topic<S>): readonly ValueOf<S>[];
  deadLetters(): readonly DeadLetter[];
  /** What `get(key)` of a store says in the first task that has it; for kinds with a `get`. The caller knows the type. */
  store<V = Json>(name: string, key: string): V | undefined;
  /** The handle of a store, opened from the stored state at the log time of now; what is written to it is lost. */
  handle<Handle>(name: string, partition?: number): Handle;
  /** The entries of a store as a restart would read them, by partition and key. */
  entries(name: string): readonly StoredEntry[];
  /** Timers that are set, for each task in the order in which they would fire. */
  timers(): readonly DriverTimer[];
  /** Who waits for whom. */
  waits(): readonly Wait[];
  /** Tasks that stand before a record, as `onError: stop` asks, and why. */
  halted(): readonly { readonly task: string; readonly reason: string }[];
  /** A counter of the engine, such as `late_records_total`, over all label values that match. */
  count(name: CounterName, match?: Readonly<Record<string, string>>): number;
  /** Takes a checkpoint of one task or all. */
  checkpoint(task?: string): void;
  /** Loses one task or all at a point of a checkpoint, and opens them again. */
  crash(task: string, options?: CrashOptions): void;
  /** What a task writes stays in its producer: readers wait, and a crash after `nothing` loses it. `crash` ends it too. */
  hold(task: string): void;
  release(task: string): void;
  /** Appends records of a topic that tasks write once more, as a zombie does: with the same positions. */
  redeliver(
    topic: Pick<Topic, 'name'>,
    options?: { readonly partition?: number; readonly fromOffset?: number; readonly count?: number },
  ): void;
  /** `<writer> <topic>/<partition>` -> its records, all bytes that count. Two runs are equal when these are. */
  streams(): Readonly<Record<string, readonly string[]>>;
}
