/** Publishing a table of facts: what the topic already says is not said again. */
import { byCodeUnits } from '#pipeline/state/byte-order.ts';
import type { RecordSchema, ValueOf } from '#schemas/avro.ts';
import type { Topic } from '#schemas/topics.ts';
import type { ConnectorContext } from '../rooms.ts';

/** What `publishFacts` did; `unchanged` keys were left alone. */
export interface PublishedFacts {
  readonly written: number;
  readonly withdrawn: number;
  readonly unchanged: number;
  /** False when the signal aborted before the last key. */
  readonly isComplete: boolean;
}

/**
 * Brings a fact topic up to `facts` (key -> value): reads what the topic holds and emits only new and changed keys,
 * in sorted order of key, so that the same table on the same topic writes the same records. With `withdraw`, keys
 * of the topic that `facts` lacks get a tombstone; without, they stay. Resolves when Kafka has acknowledged
 * everything; rejects with the first error of an emit.
 */
export async function publishFacts<S extends RecordSchema>(options: {
  context: ConnectorContext;
  /** Name of the connector, for its counter. */
  connector: string;
  topic: Topic<S>;
  facts: ReadonlyMap<string, ValueOf<S>>;
  withdraw?: boolean;
  signal?: AbortSignal;
}): Promise<PublishedFacts> {
  const { context, connector, topic, facts, withdraw = false, signal } = options;
  const present = new Map<string, string>();
  for await (const { key, value } of context.read(topic)) {
    if (value === null) present.delete(key);
    else present.set(key, comparableText(value));
  }
  const keys = [...facts.keys(), ...(withdraw ? [...present.keys()].filter((key) => !facts.has(key)) : [])];

  let written = 0;
  let withdrawn = 0;
  let unchanged = 0;
  let isComplete = true;
  let failure: { readonly error: unknown } | null = null;
  const acknowledgements: Promise<void>[] = [];
  for (const key of keys.sort(byCodeUnits)) {
    const value = facts.get(key) ?? null;
    if (value !== null && present.get(key) === comparableText(value)) {
      unchanged += 1;
      continue;
    }
    await context.writable();
    if (failure !== null) break;
    if (signal?.aborted) {
      isComplete = false;
      break;
    }
    // Handled here and now: an emit may fail long before the last one is acknowledged.
    const acknowledged = context
      .emit(topic, key, value)
      .then(() => context.metrics.add('connector_records_total', { connector }))
      .catch((error: unknown) => {
        failure ??= { error };
      });
    acknowledgements.push(acknowledged);
    if (value === null) withdrawn += 1;
    else written += 1;
  }
  await Promise.all(acknowledgements);
  rethrow(failure);
  return { written, withdrawn, unchanged, isComplete };
}

const rethrow = (failure: { readonly error: unknown } | null): void => {
  if (failure !== null) throw failure.error;
};

/** JSON with sorted keys in which exact integers and bytes keep their type; equal texts mean equal values. */
export function comparableText(value: unknown): string {
  if (typeof value === 'bigint') return `${value}n`;
  if (Buffer.isBuffer(value)) return `0x${value.toString('hex')}`;
  if (Array.isArray(value)) return `[${value.map(comparableText).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).sort(([a], [b]) => byCodeUnits(a, b));
    return `{${entries.map(([name, part]) => `${JSON.stringify(name)}:${comparableText(part)}`).join(',')}}`;
  }
  return JSON.stringify(value) ?? 'undefined';
}
