/** Frames of Bybit as trades, USD prices and derivative tickers. */
import { messageOf, PipelineError } from '#pipeline/errors.ts';
import type { InputRecord, ProcessContext } from '#pipeline/processor.ts';
import { keyValue } from '#pipeline/state/key-value.ts';
import type { RawRecord } from '#schemas/raw-record.ts';
import { marketDerivatives, marketTrades, prices } from '#schemas/topics.ts';
import {
  type BybitFrame,
  type BybitTrade,
  type Category,
  mergeTicker,
  parseCategory,
  parseFrame,
  parseIndexPrice,
  parseTrade,
  type TickerFields,
} from './parse.ts';

const DAY_MS = 86_400_000;
const VENUE = 'bybit';

type Ticker = { readonly timeMs: number; readonly sequence: number; readonly fields: TickerFields };

export const stores = {
  /** Ids of trades (`shorter`) and prices that were taken in. */
  admitted: keyValue<1>({ retentionMs: DAY_MS }),
  /** `<category>:<symbol>`: the merged ticker. */
  tickers: keyValue<Ticker>(),
};

type Context = ProcessContext<typeof stores>;
type TickerFrame = Extract<BybitFrame, { kind: 'ticker' }>;
type Common = { op: 'assert'; receivedAtMs: number; source: string; causes: readonly string[] };

/** The base coin of a symbol quoted in USDT or USDC, such as ETH; null for other quotes. */
export function baseCoin(symbol: string): string | null {
  const base = /^([A-Z0-9]+)USD[TC]$/.exec(symbol)?.[1];
  return base ?? null;
}

function admit(context: Context, id: string): boolean {
  if (context.stores.admitted.get(id) !== undefined) {
    context.duplicate();
    return false;
  }
  context.stores.admitted.put(id, 1);
  return true;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** A day of trade ids is most of the state here: two thirds of a UUID say as much. No id that Bybit gives begins with `=`. */
const shorter = (tradeId: string): string =>
  UUID.test(tradeId) ? `=${Buffer.from(tradeId.replaceAll('-', ''), 'hex').toString('base64url')}` : tradeId;

function emitTrades(
  frame: Extract<BybitFrame, { kind: 'trades' }>,
  category: Category,
  common: Common,
  context: Context,
) {
  const key = `${VENUE}:${category}:${frame.symbol}`;
  for (const [i, raw] of frame.trades.entries()) {
    const parsed = readTrade(raw, frame.symbol, `trade/${i}`, context);
    if (parsed === null) continue;
    const { timeMs, ...trade } = parsed;
    if (!admit(context, `${key}:${shorter(trade.tradeId)}`)) continue;
    const { symbol } = frame;
    context.emit(marketTrades, key, {
      ...common,
      id: `${key}:${trade.tradeId}`,
      eventTimeMs: timeMs,
      venue: VENUE,
      category,
      symbol,
      ...trade,
    });
  }
}

function readTrade(raw: unknown, symbol: string, part: string, context: Context): BybitTrade | null {
  try {
    return parseTrade(raw, symbol);
  } catch (error) {
    context.reject({ part, code: 'VALUE_UNREADABLE', reason: messageOf(error), body: bytesOf(raw) });
    return null;
  }
}

function bytesOf(part: unknown): Buffer {
  try {
    return Buffer.from(JSON.stringify(part) ?? '');
  } catch {
    // Nested deeper than the stack; the raw record still has it.
    return Buffer.alloc(0);
  }
}

function emitPrice(frame: TickerFrame, common: Common, context: Context) {
  const asset = baseCoin(frame.symbol);
  const usd = parseIndexPrice(frame.data);
  if (asset === null || usd === null) return;
  const source = `${VENUE}:spot:${frame.symbol}:usdIndexPrice`;
  const id = `${source}:${frame.timeMs}`;
  if (!admit(context, id)) return;
  context.emit(prices, asset, { ...common, id, eventTimeMs: frame.timeMs, source, asset, usd });
}

function emitDerivative(frame: TickerFrame, category: Category, common: Common, context: Context) {
  const { symbol, timeMs, sequence } = frame;
  const key = `${category}:${symbol}`;
  const before = context.stores.tickers.get(key);
  // An older frame is one that came twice; merging it would bring back old values.
  const isOld =
    before !== undefined &&
    (timeMs < before.timeMs || (timeMs === before.timeMs && sequence <= before.sequence));
  if (isOld) {
    context.duplicate();
    return;
  }
  const fields = mergeTicker(before?.fields ?? null, frame.isSnapshot, frame.data);
  context.stores.tickers.put(key, { timeMs, sequence, fields });
  if (before !== undefined && isSame(before.fields, fields)) return;
  context.emit(marketDerivatives, `${VENUE}:${symbol}`, {
    ...common,
    id: `${VENUE}:${category}:${symbol}:ticker:${timeMs}:${sequence}`,
    eventTimeMs: timeMs,
    venue: VENUE,
    symbol,
    ...fields,
  });
}

const isSame = (a: TickerFields, b: TickerFields): boolean =>
  a.markPrice === b.markPrice &&
  a.indexPrice === b.indexPrice &&
  a.lastPrice === b.lastPrice &&
  a.openInterest === b.openInterest &&
  a.fundingRate === b.fundingRate &&
  a.nextFundingTimeMs === b.nextFundingTimeMs;

/** Emits what a frame says; frames of topics that nothing reads yet, and acknowledgements, say nothing. */
export function normalizeBybit(record: InputRecord<RawRecord>, context: Context): void {
  const { value } = record;
  if (value === null || value.kind !== 'frame') {
    throw new PipelineError('VALUE_UNREADABLE', `expected kind frame, found ${value?.kind ?? 'a tombstone'}`);
  }
  const category = parseCategory(value.source);
  const frame = parseFrame(value.body);
  const { source, receivedAtMs } = value;
  const common: Common = { op: 'assert', receivedAtMs, source, causes: [record.place] };
  if (frame.kind === 'trades') emitTrades(frame, category, common, context);
  if (frame.kind === 'ticker') {
    if (category === 'spot') emitPrice(frame, common, context);
    else emitDerivative(frame, category, common, context);
  }
}
