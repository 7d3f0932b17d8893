/**
 * Drives one processor in memory, for tests of its logic: records in, outputs out. The order of input and timers are
 * those of the test driver (`driver.ts`); here a handler is called with what is fed, and what it throws is thrown.
 */
import type {
  InputRecord,
  ProcessContext,
  ProcessorDefinition,
  Rejection,
  StoreDeclarations,
} from '#pipeline/processor.ts';
import { eventTimeOf } from '#pipeline/runtime/fold.ts';
import { LAST_KEY } from '#pipeline/state/backend.ts';
import { createMemoryBackend } from '#pipeline/state/memory.ts';
import type { StoreInstance } from '#pipeline/state/store.ts';
import { createTaskState, storePrefix, withContents } from '#pipeline/state/task-state.ts';
import { TIMER_PREFIX } from '#pipeline/state/timer-queue.ts';
import type { RecordSchema, ValueOf } from '#schemas/avro.ts';
import type { Topic } from '#schemas/topics.ts';

export interface Emitted {
  readonly topic: string;
  readonly key: string;
  readonly value: unknown;
}

export interface Rejected {
  readonly part: string;
  readonly code: string;
  readonly reason: string;
  readonly body: Buffer;
}

export interface FeedOptions<V> {
  readonly key: string;
  readonly value: V | null;
  /** Default 0. */
  readonly logTimeMs?: number;
  /** Default: `<topic>/0/<count>`. */
  readonly place?: string;
}

export interface ProcessDriver {
  /** Runs every handler of the topic. When one throws, nothing of that record stays: no output, no state. */
  feed<S extends RecordSchema>(topic: Topic<S>, record: FeedOptions<ValueOf<S>>): void;
  /** Values emitted to a topic so far, in order. */
  values<S extends RecordSchema>(topic: Topic<S>): readonly ValueOf<S>[];
  readonly emitted: readonly Emitted[];
  readonly rejected: readonly Rejected[];
  duplicates(): number;
  /** The stores as JSON text, sorted by key: what a restart would read. */
  state(): Readonly<Record<string, readonly (readonly [string, string])[]>>;
}

/** A driver for one processor. After each record its stores go through text, as in a restart. */
export function createProcessDriver<Stores extends StoreDeclarations>(
  definition: ProcessorDefinition<Stores>,
): ProcessDriver {
  const backend = createMemoryBackend();
  const emitted: Emitted[] = [];
  const rejected: Rejected[] = [];
  let duplicates = 0;
  let count = 0;
  let hasTimers = false;

  const open = (place: string, logTimeMs: number) => {
    const state = createTaskState(backend, 100);
    const stores: Record<string, StoreInstance<unknown>['handle']> = {};
    const outputs: Emitted[] = [];
    const rejections: Rejection[] = [];
    let dropped = 0;
    const context = {
      stores,
      place,
      logTimeMs,
      streamTimeMs: Number.NEGATIVE_INFINITY,
      emit: (topic: Topic, key: string, value: object) => {
        if (!definition.outputs.some((output) => output.name === topic.name)) {
          throw new TypeError(`${definition.name}: ${topic.name} is not among its outputs; declare it`);
        }
        checkFields(topic, value);
        outputs.push({ topic: topic.name, key, value });
      },
      reject: (rejection: Rejection) => rejections.push(rejection),
      duplicate: () => {
        dropped++;
      },
    };
    const attempt = (_part: string, work: () => void) => work();
    for (const [store, declaration] of Object.entries(definition.stores)) {
      const processor = definition.name;
      // The context is typed by the stores of the definition; a store uses none of them.
      const options = { processor, store, declaration, context: context as never, count: () => {}, attempt };
      stores[store] = state.open(options).handle;
    }
    for (const { first, end, load } of state.loaders) {
      // Most processors have none, and to look for them among all entries after each record takes long.
      if (first === TIMER_PREFIX && !hasTimers) continue;
      for (const [key, text] of backend.scanNow(first, end)) load(key, text);
    }
    return {
      // The types of the stores are those of the declaration, which made them.
      context: context as unknown as ProcessContext<Stores>,
      keep: () => {
        const captured = state.capture();
        const operations = [...withContents(captured.operations, '')];
        backend.writeNow(operations);
        hasTimers ||= operations.some((operation) => operation.key.startsWith(TIMER_PREFIX));
        emitted.push(...outputs);
        rejected.push(...rejections);
        duplicates += dropped;
      },
    };
  };

  return {
    feed: (topic, { key, value, logTimeMs = 0, place: given }) => {
      const place = given ?? `${topic.name}/0/${count}`;
      count++;
      const inputs = definition.inputs.filter((input) => input.topic.name === topic.name);
      if (inputs.length === 0)
        throw new TypeError(`${definition.name}: ${topic.name} is not among its inputs`);
      const { context, keep } = open(place, logTimeMs);
      for (const input of inputs) {
        const eventTimeMs = eventTimeOf(input, value, logTimeMs);
        // The declaration tied the value's type to the topic; there it was erased.
        input.process({ key, value, logTimeMs, eventTimeMs, place } as InputRecord<never>, context);
      }
      keep();
    },
    values: <S extends RecordSchema>(topic: Topic<S>) =>
      emitted.filter((output) => output.topic === topic.name).map((output) => output.value as ValueOf<S>),
    emitted,
    rejected,
    duplicates: () => duplicates,
    state: () =>
      Object.fromEntries(
        Object.keys(definition.stores).map((name) => {
          const prefix = storePrefix(definition.name, name);
          const entries = backend.scanNow(prefix, prefix + LAST_KEY);
          return [name, entries.map(([key, text]) => [key.slice(prefix.length), text] as const)];
        }),
      ),
  };
}

/** JSON would drop these without a word, and a restart would read something else. */
function refuseLossy(_key: string, value: unknown): unknown {
  const isLossy =
    value === undefined || (typeof value === 'number' && !Number.isFinite(value)) || Object.is(value, -0);
  if (isLossy)
    throw new TypeError(`expected JSON, found ${String(value)}: a store or an output would lose it`);
  return value;
}

/** Exactly the fields of the schema, none undefined: a record that the codec would refuse fails here, near its cause. */
function checkFields(topic: Topic, value: object): void {
  const expected = topic.schema.fields.map((field) => field.name).sort();
  const found = Object.keys(value).sort();
  if (expected.join() !== found.join()) {
    throw new TypeError(`${topic.name}: expected fields ${expected.join(' ')}, found ${found.join(' ')}`);
  }
  for (const [name, field] of Object.entries(value)) {
    if (typeof field !== 'bigint') JSON.stringify(field, (key, item) => refuseLossy(`${name}.${key}`, item));
  }
}
