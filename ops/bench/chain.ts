/** Workloads `chain` and `chain-fused`: enrich, by wallet, a window for each wallet, by asset, score. */
import { compose } from '#pipeline/aggregates/compose.ts';
import { count } from '#pipeline/aggregates/count.ts';
import { sumDecimal } from '#pipeline/aggregates/sum-decimal.ts';
import {
  defineProcessor,
  type InputRecord,
  keyed,
  type ProcessContext,
  type ProcessorDefinition,
} from '#pipeline/processor.ts';
import type { Serde } from '#pipeline/serde/serde.ts';
import { keyValue } from '#pipeline/state/key-value.ts';
import { tumbling } from '#pipeline/windows/shapes.ts';
import { windows } from '#pipeline/windows/windows.ts';
import { enriching, FAILS } from './enrich.ts';
import { log10 } from './log10.ts';
import {
  alerts,
  arriving,
  byAsset,
  byWallet,
  dlq,
  type EnrichedTransfer,
  enriched,
  type WindowUpdate,
  walletUpdates,
} from './records.ts';

const MINUTE_MS = 60_000;
/** Transfers of an asset before any of it is scored. */
const LEAST_HISTORY = 50;
const ALERT_ABOVE = 3;

const minuteStores = {
  minutes: windows({
    of: { minute: tumbling({ sizeMs: MINUTE_MS }) },
    aggregate: compose({ count: count(), sumUsd: sumDecimal((valueUsd: string) => valueUsd) }),
    graceMs: 2 * MINUTE_MS,
    emit: 'on-update',
    close: { by: 'event-time' },
    // What comes out holds fields of the transfer: the handler below emits it.
    changed: () => {},
  }),
};

/** Null: the window of the transfer has closed. */
function sumByMinute(
  { key: wallet, eventTimeMs, value }: InputRecord<EnrichedTransfer>,
  { stores: { minutes } }: ProcessContext<typeof minuteStores>,
): WindowUpdate | null {
  if (value === null) return null;
  const { id, asset, valueUsd, scheduledMs } = value;
  minutes.add(wallet, eventTimeMs, valueUsd);
  const windowStartMs = eventTimeMs - (eventTimeMs % MINUTE_MS);
  const totals = minutes.get(wallet, 'minute', windowStartMs);
  if (totals === undefined) return null;
  const { sumUsd } = totals;
  return { id, asset, wallet, valueUsd, windowStartMs, scheduledMs, count: BigInt(totals.count), sumUsd };
}

/** Welford's running mean and variance. Doubles in the order of the log, which is the same in every run. */
type Moments = { readonly n: number; readonly mean: number; readonly m2: number };
const NONE: Moments = { n: 0, mean: 0, m2: 0 };

function withOne({ n, mean, m2 }: Moments, x: number): Moments {
  const delta = x - mean;
  const next = mean + delta / (n + 1);
  return { n: n + 1, mean: next, m2: m2 + delta * (x - next) };
}

/** Deviations above the mean of those before; 0 while they are few or all alike. */
function scoreOf({ n, mean, m2 }: Moments, x: number): number {
  if (n < LEAST_HISTORY || m2 === 0) return 0;
  return (x - mean) / Math.sqrt(m2 / (n - 1));
}

const scoreStores = { moments: keyValue<Moments>() };

const score = defineProcessor({
  name: 'score',
  summary: 'Alerts of transfers that are far above what is usual for their asset',
  stores: scoreStores,
  inputs: [
    keyed(
      byAsset,
      (
        { key: asset, value }: InputRecord<WindowUpdate>,
        { stores: { moments }, emit }: ProcessContext<typeof scoreStores>,
      ) => {
        if (value === null) return;
        const x = log10(1 + Number(value.valueUsd));
        const before = moments.get(asset) ?? NONE;
        moments.put(asset, withOne(before, x));
        const deviations = scoreOf(before, x);
        if (deviations <= ALERT_ABOVE) return;
        const { count: windowCount, sumUsd: windowSumUsd, ...rest } = value;
        emit(alerts, asset, { ...rest, windowCount, windowSumUsd, score: deviations });
      },
    ),
  ],
  outputs: [alerts],
  onError: FAILS,
});

/** Five stages with a topic after each: no two share a task, so each hop goes the way of all hops. */
export const createChain = (serde: Serde): readonly ProcessorDefinition[] => [
  defineProcessor({
    name: 'enrich',
    summary: 'Gives each valid transfer its exact value; puts the others aside',
    inputs: [
      keyed(
        arriving,
        enriching(serde, (key, value, { emit }) => emit(enriched, key, value)),
      ),
    ],
    outputs: [enriched, dlq],
    onError: FAILS,
  }),
  defineProcessor({
    name: 'rekey-by-wallet',
    summary: 'Enriched transfers by their wallet',
    inputs: [
      keyed(enriched, ({ value }, { emit }) => {
        if (value !== null) emit(byWallet, value.from, value);
      }),
    ],
    outputs: [byWallet],
    onError: FAILS,
  }),
  defineProcessor({
    name: 'sum-by-minute',
    summary: 'The one-minute window of each wallet after each transfer',
    stores: minuteStores,
    inputs: [
      keyed(byWallet, (record, context: ProcessContext<typeof minuteStores>) => {
        const update = sumByMinute(record, context);
        if (update !== null) context.emit(walletUpdates, record.key, update);
      }),
    ],
    outputs: [walletUpdates],
    onError: FAILS,
  }),
  defineProcessor({
    name: 'rekey-by-asset',
    summary: 'Updates of windows by the asset of their transfer',
    inputs: [
      keyed(walletUpdates, ({ value }, { emit }) => {
        if (value !== null) emit(byAsset, value.asset, value);
      }),
    ],
    outputs: [byAsset],
    onError: FAILS,
  }),
  score,
];

/** The same with topics only where the key changes. */
export const createFusedChain = (serde: Serde): readonly ProcessorDefinition[] => [
  defineProcessor({
    name: 'enrich',
    summary: 'Valid transfers with their exact value, by wallet; puts the others aside',
    inputs: [
      keyed(
        arriving,
        enriching(serde, (_key, value, { emit }) => emit(byWallet, value.from, value)),
      ),
    ],
    outputs: [byWallet, dlq],
    onError: FAILS,
  }),
  defineProcessor({
    name: 'sum-by-minute',
    summary: 'The one-minute window of each wallet after each transfer, by asset',
    stores: minuteStores,
    inputs: [
      keyed(byWallet, (record, context: ProcessContext<typeof minuteStores>) => {
        const update = sumByMinute(record, context);
        if (update !== null) context.emit(byAsset, update.asset, update);
      }),
    ],
    outputs: [byAsset],
    onError: FAILS,
  }),
  score,
];
