/** What the yardstick's workloads read and write: its schemas (`schemas/*.avsc` there), its topics, its fixed schema ids. */
import { localSerde, type Serde } from '#pipeline/serde/serde.ts';
import { nullable, type RecordSchema, timestampMs, type ValueOf } from '#schemas/avro.ts';
import { deadLetter } from '#schemas/dead-letter.ts';
import { plan } from '#schemas/plan.ts';
import type { Layer, Topic } from '#schemas/topics.ts';

/** Of every topic of the yardstick. */
const PARTITIONS = 6;
const NAMESPACE = 'yardstick.schema';

const transferFields = [
  { name: 'id', type: 'string' },
  { name: 'chain', type: 'string' },
  { name: 'asset', type: 'string' },
  { name: 'blockNumber', type: 'long' },
  { name: 'logIndex', type: 'int' },
  { name: 'txHash', type: 'string' },
  { name: 'from', type: 'string' },
  { name: 'to', type: 'string' },
  { name: 'amount', type: 'string', doc: 'raw units' },
  { name: 'decimals', type: 'int' },
  { name: 'eventTimeMs', type: timestampMs },
  { name: 'scheduledMs', type: timestampMs },
  { name: 'price', type: 'string', doc: 'US dollars for one unit' },
  { name: 'flags', type: 'int' },
  { name: 'memo', type: nullable('string') },
] as const;

const transfer = {
  type: 'record',
  name: 'Transfer',
  namespace: NAMESPACE,
  fields: transferFields,
} as const;

const enrichedTransfer = {
  type: 'record',
  name: 'Enriched',
  namespace: NAMESPACE,
  fields: [
    ...transferFields,
    { name: 'units', type: 'string' },
    { name: 'valueUsd', type: 'string' },
    { name: 'tier', type: 'int', doc: 'digits of the integer part of valueUsd, 0 below one dollar' },
  ],
} as const;

const windowResult = {
  type: 'record',
  name: 'WindowResult',
  namespace: NAMESPACE,
  fields: [
    { name: 'wallet', type: 'string' },
    { name: 'asset', type: 'string' },
    { name: 'sizeMs', type: timestampMs },
    { name: 'startMs', type: timestampMs },
    { name: 'count', type: 'long' },
    { name: 'sum', type: 'string' },
    { name: 'max', type: 'string' },
  ],
} as const;

const windowUpdateFields = [
  { name: 'id', type: 'string', doc: 'of the transfer that caused it' },
  { name: 'asset', type: 'string' },
  { name: 'wallet', type: 'string' },
  { name: 'valueUsd', type: 'string', doc: 'of that transfer' },
  { name: 'windowStartMs', type: timestampMs },
  { name: 'scheduledMs', type: timestampMs },
] as const;

const windowUpdate = {
  type: 'record',
  name: 'WindowUpdate',
  namespace: NAMESPACE,
  fields: [...windowUpdateFields, { name: 'count', type: 'long' }, { name: 'sumUsd', type: 'string' }],
} as const;

const alert = {
  type: 'record',
  name: 'Alert',
  namespace: NAMESPACE,
  fields: [
    ...windowUpdateFields,
    { name: 'windowCount', type: 'long' },
    { name: 'windowSumUsd', type: 'string' },
    { name: 'score', type: 'double', doc: 'deviations above the mean of log10(1 + valueUsd) so far' },
  ],
} as const;

/** Bytes as they are, whatever they hold: the serde below neither adds nor takes anything. */
const bytesAsTheyAre = {
  type: 'record',
  name: 'BytesAsTheyAre',
  namespace: NAMESPACE,
  fields: [{ name: 'bytes', type: 'bytes' }],
} as const;

export type Transfer = ValueOf<typeof transfer>;
export type EnrichedTransfer = ValueOf<typeof enrichedTransfer>;
export type WindowUpdate = ValueOf<typeof windowUpdate>;
export type BytesAsTheyAre = ValueOf<typeof bytesAsTheyAre>;

const define = <const S extends RecordSchema>(
  layer: Layer,
  name: string,
  key: string,
  schema: S,
  partitions = PARTITIONS,
): Topic<S> => ({ name, layer, key, schema, partitions });

/** The input of `enrich`, which has values that do not decode. */
export const received = define('history', 'received', 'asset', bytesAsTheyAre);
/**
 * The same, written while it is read: readers append ticks where it is quiet. The topic keeps its writer's times, so a
 * tick can make a record that comes after it later than its writer said; the running maximum of the partition, which
 * every reader takes, is still the truth.
 */
export const arriving = define('raw', 'arriving', 'asset', bytesAsTheyAre);
/** The input of `windows`. */
export const transfers = define('history', 'transfers', 'wallet|asset', transfer);
export const enriched = define('derived', 'enriched', 'asset', enrichedTransfer);
/** Invalid transfers, byte for byte. */
export const dlq = define('derived', 'dlq', 'asset', bytesAsTheyAre);
export const windowResults = define('derived', 'windows', 'wallet|asset', windowResult);
export const byWallet = define('derived', 'by-wallet', 'wallet', enrichedTransfer);
/** A wallet's one-minute window after each transfer. */
export const walletUpdates = define('derived', 'wallet-windows', 'wallet', windowUpdate);
export const byAsset = define('derived', 'by-asset', 'asset', windowUpdate);
export const alerts = define('derived', 'alerts', 'asset', alert);

/** Of the engine itself: nothing of it is compared. */
export const benchPlan = define('plan', 'plan', 'kind', plan, 1);
export const deadLetters = define('derived', 'dead-letters', 'origin topic', deadLetter, 1);

const isBytes = ({ schema }: Topic): boolean => schema === bytesAsTheyAre;

/** Schema ids are those of the yardstick: 1 transfer, 2 enriched, 3 window result, 4 window update, 5 alert. */
export function yardstickSerde(): Serde {
  const ofSchemas = [transfers, enriched, windowResults, walletUpdates, alerts, benchPlan, deadLetters];
  const avro = localSerde(ofSchemas);
  const first = new Map<RecordSchema, Topic>(ofSchemas.map((topic) => [topic.schema, topic]));
  /** Topics of one schema share its id. */
  const like = <S extends RecordSchema>(topic: Topic<S>): Topic<S> =>
    // The map gives a topic of this very schema.
    (first.get(topic.schema) as Topic<S> | undefined) ?? topic;
  return {
    encode: (topic, value) =>
      isBytes(topic) ? (value as BytesAsTheyAre).bytes : avro.encode(like(topic), value),
    decode: <S extends RecordSchema>(topic: Topic<S>, bytes: Buffer) =>
      // The schema says what the value is.
      isBytes(topic) ? ({ bytes } as ValueOf<S>) : avro.decode(like(topic), bytes),
  };
}
