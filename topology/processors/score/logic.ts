/** Enriched transfers as scores: how large, which way, and on how good data (analytics, section 18). */
import { PipelineError } from '#pipeline/errors.ts';
import type { InputRecord, ProcessContext } from '#pipeline/processor.ts';
import type { EnrichedTransfer } from '#schemas/enriched-transfer.ts';
import { scoresEvents } from '#schemas/topics.ts';
import { type ComponentInput, round6, severityOf, type Weights } from './severity.ts';

/** Names the weights and the definition of the components below: it changes with either. */
export const VERSION = 'severity-1';

/** USD value at which size begins to count. */
const SIZE_THRESHOLD_USD = 250_000;
const CROSS = 0.3;

/** Starting weights of analytics, section 18, not yet fitted to outcomes. */
export const WEIGHTS: Weights = {
  bias: -3.2,
  byName: {
    size: 1.1,
    rarity: 0.9,
    flow: 0.8,
    actor: 0.6,
    novelty: 0.4,
    burst: 0.5,
    context: 0.7,
    dataQuality: -1,
  },
};

const STABLECOINS: readonly (string | null)[] = ['USDC', 'USDT', 'DAI'];

export const stores = {};

function sizeOf({ usd, priceSource, priceTimeMs, id }: EnrichedTransfer): ComponentInput {
  if (usd === null) return { name: 'size', value: null, sources: [] };
  const magnitude = Math.log10(Number(usd) / SIZE_THRESHOLD_USD);
  const sources = priceSource === null ? [id] : [id, `${priceSource}:${priceTimeMs}`];
  return { name: 'size', value: round6(Math.min(2, Math.max(0, magnitude))), sources };
}

/** How sure it is that value entered or left an exchange, 0..1, with the labels that say so. */
function exchangeSide({ flow, fromLabel, toLabel }: EnrichedTransfer): { value: number; sources: string[] } {
  const labels = [
    ...(flow !== 'inflow' && fromLabel !== null ? [fromLabel] : []),
    ...(flow !== 'outflow' && toLabel !== null ? [toLabel] : []),
  ];
  const sources = labels.map((label) => label.labelId);
  if (flow === 'inflow' || flow === 'outflow') {
    return { value: round6(Math.min(1, Math.max(0, labels[0]?.confidence ?? 0))), sources };
  }
  if (flow === 'cross') return { value: CROSS, sources };
  return { value: 0, sources: flow === 'internal' ? sources : [] };
}

function dataQualityOf(transfer: EnrichedTransfer): ComponentInput {
  const hasLabel = transfer.fromLabel !== null || transfer.toLabel !== null;
  const quality =
    (transfer.priceUsd === null ? 0.5 : 1) *
    (hasLabel ? 1 : 0.9) *
    (transfer.status === 'unverified' ? 0.5 : 1);
  return { name: 'dataQuality', value: round6(1 - quality), sources: [transfer.id] };
}

/**
 * -1..1, positive: bullish. Coins that leave exchanges are held, coins that arrive may be sold; stablecoins are the
 * money that buys, so they read the other way (analytics, section 4).
 */
export function directionOf(transfer: EnrichedTransfer): number {
  const { flow, symbol, asset } = transfer;
  if (flow !== 'inflow' && flow !== 'outflow') return 0;
  const isStable = asset !== 'native' && STABLECOINS.includes(symbol);
  const { value } = exchangeSide(transfer);
  return (flow === 'outflow') === isStable ? 0 - value : value;
}

/** Emits the score of a transfer. */
export function score(
  { key, value, place }: InputRecord<EnrichedTransfer>,
  context: ProcessContext<typeof stores>,
): void {
  if (value === null) {
    throw new PipelineError(
      'VALUE_UNREADABLE',
      `enriched transfer ${key}: expected a value, found a tombstone`,
    );
  }
  const inputs: readonly ComponentInput[] = [
    sizeOf(value),
    { name: 'flow', ...exchangeSide(value) },
    dataQualityOf(value),
  ];
  const { components, logOdds, severity } = severityOf(inputs, WEIGHTS);
  context.emit(scoresEvents, key, {
    id: `score:${value.id}`,
    op: value.op,
    eventTimeMs: value.eventTimeMs,
    receivedAtMs: value.receivedAtMs,
    source: value.source,
    causes: [place],
    chain: value.chain,
    asset: value.asset,
    amountRaw: value.amountRaw,
    decimals: value.decimals,
    symbol: value.symbol,
    units: value.units,
    usd: value.usd,
    from: value.from,
    to: value.to,
    fromName: value.fromLabel?.name ?? null,
    toName: value.toLabel?.name ?? null,
    flow: value.flow,
    status: value.status,
    txHash: value.txHash,
    severity,
    confidence: null,
    direction: directionOf(value),
    logOdds,
    components,
    version: VERSION,
  });
}
