/** Workload `windows`: drop copies by id, then count, exact sum and greatest amount by key over two kinds of window. */
import { compose } from '#pipeline/aggregates/compose.ts';
import { count } from '#pipeline/aggregates/count.ts';
import { max } from '#pipeline/aggregates/extremes.ts';
import { sum } from '#pipeline/aggregates/sum.ts';
import { defineProcessor, type InputRecord, keyed, type ProcessContext } from '#pipeline/processor.ts';
import { keyValue } from '#pipeline/state/key-value.ts';
import { hopping, tumbling } from '#pipeline/windows/shapes.ts';
import { windows } from '#pipeline/windows/windows.ts';
import { type Transfer, transfers, windowResults } from './records.ts';

const MINUTE_MS = 60_000;

const amount = (raw: bigint): bigint => raw;

const stores = {
  seen: keyValue<1>({ retentionMs: 10 * MINUTE_MS }),
  totals: windows({
    of: {
      minute: tumbling({ sizeMs: MINUTE_MS }),
      fiveMinutes: hopping({ sizeMs: 5 * MINUTE_MS, advanceMs: MINUTE_MS }),
    },
    aggregate: compose({ count: count(), sum: sum(amount), max: max(amount) }),
    graceMs: 2 * MINUTE_MS,
    emit: 'on-close',
    close: { by: 'event-time' },
    changed: ({ key, startMs, endMs, result }, { emit }) => {
      if (result === null) return;
      const bar = key.indexOf('|');
      emit(windowResults, key, {
        wallet: key.slice(0, bar),
        asset: key.slice(bar + 1),
        sizeMs: endMs - startMs,
        startMs,
        count: BigInt(result.count),
        sum: String(result.sum),
        max: String(result.max),
      });
    },
  }),
};

function countOnce(
  { key, eventTimeMs, value }: InputRecord<Transfer>,
  { stores: { seen, totals }, duplicate }: ProcessContext<typeof stores>,
): void {
  if (value === null) return;
  if (seen.get(value.id) !== undefined) {
    duplicate();
    return;
  }
  seen.put(value.id, 1);
  totals.add(key, eventTimeMs, BigInt(value.amount));
}

export const walletWindows = defineProcessor({
  name: 'wallet-windows',
  summary: 'Amounts of each wallet and asset in windows of one and five minutes',
  stores,
  inputs: [keyed(transfers, countOnce)],
  outputs: [windowResults],
  keepsKey: true,
  onError: { decode: 'fail', logic: 'fail', output: 'fail' },
});
