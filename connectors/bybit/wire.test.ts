import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { createBookSequence } from './book-sequence.ts';
import { requestsOf, topicsOf } from './topics.ts';
import { frameOf, refusedTopic } from './wire.ts';

const read = (text: string) => frameOf(Buffer.from(text), false);

describe('frameOf', () => {
  test.each([
    [
      'a delta, whatever the order of its keys',
      '{"data":{"u":7,"s":"X"},"type":"delta","topic":"orderbook.200.BTCUSDT"}',
      {
        kind: 'data',
        topic: 'orderbook.200.BTCUSDT',
        symbol: 'BTCUSDT',
        book: { isSnapshot: false, updateId: 7 },
      },
    ],
    [
      'the first level, of which there are only snapshots',
      '{"topic":"orderbook.1.BTCUSDT","type":"snapshot","data":{"u":7}}',
      { kind: 'data', topic: 'orderbook.1.BTCUSDT', symbol: 'BTCUSDT', book: null },
    ],
    [
      'a book without a usable update id',
      '{"topic":"orderbook.50.BTCUSDT","type":"delta","data":{"u":"7"}}',
      { kind: 'data', topic: 'orderbook.50.BTCUSDT', symbol: 'BTCUSDT', book: null },
    ],
    [
      'a trade',
      '{"topic":"publicTrade.ETH-PERP"}',
      { kind: 'data', topic: 'publicTrade.ETH-PERP', symbol: 'ETH-PERP', book: null },
    ],
    ['the pong of public streams', '{"success":true,"ret_msg":"pong","op":"ping"}', { kind: 'pong' }],
    ['the pong of other streams', '{"op":"pong","args":["1"]}', { kind: 'pong' }],
    [
      'an answer with an empty id',
      '{"success":true,"ret_msg":"","req_id":"","op":"subscribe"}',
      { kind: 'ack', op: 'subscribe', isSuccess: true, message: '', requestId: null },
    ],
    ['no JSON', '{', { kind: 'unreadable' }],
    ['an array', '[]', { kind: 'unreadable' }],
    ['an unknown op', '{"op":"auth","success":true}', { kind: 'unreadable' }],
    ['a topic without symbol', '{"topic":"tickers"}', { kind: 'unreadable' }],
    ['a hostile symbol', '{"topic":"tickers.__proto__"}', { kind: 'unreadable' }],
  ])('reads %s', (_, text, expected) => {
    expect(read(text)).toEqual(expected);
  });

  test('does not read binary frames', () => {
    expect(frameOf(Buffer.from('{"op":"pong"}'), true)).toEqual({ kind: 'unreadable' });
  });
});

test('a refusal is tied to a topic only when it names one that was asked for', () => {
  const text = 'error:handler not found,topic:publicTrade.NO';
  expect(refusedTopic(text, ['publicTrade.NO', 'publicTrade.YES'])).toBe('publicTrade.NO');
  expect(refusedTopic(text, ['publicTrade.YES'])).toBeNull();
  expect(refusedTopic('args size >10', ['publicTrade.NO'])).toBeNull();
});

test('topics follow from the symbols, ten to a request', () => {
  expect(topicsOf('spot', { symbols: ['A', 'A'] }, 200)).toEqual([
    'publicTrade.A',
    'orderbook.200.A',
    'tickers.A',
  ]);
  expect(topicsOf('linear', { symbols: ['A'] }, 50)).toContain('allLiquidation.A');
  expect(topicsOf('linear', { symbols: ['A'], topics: ['kline.1.A'] }, 50)).toEqual(['kline.1.A']);
  const topics = topicsOf('linear', { symbols: ['A', 'B', 'C'] }, 200);
  expect(requestsOf(topics, false).map(({ length }) => length)).toEqual([10, 2]);
  expect(requestsOf(topics, true)).toHaveLength(12);
});

describe('createBookSequence', () => {
  test('finds a gap once and repairs it with the next snapshot', () => {
    const book = createBookSequence();
    expect(book.snapshot(10)).toEqual({ isFirst: true, missing: null, repaired: [] });
    expect([book.delta(11), book.delta(11), book.delta(9)]).toEqual([null, null, null]);
    expect(book.delta(14)).toEqual({ first: 12, last: 13 });
    expect(book.delta(15)).toBeNull();
    expect(book.snapshot(16)).toEqual({ isFirst: false, missing: null, repaired: [{ first: 12, last: 13 }] });
  });

  test('notes what a new connection has missed', () => {
    const book = createBookSequence();
    book.snapshot(10);
    book.reconnect();
    expect(book.delta(30)).toBeNull();
    const range = { first: 11, last: 19 };
    expect(book.snapshot(20)).toEqual({ isFirst: true, missing: range, repaired: [range] });
  });

  test('starts anew after a restart of the service', () => {
    const book = createBookSequence();
    book.snapshot(10);
    expect(book.snapshot(1)).toEqual({ isFirst: false, missing: null, repaired: [] });
    expect(book.delta(2)).toBeNull();
  });
});

const recordings = resolve(process.env.BALEEN_RECORDINGS ?? '../shared/data', 'bybit');
const linesOf = (name: string): string[] => {
  const bytes = readFileSync(resolve(recordings, name));
  return (name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8').trimEnd().split('\n');
};

describe.skipIf(!existsSync(recordings))('recorded frames', () => {
  test.each([
    'v5_ws_linear_BTCUSDT_ETHUSDT_20260809.frames.jsonl.gz',
    'v5_ws_spot_BTCUSDT_ETHUSDT_20260809.frames.jsonl.gz',
    'v5_archive_linear_orderbook500_XRPUSDT_20241201.frames.jsonl.gz',
    'v5_ws_linear_orderbook1_20250613.frames.jsonl.gz',
    'v5_ws_spot_orderbook50_BTCUSDT_20260824.frames.jsonl',
    'v5_ws_control_frames.jsonl',
    'v5_ws_liquidation_samples.jsonl',
  ])('are all told apart, and their books have no gap: %s', (name) => {
    const books = new Map<string, ReturnType<typeof createBookSequence>>();
    for (const line of linesOf(name)) {
      const frame = read(line);
      expect(frame.kind, line.slice(0, 200)).not.toBe('unreadable');
      if (frame.kind !== 'data' || frame.book === null) continue;
      const book = books.get(frame.topic) ?? createBookSequence();
      books.set(frame.topic, book);
      if (frame.book.isSnapshot) expect(book.snapshot(frame.book.updateId).missing).toBeNull();
      else expect(book.delta(frame.book.updateId)).toBeNull();
    }
  });

  test('of the older protocol are unreadable or data, never a control frame', () => {
    for (const line of linesOf('legacy_v2/ws_linear_20210417.frames.jsonl.gz').slice(0, 200)) {
      expect(['unreadable', 'data', 'ack']).toContain(read(line).kind);
    }
  });
});
