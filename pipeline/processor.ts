/**
 * The programming model: what a processor declares, and what its logic may do. `ops/engine.md` compares it with Kafka Streams.
 *
 *     const stores = { lastPrice: keyValue<string>() };
 *
 *     function compare({ key, value }: InputRecord<Price>, { stores, emit }: ProcessContext<typeof stores>): void {
 *       if (value === null || value.usd === stores.lastPrice.get(key)) return;
 *       stores.lastPrice.put(key, value.usd);
 *       emit(priceChanges, key, value);
 *     }
 *
 *     export default defineProcessor({
 *       name: 'drop-equal-prices',
 *       summary: 'Prices that differ from the one before',
 *       stores,
 *       inputs: [keyed(prices, compare)],
 *       outputs: [priceChanges],
 *     });
 *
 * Logic is a function of a record, the stores and the times that it is handed: a test calls it, or uses the driver
 * (`ops/testing.md`).
 */
import type { RecordSchema, ValueOf } from '#schemas/avro.ts';
import type { Topic } from '#schemas/topics.ts';
import type { ErrorCode } from './errors.ts';
import type { FiredTimer, HandleOf, StoreDeclaration } from './state/store.ts';

/** A record in merge order. */
export interface InputRecord<V> {
  readonly key: string;
  /** Null for a tombstone (facts only). */
  readonly value: V | null;
  /** Effective log time: the order of processing. */
  readonly logTimeMs: number;
  /** When it happened, by its source: the field `eventTimeMs` where the value has one, else the log time. */
  readonly eventTimeMs: number;
  /** `topic/partition/offset`, or `topic/partition/writer:sequence` for derived records: goes into `causes`. */
  readonly place: string;
}

/** Part of an input that cannot be processed. */
export interface Rejection {
  /** Names it within the record, such as `tx/12`. */
  readonly part: string;
  readonly code: ErrorCode;
  readonly reason: string;
  readonly body: Buffer;
}

/** What every handler may do, whatever it declared. No clock, no random numbers, no I/O. */
export interface StoreContext {
  /** Emits to a declared output. Its log time is that of the record or timer being processed. */
  emit<S extends RecordSchema>(topic: Topic<S>, key: string, value: ValueOf<S>): void;
  /** Puts part of the input aside: one dead letter, and processing goes on. */
  reject(rejection: Rejection): void;
  /** Counts a record dropped because its fact was admitted before. */
  duplicate(): void;
  /** `place` of the record being processed; of a timer: `<processor>/<timer>/<key>@<due>`. */
  readonly place: string;
  readonly logTimeMs: number;
  /** Greatest event time seen on the keyed inputs of this processor in this task; -Infinity before the first. */
  readonly streamTimeMs: number;
}

export interface ProcessContext<Stores extends StoreDeclarations = StoreDeclarations> extends StoreContext {
  readonly stores: { readonly [N in keyof Stores]: HandleOf<Stores[N]> };
}

export type StoreDeclarations = Readonly<Record<string, StoreDeclaration<unknown>>>;

/** Called when a timer of a declared `logTimer` or `eventTimer` is due. */
export type TimerHandler<Stores extends StoreDeclarations> = {
  // Written as a method, so that processors of different stores fit into one list.
  fire(timer: FiredTimer, context: ProcessContext<Stores>): void;
}['fire'];

/** How far event time may lie ahead of log time by default: beyond it the source's clock is wrong. */
export const MAX_AHEAD_MS = 3_600_000;

export interface InputOptions<V> {
  /** Default: the field `eventTimeMs`, else the log time. */
  readonly eventTime?: (value: V) => number;
  /**
   * A record whose event time is further ahead of its log time is put aside: one wrong clock may not close every window.
   * Default one hour.
   */
  readonly maxAheadMs?: number;
}

/** An input with its handler. */
export interface InputDeclaration<Stores extends StoreDeclarations = StoreDeclarations> {
  readonly topic: Topic;
  /** `keyed`: the partition of the task. `broadcast`: every task reads all partitions (a table of facts). */
  readonly mode: 'keyed' | 'broadcast';
  /** Set by `rekeyed`: the records come through an internal topic, under this key. */
  readonly rekey: ((value: never) => string) | null;
  readonly eventTime: ((value: never) => number) | null;
  readonly maxAheadMs: number;
  // The handler's value type is tied to the topic by `keyed` and its siblings; here it is erased.
  process(record: InputRecord<never>, context: ProcessContext<Stores>): void;
}

