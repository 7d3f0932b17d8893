/** Drives one processor in memory, for tests: records in, outputs out. The engine's order and timing are not in it. */
import type { InputRecord, ProcessContext, ProcessorDefinition, StoreDeclarations } from '#pipeline/rooms.ts';
import type { Json, KeyValueStore } from '#pipeline/state/store.ts';
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

interface Entry {
  readonly text: string;
  readonly writtenMs: number;
}

/** JSON would drop these without a word, and a restart would read something else. */
function refuseLossy(_key: string, value: unknown): unknown {
  const isLossy =
    value === undefined || (typeof value === 'number' && !Number.isFinite(value)) || Object.is(value, -0);
  if (isLossy)
    throw new TypeError(`expected JSON, found ${String(value)}: a store or an output would lose it`);
  return value;
}

/** A driver for one processor. Values in its stores are kept as JSON text. */
export function createProcessDriver<Stores extends StoreDeclarations>(
  definition: ProcessorDefinition<Stores>,
): ProcessDriver {
  const names = Object.keys(definition.stores);
  const entries = new Map(names.map((name) => [name, new Map<string, Entry>()]));
  const emitted: Emitted[] = [];
  const rejected: Rejected[] = [];
  let duplicates = 0;
  let count = 0;

  const attempt = (logTimeMs: number) => {
    const outputs: Emitted[] = [];
    const rejects: Rejected[] = [];
    const writes: (() => void)[] = [];
    let dropped = 0;
    const openStore = (name: string): KeyValueStore => {
      const retentionMs = definition.stores[name]?.retentionMs ?? null;
      const base = entries.get(name) ?? new Map<string, Entry>();
      const own = new Map<string, Entry | null>();
      writes.push(() => {
        for (const [key, entry] of own) entry === null ? base.delete(key) : base.set(key, entry);
      });
      return {
        get: (key) => {
          const entry = own.has(key) ? own.get(key) : base.get(key);
          if (entry == null || (retentionMs !== null && logTimeMs - entry.writtenMs > retentionMs))
            return undefined;
          return JSON.parse(entry.text) as Json;
        },
        put: (key, value) => own.set(key, { text: JSON.stringify(value, refuseLossy), writtenMs: logTimeMs }),
        delete: (key) => own.set(key, null),
      };
    };
    const context = {
      stores: Object.fromEntries(names.map((name) => [name, openStore(name)])),
      emit: (topic: Topic, key: string, value: object) => {
        if (!definition.outputs.some((output) => output.name === topic.name)) {
          throw new TypeError(`${definition.name}: ${topic.name} is not among its outputs; declare it`);
        }
        checkFields(topic, value);
        outputs.push({ topic: topic.name, key, value });
      },
      reject: (options: Rejected) => rejects.push(options),
      duplicate: () => {
        dropped++;
      },
    };
    return {
      // The types of the stores are those of the declaration, which made them.
      context: context as unknown as ProcessContext<Stores>,
      keep: () => {
        for (const write of writes) write();
        emitted.push(...outputs);
        rejected.push(...rejects);
        duplicates += dropped;
      },
    };
  };

  return {
    feed: (topic, { key, value, logTimeMs = 0, place }) => {
      const record = { key, value, logTimeMs, place: place ?? `${topic.name}/0/${count}` };
      count++;
      const inputs = definition.inputs.filter((input) => input.topic.name === topic.name);
      if (inputs.length === 0)
        throw new TypeError(`${definition.name}: ${topic.name} is not among its inputs`);
      const { context, keep } = attempt(logTimeMs);
      // The declaration tied the value's type to the topic; there it was erased.
      for (const input of inputs) input.process(record as InputRecord<never>, context);
      keep();
    },
    values: <S extends RecordSchema>(topic: Topic<S>) =>
      emitted.filter((output) => output.topic === topic.name).map((output) => output.value as ValueOf<S>),
    emitted,
    rejected,
    duplicates: () => duplicates,
    state: () =>
      Object.fromEntries(
        [...entries].map(([name, store]) => [
          name,
          [...store].map(([key, entry]) => [key, entry.text] as const).sort((a, b) => (a[0] < b[0] ? -1 : 1)),
        ]),
      ),
  };
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
