import { describe, expect, test } from 'vitest';
import { isPipelineError } from '#pipeline/errors.ts';
import { createProcessDriver, type ProcessDriver } from '#pipeline/testing/process.ts';
import { marketDerivatives, marketTrades, prices, rawBybit } from '#schemas/topics.ts';
import processor from './index.ts';
import { baseCoin } from './logic.ts';

const DAY_MS = 86_400_000;

function feed(driver: ProcessDriver, category: string, frame: unknown, logTimeMs = 0) {
  const body = Buffer.from(typeof frame === 'string' ? frame : JSON.stringify(frame));
  const value = { source: `bybit:${category}`, kind: 'frame', receivedAtMs: 5, body };
  driver.feed(rawBybit, { key: `${category}:ETHUSDT`, value, logTimeMs });
}
const trade = (change: object = {}) => ({
  i: 'a-1',
  T: 1_000,
  p: '1923.28',
  v: '0.04537',
  S: 'Sell',
  s: 'ETHUSDT',
  BT: false,
  ...change,
});
const trades = (...data: unknown[]) => ({ topic: 'publicTrade.ETHUSDT', type: 'snapshot', ts: 1_001, data });
const ticker = (data: object, change: object = {}) => ({
  topic: 'tickers.ETHUSDT',
  type: 'snapshot',
  ts: 1_000,
  cs: 1,
  data: { symbol: 'ETHUSDT', ...data },
  ...change,
});

describe('trades', () => {
  test('a trade keeps its decimal text as received', () => {
    const driver = createProcessDriver(processor);
    feed(driver, 'linear', trades(trade({ p: '1922.50', v: '1.30' })));
    expect(driver.emitted[0]?.key).toBe('bybit:linear:ETHUSDT');
    expect(driver.values(marketTrades)).toEqual([
      {
        id: 'bybit:linear:ETHUSDT:a-1',
        op: 'assert',
        eventTimeMs: 1_000,
        receivedAtMs: 5,
        source: 'bybit:linear',
        causes: ['raw.bybit.v1/0/0'],
        venue: 'bybit',
        category: 'linear',
        symbol: 'ETHUSDT',
        tradeId: 'a-1',
        takerSide: 'sell',
        price: '1922.50',
        size: '1.30',
        isBlockTrade: false,
      },
    ]);
  });

  test('a trade is admitted once, for a day; the same id in another category is another trade', () => {
    const driver = createProcessDriver(processor);
    feed(driver, 'spot', trades(trade(), trade()));
    feed(driver, 'spot', trades(trade()), DAY_MS);
    feed(driver, 'linear', trades(trade()));
    expect(driver.values(marketTrades)).toHaveLength(2);
    expect(driver.duplicates()).toBe(2);
    feed(driver, 'spot', trades(trade()), DAY_MS + 1);
    expect(driver.values(marketTrades)).toHaveLength(3);
  });

  test('ids that are UUIDs are told apart by each digit, and from what looks like them', () => {
    const driver = createProcessDriver(processor);
    const ids = [
      '9aae8cc8-5551-5f69-9b0c-1f2a5e1a3f01',
      '9aae8cc8-5551-5f69-9b0c-1f2a5e1a3f02',
      '9AAE8CC8-5551-5f69-9b0c-1f2a5e1a3f01',
      'mq6MyFVRX2mbDB8qXho-AQ',
    ];
    feed(driver, 'linear', trades(...ids.map((i) => trade({ i }))), 0);
    feed(driver, 'linear', trades(...ids.map((i) => trade({ i }))), 0);
    expect(driver.values(marketTrades).map(({ tradeId }) => tradeId)).toEqual(ids);
    expect(driver.duplicates()).toBe(ids.length);
  });

  test.each([
    [{ p: '1e3' }],
    [{ p: 1923 }],
    [{ v: '-1' }],
    [{ v: '1'.repeat(31) }],
    [{ S: 'buy' }],
    [{ T: 1.5 }],
    [{ s: 'BTCUSDT' }],
    [{ i: 'a:b' }],
  ])('a trade with %j is put aside alone', (change) => {
    const driver = createProcessDriver(processor);
    feed(driver, 'spot', trades(trade(change), trade({ i: 'good' })));
    expect(driver.values(marketTrades)).toHaveLength(1);
    expect(driver.rejected).toMatchObject([{ part: 'trade/0', code: 'VALUE_UNREADABLE' }]);
  });
});