export type Handler<S extends RecordSchema, Stores extends StoreDeclarations> = (
  record: InputRecord<ValueOf<S>>,
  context: ProcessContext<Stores>,
) => void;

/** Reads the partition of the task: records of one key meet in one task. */
export const keyed = <S extends RecordSchema, Stores extends StoreDeclarations>(
  topic: Topic<S>,
  process: Handler<S, Stores>,
  options: InputOptions<ValueOf<S>> = {},
): InputDeclaration<Stores> => ({
  topic,
  mode: 'keyed',
  rekey: null,
  eventTime: options.eventTime ?? null,
  maxAheadMs: options.maxAheadMs ?? MAX_AHEAD_MS,
  process,
});

/** Reads every partition, in every task. Does not move the stream time. */
export const broadcast = <S extends RecordSchema, Stores extends StoreDeclarations>(
  topic: Topic<S>,
  process: Handler<S, Stores>,
  options: InputOptions<ValueOf<S>> = {},
): InputDeclaration<Stores> => ({ ...keyed(topic, process, options), mode: 'broadcast' });

/**
 * Reads a topic by another key, through an internal topic named `internal.<processor>.<topic>` of as many partitions as
 * the processor's other keyed inputs have, or as the topic itself. Its writer is the task that reads the topic now.
 */
export const rekeyed = <S extends RecordSchema, Stores extends StoreDeclarations>(
  topic: Topic<S>,
  by: (value: ValueOf<S>) => string,
  process: Handler<S, Stores>,
  options: InputOptions<ValueOf<S>> = {},
): InputDeclaration<Stores> => ({ ...keyed(topic, process, options), rekey: by });

/**
 * What to do with a record that fails: `dead-letter` puts it aside with its bytes and goes on; `stop` halts its task
 * before the record, with everything before it safe, and leaves the others running; `fail` ends the process.
 */
export type OnError = 'dead-letter' | 'stop' | 'fail';

/** By what failed: the bytes of the input, the logic, or the encoding and size of an output. */
export interface ErrorPolicy {
  readonly decode: OnError;
  readonly logic: OnError;
  readonly output: OnError;
}

export interface ProcessorDefinition<Stores extends StoreDeclarations = StoreDeclarations> {
  /** Equals the folder name; a verb. */
  readonly name: string;
  /** One sentence for people. */
  readonly summary: string;
  readonly stores: Stores;
  /** Handlers of the timers among the stores, by name. */
  readonly onTimer: { readonly [N in keyof Stores]?: TimerHandler<NoInfer<Stores>> };
  readonly inputs: readonly InputDeclaration<NoInfer<Stores>>[];
  readonly outputs: readonly Topic[];
  /**
   * Every output has the key of the record that it comes from, or one of its partition: readers of it may then share
   * the task, without a hop through Kafka in between. Checked at each output.
   */
  readonly keepsKey: boolean;
  readonly onError: ErrorPolicy;
}

export type ProcessorInput<Stores extends StoreDeclarations> = Pick<
  ProcessorDefinition<Stores>,
  'name' | 'summary' | 'inputs' | 'outputs'
> &
  Partial<Pick<ProcessorDefinition<Stores>, 'stores' | 'onTimer' | 'keepsKey'>> & {
    readonly onError?: Partial<ErrorPolicy>;
  };

/** Fills what is left out: no stores, no timers, keys that change, failures to the dead-letter topic. */
export const defineProcessor = <const Stores extends StoreDeclarations>(
  definition: ProcessorInput<Stores>,
): ProcessorDefinition<Stores> => ({
  onTimer: {},
  keepsKey: false,
  ...definition,
  stores: definition.stores ?? ({} as Stores),
  onError: { decode: 'dead-letter', logic: 'dead-letter', output: 'dead-letter', ...definition.onError },
});
