/** Transfers with labels, units and USD value, as they were known by then (analytics, sections 1 and 4). */
import { isDecimals, isDecimalText, multiplyDecimals, toDecimalText } from '#pipeline/amounts.ts';
import { PipelineError } from '#pipeline/errors.ts';
import type { InputRecord, ProcessContext } from '#pipeline/processor.ts';
import { keyValue } from '#pipeline/state/key-value.ts';
import type { Label } from '#schemas/label.ts';
import type { Price } from '#schemas/price.ts';
import type { Token } from '#schemas/token.ts';
import { enrichedTransfers } from '#schemas/topics.ts';
import type { Transfer } from '#schemas/transfer.ts';
import { flowOf, type Party } from './flow.ts';
import { addPrice, type PricePoint, priceAsOf, removePrice } from './price.ts';

const DAY_MS = 86_400_000;

type KnownLabel = Party & { readonly validFromMs: number | null };
type KnownToken = { readonly symbol: string; readonly decimals: number; readonly priceAsset: string | null };

export const stores = {
  /** `<op>:<transfer id>`: the same transfer can come from several sources. */
  admitted: keyValue<1>({ retentionMs: 7 * DAY_MS }),
  /** `<asset>:<minute>` */
  prices: keyValue<readonly PricePoint[]>({ retentionMs: 2 * DAY_MS }),
  /** `<chain>:<address>` */
  labels: keyValue<KnownLabel>(),
  /** `<chain>:<asset>` */
  tokens: keyValue<KnownToken>(),
};

type Context = ProcessContext<typeof stores>;

/** Keeps a label; a tombstone forgets it. */
export function learnLabel({ key, value }: InputRecord<Label>, { stores: { labels } }: Context): void {
  if (value === null) {
    labels.delete(key);
    return;
  }
  const { name, kind, entity, confidence, id, validFromMs } = value;
  labels.put(key, { name, kind, entity, confidence, labelId: id, validFromMs });
}

/** Keeps what is known of a token; a tombstone forgets it. */
export function learnToken({ key, value }: InputRecord<Token>, { stores: { tokens } }: Context): void {
  if (value === null) {
    tokens.delete(key);
    return;
  }
  const { symbol, decimals, priceAsset } = value;
  tokens.put(key, { symbol, decimals, priceAsset });
}

/** Keeps a price, or forgets one that was taken back. */
export function learnPrice({ value }: InputRecord<Price>, context: Context): void {
  if (value === null) return;
  const { op, asset, eventTimeMs, usd, source } = value;
  const { prices } = context.stores;
  if (op === 'retract') {
    removePrice(prices, asset, eventTimeMs, source);
    return;
  }
  if (!isDecimalText(usd)) {
    throw new PipelineError(
      'VALUE_UNREADABLE',
      `price of ${asset}: expected decimal text, found ${usd.slice(0, 40)}; see ${source}`,
    );
  }
  if (!addPrice(prices, asset, [eventTimeMs, usd, source])) context.duplicate();
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
    token?.priceAsset == null ? null : priceAsOf(context.stores.prices, token.priceAsset, eventTimeMs);
  const fromLabel = partyAt(context, chain, from, eventTimeMs);
  const toLabel = partyAt(context, chain, to, eventTimeMs);
  context.emit(enrichedTransfers, key, {
    ...value,
    causes: [place],
    decimals,
    symbol: value.symbol ?? token?.symbol ?? null,
    units,
    usd: units === null || price === null ? null : multiplyDecimals(units, price[1]),
    priceUsd: price?.[1] ?? null,
    priceTimeMs: price?.[0] ?? null,
    priceSource: price?.[2] ?? null,
    fromLabel,
    toLabel,
    flow: flowOf(value, fromLabel, toLabel),
  });
}