describe('prices', () => {
  test('the USD index price of a spot ticker is the price of its base coin', () => {
    const driver = createProcessDriver(processor);
    const frame = ticker({ usdIndexPrice: '1921.802757' });
    feed(driver, 'spot', frame);
    feed(driver, 'spot', frame);
    expect(driver.emitted[0]?.key).toBe('ETH');
    expect(driver.values(prices)).toMatchObject([
      {
        id: 'bybit:spot:ETHUSDT:usdIndexPrice:1000',
        source: 'bybit:spot:ETHUSDT:usdIndexPrice',
        eventTimeMs: 1_000,
        asset: 'ETH',
        usd: '1921.802757',
      },
    ]);
    expect(driver.duplicates()).toBe(1);
  });

  test.each([[''], ['0.000'], [undefined]])('an index price of %j is unknown, not zero', (usdIndexPrice) => {
    const driver = createProcessDriver(processor);
    feed(driver, 'spot', ticker({ usdIndexPrice }));
    expect(driver.emitted).toEqual([]);
  });

  test.each([
    ['ETHUSDT', 'ETH'],
    ['ETHUSDC', 'ETH'],
    ['USDCUSDT', 'USDC'],
    ['ETHBTC', null],
    ['USDT', null],
  ])('the base coin of %s is %s', (symbol, base) => {
    expect(baseCoin(symbol)).toBe(base);
  });
});

describe('linear tickers', () => {
  test('deltas are merged into what is known, and only changes are emitted', () => {
    const driver = createProcessDriver(processor);
    const delta = (ts: number, data: object) => ticker(data, { type: 'delta', ts });
    feed(driver, 'linear', ticker({ markPrice: '10', fundingRate: '-0.0001', nextFundingTime: '2000' }));
    feed(driver, 'linear', delta(1_001, { bid1Price: '9' }));
    feed(driver, 'linear', delta(1_002, { markPrice: '11' }));
    feed(driver, 'linear', ticker({ markPrice: '12', nextFundingTime: '0' }, { ts: 1_003 }));
    expect(driver.emitted.map((output) => output.key)).toEqual(Array(3).fill('bybit:ETHUSDT'));
    const known = { indexPrice: null, lastPrice: null, openInterest: null };
    expect(driver.values(marketDerivatives)).toMatchObject([
      { ...known, markPrice: '10', fundingRate: '-0.0001', nextFundingTimeMs: 2_000 },
      { ...known, markPrice: '11', fundingRate: '-0.0001', nextFundingTimeMs: 2_000 },
      { ...known, markPrice: '12', fundingRate: null, nextFundingTimeMs: null },
    ]);
    expect(driver.values(marketDerivatives)[1]?.id).toBe('bybit:linear:ETHUSDT:ticker:1002:1');
  });

  test('a delta without snapshot tells what it tells; the rest is unknown', () => {
    const driver = createProcessDriver(processor);
    feed(driver, 'linear', ticker({ lastPrice: '10' }, { type: 'delta' }));
    expect(driver.values(marketDerivatives)).toMatchObject([{ lastPrice: '10', markPrice: null }]);
  });

  test('a frame that came twice, or is older, changes nothing', () => {
    const driver = createProcessDriver(processor);
    feed(driver, 'linear', ticker({ markPrice: '10' }));
    feed(driver, 'linear', ticker({ markPrice: '10' }));
    feed(driver, 'linear', ticker({ markPrice: '9' }, { type: 'delta', ts: 999 }));
    expect(driver.values(marketDerivatives)).toHaveLength(1);
    expect(driver.duplicates()).toBe(2);
  });
});

test.each([
  [{ topic: 'orderbook.200.ETHUSDT', type: 'delta', data: {} }],
  [{ topic: 'allLiquidation.ETHUSDT', data: [] }],
  [{ topic: 'kline.1.ETHUSDT', data: [] }],
  [{ op: 'subscribe', success: true, ret_msg: '' }],
])('%j says nothing yet', (frame) => {
  const driver = createProcessDriver(processor);
  feed(driver, 'linear', frame);
  expect(driver.emitted).toEqual([]);
});

test.each([
  ['linear', '{'],
  ['linear', []],
  ['linear', { topic: 'liquidation.ETHUSDT', data: {} }],
  ['linear', { topic: 'trade.ETHUSDT', data: [] }],
  ['linear', { topic: 'publicTrade.ethusdt', data: [] }],
  ['linear', { topic: 'publicTrade.ETHUSDT', data: {} }],
  ['linear', ticker({ symbol: 'BTCUSDT' })],
  ['linear', ticker({ markPrice: 'NaN' })],
  ['linear', ticker({}, { type: 'other' })],
  ['option', trades()],
])('in %s, %j is refused', (category, frame) => {
  const driver = createProcessDriver(processor);
  const attempt = () => feed(driver, category, frame);
  expect(attempt).toThrow(expect.toSatisfy((error) => isPipelineError(error, 'VALUE_UNREADABLE')));
  expect(driver.emitted).toEqual([]);
});
