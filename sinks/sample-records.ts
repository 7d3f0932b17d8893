/** Values of the topics that sinks read, for tests: complete, exact to the last digit, with any text in their names. */

import { PipelineError } from '#pipeline/errors.ts';
import type { Alert } from '#schemas/alert.ts';
import type { EnrichedTransfer } from '#schemas/enriched-transfer.ts';
import type { Score } from '#schemas/score.ts';
import { alerts, enrichedTransfers, scoresEvents, type Topic } from '#schemas/topics.ts';

/** The largest amount of a token: 78 digits. */
export const LARGEST_AMOUNT = 2n ** 256n - 1n;
/** More digits than a double has. */
export const LONG_DECIMAL = '115792089237316195423570985008687907853269984.665640564039457584';
/** A block time. */
export const SAMPLE_TIME_MS = 1_763_700_000_123;

/** Names as strangers write them: structure of COPY, SQL, JSON and terminals, U+0000, half a surrogate pair. */
export const HOSTILE_TEXTS: readonly string[] = [
  'back\\slash \\N \\. \\\\',
  'tab\tnewline\nreturn\rend',
  'nul\u0000inside',
  'quotes \' " ` $$ $1 %s',
  "'); DROP TABLE transfers; --",
  '\u{1F40B} whale \u202E right to left \u001B[31m',
  'half \uD83D surrogate',
  '__proto__',
  '',
];

export const sampleTransfer = (id: string, changes: Partial<EnrichedTransfer> = {}): EnrichedTransfer => ({
  id,
  op: 'assert',
  eventTimeMs: SAMPLE_TIME_MS,
  receivedAtMs: SAMPLE_TIME_MS + 1_500,
  source: 'evm:1',
  causes: ['raw.evm.v1/0/41'],
  chain: 'ethereum',
  asset: 'native',
  txHash: '0xaa',
  blockNumber: 23_400_000n,
  index: 7,
  from: '0x01',
  to: null,
  amountRaw: LARGEST_AMOUNT,
  decimals: 18,
  symbol: 'ETH',
  status: 'mined',
  units: LONG_DECIMAL,
  usd: null,
  priceUsd: '3000.10',
  priceTimeMs: SAMPLE_TIME_MS - 200,
  priceSource: 'bybit:spot:ETHUSDT',
  fromLabel: { name: 'Binance 14', kind: 'exchange', entity: 'binance', confidence: 0.9, labelId: 'label:1' },
  toLabel: null,
  flow: 'outflow',
  ...changes,
});

const component = { name: 'size', value: null, weight: 0.5, contribution: 0, sources: ['t'] };

const scored = (id: string) => ({
  id,
  op: 'assert' as const,
  eventTimeMs: SAMPLE_TIME_MS,
  receivedAtMs: SAMPLE_TIME_MS + 1_500,
  source: 'evm:1',
  causes: ['enriched.transfers.v1/0/enrich-0:1'],
  chain: 'ethereum',
  asset: 'native',
  amountRaw: LARGEST_AMOUNT,
  decimals: null,
  symbol: null,
  units: null,
  usd: '450015000.000000000000000001',
  from: '0x01',
  to: '0x02',
  fromName: 'Binance 14',
  toName: null,
  flow: 'outflow',
  status: 'mined',
  txHash: '0xaa',
  severity: 60,
  confidence: null,
  direction: -0.25,
});

export const sampleScore = (id: string, changes: Partial<Score> = {}): Score => ({
  ...scored(id),
  logOdds: 1.25,
  components: [component],
  version: '1',
  ...changes,
});

export const sampleAlert = (id: string, changes: Partial<Alert> = {}): Alert => ({
  ...scored(id),
  ruleId: 'eth-over-100',
  evidence: [component],
  text: '150000 ETH left Binance 14',
  ...changes,
});

/** A value of a topic that sinks read, with `text` where strangers write. */
export function sampleValue(topic: Topic, id: string, text: string): unknown {
  if (topic.name === enrichedTransfers.name) {
    const label = { name: text, kind: 'other', entity: text, confidence: 0.5, labelId: text };
    return sampleTransfer(id, { symbol: text, from: text, fromLabel: label, causes: [text] });
  }
  const evidence = [{ ...component, name: text, sources: [text] }];
  if (topic.name === scoresEvents.name)
    return sampleScore(id, { symbol: text, fromName: text, components: evidence });
  if (topic.name === alerts.name) return sampleAlert(id, { symbol: text, fromName: text, evidence, text });
  throw new PipelineError(
    'INVARIANT_BROKEN',
    `expected a topic with a sample, found ${topic.name}; add one here`,
  );
}
