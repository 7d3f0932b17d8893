/**
 * Reads frames of the Bybit v5 public WebSocket: publicTrade and tickers. Other topics are known and left alone.
 *
 * Key order is not fixed and new fields appear, so fields are read by name and the rest is ignored. Everything here
 * throws VALUE_UNREADABLE.
 */
import { PipelineError } from '#pipeline/errors.ts';

export type Category = 'spot' | 'linear';

export interface BybitTrade {
  readonly tradeId: string;
  readonly timeMs: number;
  readonly takerSide: 'buy' | 'sell';
  readonly price: string;
  readonly size: string;
  readonly isBlockTrade: boolean;
}

/** Emitted fields of a linear ticker; null: unknown. */
export type TickerFields = {
  readonly markPrice: string | null;
  readonly indexPrice: string | null;
  readonly lastPrice: string | null;
  readonly openInterest: string | null;
  readonly fundingRate: string | null;
  readonly nextFundingTimeMs: number | null;
};

export type BybitFrame =
  | { readonly kind: 'ignored' }
  | { readonly kind: 'trades'; readonly symbol: string; readonly trades: readonly unknown[] }
  | {
      readonly kind: 'ticker';
      readonly symbol: string;
      readonly isSnapshot: boolean;
      readonly timeMs: number;
      /** Order within the exchange's engine; 0 when it is not told. */
      readonly sequence: number;
      readonly data: Readonly<Record<string, unknown>>;
    };

const IGNORED = new Set(['orderbook', 'allLiquidation', 'kline']);
const DECIMAL = /^\d{1,30}(\.\d{1,30})?$/;
const SIGNED = /^-?\d{1,30}(\.\d{1,30})?$/;
const SYMBOL = /^[A-Z0-9-]{1,40}$/;
const TRADE_ID = /^[A-Za-z0-9-]{1,64}$/;
/** The largest time that ECMAScript can represent. */
const MAX_TIME_MS = 8.64e15;

const show = (value: unknown): string =>
  typeof value === 'string' ? JSON.stringify(value.slice(0, 80)) : value === null ? 'null' : typeof value;

function refuse(where: string, expected: string, found: unknown): PipelineError {
  return new PipelineError(
    'VALUE_UNREADABLE',
    `${where}: expected ${expected}, found ${show(found)}; compare with the exchange's v5 documentation`,
  );
}

type Fields = Readonly<Record<string, unknown>>;

function fields(value: unknown, where: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw refuse(where, 'an object', value);
  return value as Fields;
}

function matching(value: unknown, pattern: RegExp, where: string, expected: string): string {
  if (typeof value !== 'string' || !pattern.test(value)) throw refuse(where, expected, value);
  return value;
}

function time(value: unknown, where: string): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > MAX_TIME_MS) {
    throw refuse(where, 'epoch milliseconds', value);
  }
  return value;
}

/** The category of a source such as `bybit:linear`. */
export function parseCategory(source: string): Category {
  const [venue, category] = source.split(':');
  if (venue !== 'bybit' || (category !== 'spot' && category !== 'linear')) {
    throw refuse('source', 'bybit:spot or bybit:linear', source);
  }
  return category;
}

