/** Frames of the seeded market: one random walk for each symbol, shared by its book, trades and ticker. */
import type { BybitFeed, FeedFrame } from '../bybit-feed.ts';
import { isDocumentedTopic } from '../bybit-feed.ts';
import { createRandom, hashOf, type Random } from './random.ts';

/** Prices, ticks and sizes are whole numbers of ten-thousandths: no fraction is ever rounded. */
const SYMBOLS = [
  { symbol: 'BTCUSDT', price: 950_000_000, tick: 1_000, sizeUnit: 1_000 },
  { symbol: 'ETHUSDT', price: 32_000_000, tick: 100, sizeUnit: 10_000 },
  { symbol: 'SOLUSDT', price: 1_800_000, tick: 100, sizeUnit: 100_000 },
];
/** Those that the connector subscribes to unless told otherwise: load on others would reach nobody. */
const LOADED: ReadonlySet<string> = new Set(['BTCUSDT', 'ETHUSDT']);
const SCALE = 10_000;
const LEVELS = 10;
/** Each symbol sends a frame in every slot: 10 a second. */
const SLOT_MS = 100;
const STEP_MS = 10;
const MAX_TRADES_PER_FRAME = 1_024;
const LINEAR_ONLY = {
  fundingRate: '0.0001',
  fundingIntervalHour: '8',
  openInterestValue: '4000000000.00',
  singleOpenInterest: '',
};

interface Walk {
  /** When in each slot it sends, in feed time. */
  readonly offsetMs: number;
  readonly symbol: string;
  readonly tick: number;
  readonly sizeUnit: number;
  readonly random: Random;
  /** Ten-thousandths of a dollar. */
  price: number;
  bids: Map<string, string>;
  asks: Map<string, string>;
  updateId: number;
  sequence: number;
  trades: number;
  tickers: number;
}

const decimal = (value: number): string => {
  const whole = Math.floor(value / SCALE);
  const fraction = String(value % SCALE)
    .padStart(4, '0')
    .replace(/0+$/, '');
  return fraction === '' ? String(whole) : `${whole}.${fraction}`;
};

/** A feed of spot or linear. `durationMs` null: without end. `timeOf` turns feed time into epoch milliseconds. */
export function createWorldFeed(options: {
  salt: string;
  category: 'spot' | 'linear';
  durationMs: number | null;
  /** Trades each second on the linear market, in place of the usual few; null: as usual. */
  tradesPerSecond: number | null;
  /** Called once for each connection: a feed without end starts at its present. */
  openTime(): (atMs: number) => number;
}): BybitFeed {
  const { category, durationMs } = options;
  const load = category === 'linear' ? options.tradesPerSecond : null;
  const symbols = new Set(SYMBOLS.map(({ symbol }) => symbol));
  let connections = 0;
  const frames = () => {
    // Without an end each connection gets new trades: the ids of the last one are taken.
    const salt = durationMs === null ? `${options.salt}:${connections++}` : options.salt;
    return play({ salt: `${salt}:${category}`, category, durationMs, load, timeOf: options.openTime() });
  };
  const counts = durationMs === null ? null : new Map<string, number>();
  if (counts) for (const { topic } of frames()) counts.set(topic, (counts.get(topic) ?? 0) + 1);
  return {
    category,
    counts,
    // Of the books, only the depth that is played.
    isTopic: (topic) =>
      isDocumentedTopic(topic, category, symbols) && !/^orderbook\.(1|50|1000)\.|^kline\./.test(topic),
    frames,
  };
}

interface Play {
  readonly salt: string;
  readonly category: 'spot' | 'linear';
  readonly durationMs: number | null;
  readonly load: number | null;
  timeOf(atMs: number): number;
}

function* play(options: Play): Generator<FeedFrame> {
  const walks = SYMBOLS.map(({ symbol, ...rest }, index): Walk => {
    const random = createRandom(`${options.salt}:${symbol}`);
    const empty = { bids: new Map<string, string>(), asks: new Map<string, string>() };
    const start = {
      updateId: random.between(1_000_000, 9_000_000),
      sequence: random.between(1_000_000, 9_000_000),
    };
    return { symbol, offsetMs: index * STEP_MS, ...rest, ...empty, ...start, random, trades: 0, tickers: 0 };
  });
  const loaded = walks.filter(({ symbol }) => LOADED.has(symbol));
  let owed = 0;
  for (let atMs = 0; options.durationMs === null || atMs < options.durationMs; atMs += STEP_MS) {
    const timeMs = Math.floor(options.timeOf(atMs));
    if (options.load !== null) {
      owed += (options.load * STEP_MS) / 1_000;
      const due = Math.floor(owed);
      owed -= due;
      for (const [index, walk] of loaded.entries()) {
        const share = Math.floor(due / loaded.length) + (index < due % loaded.length ? 1 : 0);
        for (let left = share; left > 0; left -= MAX_TRADES_PER_FRAME)
          yield tradeFrame(walk, { ...options, atMs, timeMs, count: Math.min(left, MAX_TRADES_PER_FRAME) });
      }
      // The remainder is dealt out from another symbol each time.
      loaded.push(loaded.shift()!);
    }
    for (const walk of walks) {
      if (atMs % SLOT_MS !== walk.offsetMs) continue;
      const slot = Math.floor(atMs / SLOT_MS);
      const context = { ...options, atMs, timeMs };
      if (slot === 0) {
        yield bookFrame(walk, context);
        yield tickerFrame(walk, context);
      } else if (slot % 10 === 5) yield tickerFrame(walk, context);
      else if (slot % 5 === 2 && options.load === null)
        yield tradeFrame(walk, { ...context, count: walk.random.between(1, 4) });
      else yield bookFrame(walk, context);
    }
  }
}

