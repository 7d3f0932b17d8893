/** Every topic once: name, layer, key, value, partitions, retention. */
import { alert } from './alert.ts';
import type { RecordSchema, ValueOf } from './avro.ts';
import { block } from './block.ts';
import { coverage } from './coverage.ts';
import { deadLetter } from './dead-letter.ts';
import { derivative } from './derivative.ts';
import { enrichedTransfer } from './enriched-transfer.ts';
import { label } from './label.ts';
import { plan } from './plan.ts';
import { price } from './price.ts';
import { rawRecord } from './raw-record.ts';
import { rule } from './rule.ts';
import { score } from './score.ts';
import { token } from './token.ts';
import { trade } from './trade.ts';
import { transfer } from './transfer.ts';

/**
 * Who writes a topic, and so how its time and order work (engine rules, section 1).
 * `plan`, `raw`, `fact`: append time, each partition one writer. `derived`: tasks write it, with positions.
 * `history`: one loader wrote it, with the log time that it set; read like `raw`, but nobody appends ticks: a tick of today
 * would give every later record today's log time. Its last record, which may be a tick, says how far it goes.
 * `ledger`: connectors write it for themselves and for people; no processor reads it.
 */
export type Layer = 'plan' | 'raw' | 'fact' | 'history' | 'derived' | 'ledger';

export interface Topic<S extends RecordSchema = RecordSchema> {
  readonly name: string;
  readonly layer: Layer;
  /** What the key is. */
  readonly key: string;
  readonly schema: S;
  readonly partitions: number;
}

/** The decoded value of a topic. */
export type TopicValue<T extends Topic> = ValueOf<T['schema']>;

const RAW_PARTITIONS = 2;
const DERIVED_PARTITIONS = 4;

const define = <const S extends RecordSchema>(
  layer: Layer,
  name: string,
  key: string,
  schema: S,
  partitions: number,
): Topic<S> => ({ name, layer, key, schema, partitions });

const raw = (name: string, key: string) => define('raw', name, key, rawRecord, RAW_PARTITIONS);
const fact = <const S extends RecordSchema>(name: string, key: string, schema: S) =>
  define('fact', name, key, schema, 1);
const derived = <const S extends RecordSchema>(name: string, key: string, schema: S) =>
  define('derived', name, key, schema, DERIVED_PARTITIONS);

export const planTopic = define('plan', 'plan.v1', 'kind', plan, 1);

export const rawHelius = raw('raw.helius.v1', 'signature of the first transaction');
export const rawBybit = raw('raw.bybit.v1', 'category:symbol');
export const rawEvm = raw('raw.evm.v1', 'chain id');

export const factsLabels = fact('facts.labels.v1', 'chain:address', label);
export const factsTokens = fact('facts.tokens.v1', 'chain:asset', token);
export const factsRules = fact('facts.rules.v1', 'rule id', rule);

export const chainBlocks = derived('chain.blocks.v1', 'chain', block);
export const chainTransfers = derived('chain.transfers.v1', 'chain:asset', transfer);
export const marketTrades = derived('market.trades.v1', 'venue:category:symbol', trade);
export const marketDerivatives = derived('market.derivatives.v1', 'venue:symbol', derivative);
export const prices = derived('prices.v1', 'asset', price);
export const enrichedTransfers = derived('enriched.transfers.v1', 'chain:asset', enrichedTransfer);
export const scoresEvents = derived('scores.events.v1', 'chain:asset', score);
export const alerts = derived('alerts.v1', 'chain:asset', alert);
export const dlq = define('derived', 'dlq.v1', 'origin topic', deadLetter, 1);

export const ledgerCoverage = define('ledger', 'ledger.coverage.v1', 'source', coverage, 1);

/** All topics, in the order in which people read them. */
export const topics = [
  planTopic,
  rawHelius,
  rawBybit,
  rawEvm,
  factsLabels,
  factsTokens,
  factsRules,
  chainBlocks,
  chainTransfers,
  marketTrades,
  marketDerivatives,
  prices,
  enrichedTransfers,
  scoresEvents,
  alerts,
  dlq,
  ledgerCoverage,
] as const satisfies readonly Topic[];
