/**
 * Topics as tables beside a stream (Kafka Streams: KTable, GlobalKTable, versioned KTable): inputs that keep the values of
 * a topic in a declared store, where the handlers of other inputs look them up.
 *
 *     stores: { labels: keyValue<Label>(), prices: versioned<Price>({ retentionMs: 2 * DAY_MS, sameTime: 'last' }) },
 *     inputs: [
 *       broadcastTable(factsLabels, 'labels'),
 *       asOfTable(prices, 'prices', 'broadcast', ({ op, ...price }) => (op === 'retract' ? null : price)),
 *       keyed(chainTransfers, enrich),
 *     ],
 *
 * A join with a table sees what came before it in the merge: a value learned later changes nothing that was passed on.
 */
import { broadcast, type Handler, type InputDeclaration, keyed } from '#pipeline/processor.ts';
import type { KeyValueStore } from '#pipeline/state/key-value.ts';
import type { StoreDeclaration } from '#pipeline/state/store.ts';
import type { VersionedStore } from '#pipeline/state/versioned.ts';
import type { RecordSchema, ValueOf } from '#schemas/avro.ts';
import type { Topic } from '#schemas/topics.ts';

/** What the table keeps of a value; null deletes, as a tombstone does. */
export type TableValue<S extends RecordSchema, V> = (value: ValueOf<S>) => V | null;

type WithStore<Name extends string, Handle> = { readonly [N in Name]: StoreDeclaration<Handle> };

/** A table of the partition of the task: of the keys that it also processes. The last record of a key holds. */
export const keyedTable = <S extends RecordSchema, Name extends string, V = ValueOf<S>>(
  topic: Topic<S>,
  store: Name,
  project?: TableValue<S, V>,
): InputDeclaration<WithStore<Name, KeyValueStore<V>>> => keyed(topic, keepLast(store, project));

/** A table of all keys, in every task. The last record of a key holds. */
export const broadcastTable = <S extends RecordSchema, Name extends string, V = ValueOf<S>>(
  topic: Topic<S>,
  store: Name,
  project?: TableValue<S, V>,
): InputDeclaration<WithStore<Name, KeyValueStore<V>>> => broadcast(topic, keepLast(store, project));

/**
 * A table of versions, looked up with `asOf`. A value holds from its event time on, and a tombstone, which has none, from
 * its log time on. Declare the store with `sameTime: 'last'` where a later record of the same time is to hold.
 */
export const asOfTable = <S extends RecordSchema, Name extends string, V = ValueOf<S>>(
  topic: Topic<S>,
  store: Name,
  mode: InputDeclaration['mode'],
  project?: TableValue<S, V>,
): InputDeclaration<WithStore<Name, VersionedStore<V>>> => {
  const keep: Handler<S, WithStore<Name, VersionedStore<V>>> = ({ key, eventTimeMs, value }, { stores }) => {
    stores[store].put(key, eventTimeMs, kept(value, project));
  };
  return mode === 'keyed' ? keyed(topic, keep) : broadcast(topic, keep);
};

const keepLast =
  <S extends RecordSchema, Name extends string, V>(
    store: Name,
    project: TableValue<S, V> | undefined,
  ): Handler<S, WithStore<Name, KeyValueStore<V>>> =>
  ({ key, value }, { stores }) => {
    const next = kept(value, project);
    if (next === null) stores[store].delete(key);
    else stores[store].put(key, next);
  };

const kept = <S extends RecordSchema, V>(
  value: ValueOf<S> | null,
  project: TableValue<S, V> | undefined,
): V | null => {
  if (value === null) return null;
  // Without `project` the table keeps the value as it is: V is its type.
  return project === undefined ? (value as unknown as V) : project(value);
};