/** Reads one text frame. */
export function parseFrame(body: Buffer): BybitFrame {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString('utf8'));
  } catch (cause) {
    throw new PipelineError('VALUE_UNREADABLE', 'frame: expected JSON text; see the bytes', { cause });
  }
  const frame = fields(parsed, 'frame');
  // Acknowledgements and pongs say `op` and no topic.
  if (frame.topic === undefined && typeof frame.op === 'string') return { kind: 'ignored' };
  if (typeof frame.topic !== 'string') throw refuse('topic', 'text', frame.topic);
  const parts = frame.topic.split('.');
  const [stream = '', last = ''] = [parts[0], parts.at(-1)];
  if (IGNORED.has(stream)) return { kind: 'ignored' };
  const isTrade = stream === 'publicTrade';
  if (parts.length !== 2 || (!isTrade && stream !== 'tickers')) {
    throw refuse('topic', 'publicTrade, tickers or a topic that is known', frame.topic);
  }
  const symbol = matching(last, SYMBOL, 'topic', 'a symbol');
  if (isTrade) {
    if (!Array.isArray(frame.data)) throw refuse('data', 'an array of trades', frame.data);
    return { kind: 'trades', symbol, trades: frame.data };
  }
  const data = fields(frame.data, 'data');
  if (data.symbol !== symbol) throw refuse('data.symbol', symbol, data.symbol);
  if (frame.type !== 'snapshot' && frame.type !== 'delta')
    throw refuse('type', 'snapshot or delta', frame.type);
  const sequence = frame.cs ?? 0;
  if (typeof sequence !== 'number' || !Number.isSafeInteger(sequence))
    throw refuse('cs', 'an integer', sequence);
  return {
    kind: 'ticker',
    symbol,
    isSnapshot: frame.type === 'snapshot',
    timeMs: time(frame.ts, 'ts'),
    sequence,
    data,
  };
}

/** Reads one trade of a frame. */
export function parseTrade(value: unknown, symbol: string): BybitTrade {
  const trade = fields(value, 'trade');
  if (trade.s !== symbol) throw refuse('trade.s', symbol, trade.s);
  if (trade.S !== 'Buy' && trade.S !== 'Sell') throw refuse('trade.S', 'Buy or Sell', trade.S);
  return {
    tradeId: matching(trade.i, TRADE_ID, 'trade.i', 'a trade id'),
    timeMs: time(trade.T, 'trade.T'),
    takerSide: trade.S === 'Buy' ? 'buy' : 'sell',
    price: matching(trade.p, DECIMAL, 'trade.p', 'decimal text'),
    size: matching(trade.v, DECIMAL, 'trade.v', 'decimal text'),
    isBlockTrade: trade.BT === true,
  };
}

/** The USD index price of a spot ticker; null when the exchange does not state one. */
export function parseIndexPrice(data: Fields): string | null {
  const { usdIndexPrice } = data;
  if (usdIndexPrice === undefined || usdIndexPrice === '') return null;
  const usd = matching(usdIndexPrice, DECIMAL, 'usdIndexPrice', 'decimal text or empty');
  // An asset that trades has no price of zero: the index is not known.
  return /[1-9]/.test(usd) ? usd : null;
}

const UNKNOWN: TickerFields = {
  markPrice: null,
  indexPrice: null,
  lastPrice: null,
  openInterest: null,
  fundingRate: null,
  nextFundingTimeMs: null,
};

/** What is known after a linear ticker: a snapshot replaces all, a delta what it names; empty text means unknown. */
export function mergeTicker(before: TickerFields | null, isSnapshot: boolean, data: Fields): TickerFields {
  const base = isSnapshot || before === null ? UNKNOWN : before;
  const text = (
    name: keyof TickerFields & string,
    known: string | null,
    pattern = DECIMAL,
  ): string | null => {
    const value = data[name];
    if (value === undefined) return known;
    return value === '' ? null : matching(value, pattern, name, 'decimal text or empty');
  };
  return {
    markPrice: text('markPrice', base.markPrice),
    indexPrice: text('indexPrice', base.indexPrice),
    lastPrice: text('lastPrice', base.lastPrice),
    openInterest: text('openInterest', base.openInterest),
    fundingRate: text('fundingRate', base.fundingRate, SIGNED),
    nextFundingTimeMs: nextFunding(data.nextFundingTime, base.nextFundingTimeMs),
  };
}

function nextFunding(value: unknown, known: number | null): number | null {
  if (value === undefined) return known;
  // Dated contracts have no funding and say 0.
  if (value === '' || value === '0') return null;
  return time(
    Number(matching(value, /^\d{1,15}$/, 'nextFundingTime', 'epoch milliseconds as text')),
    'nextFundingTime',
  );
}