interface Moment {
  readonly category: 'spot' | 'linear';
  readonly salt: string;
  readonly atMs: number;
  readonly timeMs: number;
}

function move(walk: Walk): void {
  const step = walk.random.between(-4, 4) * walk.tick;
  const floor = walk.tick * LEVELS * 10;
  walk.price = Math.max(floor, walk.price + step);
}

const size = (walk: Walk): string =>
  decimal(walk.random.between(1, 40) * (SCALE / 1_000) * (walk.sizeUnit / 1_000));

function bookFrame(walk: Walk, moment: Moment): FeedFrame {
  move(walk);
  const isFirst = walk.bids.size === 0;
  const side = (sign: 1 | -1, before: Map<string, string>): [Map<string, string>, [string, string][]] => {
    const after = new Map<string, string>();
    for (let level = 0; level < LEVELS; level += 1) {
      const price = decimal(walk.price + sign * (level * walk.tick + (sign === 1 ? walk.tick : 0)));
      const kept = before.get(price);
      after.set(price, kept !== undefined && !walk.random.oneIn(4) ? kept : size(walk));
    }
    const changes: [string, string][] = [...after].filter(([price, amount]) => before.get(price) !== amount);
    for (const price of before.keys()) if (!after.has(price)) changes.push([price, '0']);
    return [after, changes];
  };
  const [bids, b] = side(-1, walk.bids);
  const [asks, a] = side(1, walk.asks);
  walk.bids = bids;
  walk.asks = asks;
  walk.updateId += 1;
  walk.sequence += walk.random.between(1, 900);
  const topic = `orderbook.200.${walk.symbol}`;
  const data = { s: walk.symbol, b, a, u: walk.updateId, seq: walk.sequence };
  const type = isFirst ? 'snapshot' : 'delta';
  return frame(topic, moment, { topic, type, ts: moment.timeMs, data, cts: moment.timeMs - 3 });
}

function tradeFrame(walk: Walk, moment: Moment & { count: number }): FeedFrame {
  const topic = `publicTrade.${walk.symbol}`;
  walk.sequence += 1;
  const data = Array.from({ length: moment.count }, () => {
    move(walk);
    walk.trades += 1;
    const id = hashOf(`${moment.salt}:${walk.symbol}:trade:${walk.trades}`).slice(2);
    const uuid = `${id.slice(0, 8)}-${id.slice(8, 12)}-5${id.slice(13, 16)}-a${id.slice(17, 20)}-${id.slice(20, 32)}`;
    return {
      i: moment.category === 'linear' ? uuid : String(BigInt(`0x${id.slice(0, 15)}`)),
      T: moment.timeMs - 1,
      p: decimal(walk.price),
      v: size(walk),
      S: walk.random.oneIn(2) ? 'Buy' : 'Sell',
      seq: walk.sequence,
      s: walk.symbol,
      ...(moment.category === 'linear' ? { L: 'PlusTick' } : {}),
      BT: false,
      RPI: false,
    };
  });
  return frame(topic, moment, { topic, type: 'snapshot', ts: moment.timeMs, data });
}

function tickerFrame(walk: Walk, moment: Moment): FeedFrame {
  const topic = `tickers.${walk.symbol}`;
  const isFirst = walk.tickers === 0;
  walk.tickers += 1;
  walk.sequence += 1;
  const lastPrice = decimal(walk.price);
  const day = {
    highPrice24h: decimal(Math.floor(walk.price * 1.02)),
    lowPrice24h: decimal(Math.floor(walk.price * 0.98)),
    prevPrice24h: decimal(Math.floor(walk.price * 0.995)),
    price24hPcnt: '0.005',
    volume24h: '12000.5',
    turnover24h: '1000000.25',
  };
  const ends = { cs: walk.sequence, ts: moment.timeMs };
  if (moment.category === 'spot') {
    const data = { symbol: walk.symbol, lastPrice, ...day, usdIndexPrice: lastPrice };
    return frame(topic, moment, { topic, type: 'snapshot', ...ends, data });
  }
  const nextFundingTime = String((Math.floor(moment.timeMs / 28_800_000) + 1) * 28_800_000);
  const prices = { lastPrice, markPrice: lastPrice, indexPrice: decimal(walk.price + walk.tick) };
  const openInterest = decimal((50_000 + walk.random.between(0, 5_000)) * SCALE);
  const top = { bid1Price: decimal(walk.price), ask1Price: decimal(walk.price + walk.tick) };
  const data = isFirst
    ? { symbol: walk.symbol, ...prices, openInterest, ...day, ...LINEAR_ONLY, nextFundingTime, ...top }
    : { symbol: walk.symbol, ...prices, openInterest, ...(walk.tickers % 2 === 0 ? top : {}) };
  return frame(topic, moment, { topic, type: isFirst ? 'snapshot' : 'delta', data, ...ends });
}

const frame = (topic: string, moment: Moment, value: object): FeedFrame => ({
  topic,
  atMs: moment.atMs,
  text: JSON.stringify(value),
});
