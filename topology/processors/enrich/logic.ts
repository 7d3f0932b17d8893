/** Transfers with labels, units and USD value, as they were known by then (analytics, sections 1 and 4). */
import { isDecimals, isDecimalText, multiplyDecimals, toDecimalText } from '#pipeline/amounts.ts';
import { PipelineError } from '#pipeline/errors.ts';
import type { InputRecord, ProcessContext } from '#pipeline/processor.ts';
import { keyValue } from '#pipeline/state/key-value.ts';
import { versioned } from '#pipeline/state/versioned.ts';
import type { Label } from '#schemas/label.ts';
import type { Price } from '#schemas/price.ts';
import type { Token } from '#schemas/token.ts';
import { enrichedTransfers } from '#schemas/topics.ts';
import type { Transfer } from '#schemas/transfer.ts';
import { flowOf, type Party } from './flow.ts';

const DAY_MS = 86_400_000;
/** A price older than this says nothing about the moment of the transfer. */
const PRICE_MAX_AGE_MS = 10 * 60_000;

/** Epoch milliseconds, USD as decimal text, source. */
type PricePoint = readonly [timeMs: number, usd: string, source: string];
type KnownLabel = Party & { readonly validFromMs: number | null };
type KnownToken = { readonly symbol: string; readonly decimals: number; readonly priceAsset: string | null };

export const stores = {
  /** `<op>:<transfer id>`: the same transfer can come from several sources. */
  admitted: keyValue<1>({ retentionMs: 7 * DAY_MS }),
  /** By asset. Of several sources at one time the first by name holds, and of each its first statement. */
  prices: versioned<PricePoint>({ retentionMs: 2 * DAY_MS, maxAgeMs: PRICE_MAX_AGE_MS, sameTime: 'least' }),
  /** `<chain>:<address>` */
  labels: keyValue<KnownLabel>(),
  /** `<chain>:<asset>` */
  tokens: keyValue<KnownToken>(),
};

type Context = ProcessContext<typeof stores>;

/** What is kept of a label. */
export const keptLabel = ({
  name,
  kind,
  entity,
  confidence,
  id: labelId,
  validFromMs,
}: Label): KnownLabel => ({ name, kind, entity, confidence, labelId, validFromMs });

/** What is kept of a token. */
export const keptToken = ({ symbol, decimals, priceAsset }: Token): KnownToken => ({
  symbol,
  decimals,
  priceAsset,
});

/** Keeps a price, or forgets one that was taken back. */
export function learnPrice({ value }: InputRecord<Price>, context: Context): void {
  if (value === null) return;
  const { op, asset, eventTimeMs, usd, source } = value;
  const { prices } = context.stores;
  if (op === 'retract') {
    prices.remove(asset, eventTimeMs, source);
    return;
  }
  if (!isDecimalText(usd)) {
    throw new PipelineError(
      'VALUE_UNREADABLE',
      `price of ${asset}: expected decimal text, found ${usd.slice(0, 40)}; see ${source}`,
    );
  }
  if (prices.put(asset, eventTimeMs, [eventTimeMs, usd, source], source) === 'known') context.duplicate();
}

/** The label of an address at a time; null: none known. A label holds from its first use on, not before. */
function partyAt(context: Context, chain: string, address: string | null, timeMs: number): Party | null {
  if (address === null) return null;
  const label = context.stores.labels.get(`${chain}:${address}`);
  if (label === undefined || (label.validFromMs !== null && label.validFromMs > timeMs)) return null;
  const { name, kind, entity, confidence, labelId } = label;
  return { name, kind, entity, confidence, labelId };
}

/** Emits a transfer with what is known of it, once for each id. */
export function enrich({ key, value, place }: InputRecord<Transfer>, context: Context): void {
  if (value === null) {
    throw new PipelineError('VALUE_UNREADABLE', `transfer ${key}: expected a value, found a tombstone`);
  }
  const { chain, asset, eventTimeMs, from, to } = value;
  const admission = `${value.op}:${value.id}`;
  if (context.stores.admitted.get(admission) !== undefined) {
    context.duplicate();
    return;
  }
  context.stores.admitted.put(admission, 1);

  const token = context.stores.tokens.get(`${chain}:${asset}`);
  const decimals = value.decimals ?? token?.decimals ?? null;
  const units = decimals === null || !isDecimals(decimals) ? null : toDecimalText(value.amountRaw, decimals);
  const price =
    token?.priceAsset == null ? undefined : context.stores.prices.asOf(token.priceAsset, eventTimeMs)?.value;
  const fromLabel = partyAt(context, chain, from, eventTimeMs);
  const toLabel = partyAt(context, chain, to, eventTimeMs);
  context.emit(enrichedTransfers, key, {
    ...value,
    causes: [place],
    decimals,
    symbol: value.symbol ?? token?.symbol ?? null,
    units,
    usd: units === null || price === undefined ? null : multiplyDecimals(units, price[1]),
    priceUsd: price?.[1] ?? null,
    priceTimeMs: price?.[0] ?? null,
    priceSource: price?.[2] ?? null,
    fromLabel,
    toLabel,
    flow: flowOf(value, fromLabel, toLabel),
  });
}
