/**
 * Bybit: trades, order books, tickers and liquidations of the public v5 WebSocket (bybit-exchange/docs,
 * docs/v5/ws/connect), one connection for each category, frames as received. Trades missed while disconnected are not
 * sent again by the exchange; missing book updates are noted in the ledger and a new snapshot is asked for.
 */
import { z } from 'zod';
import { defineConnector } from '#pipeline/rooms.ts';
import { ledgerCoverage, rawBybit } from '#schemas/topics.ts';
import { probe } from './probe.ts';
import { createStream } from './stream.ts';
import { type Category, topicsOf } from './topics.ts';

const category = z.strictObject({
  symbols: z.array(z.string().regex(/^[A-Z0-9][A-Z0-9-]{0,39}$/)).default(['BTCUSDT', 'ETHUSDT']),
  /** Replaces the topics that follow from the symbols. */
  topics: z
    .array(z.string().regex(/^[A-Za-z0-9.]{1,64}\.[A-Z0-9-]{1,40}$/))
    .min(1)
    .optional(),
});

const config = z.strictObject({
  /** The category is appended to it. */
  url: z.url({ protocol: /^wss?$/ }).default('wss://stream.bybit.com/v5/public'),
  categories: z
    .strictObject({ spot: category.optional(), linear: category.optional() })
    .default({ spot: category.parse({}), linear: category.parse({}) }),
  /** Levels on each side. */
  bookDepth: z.union([z.literal(1), z.literal(50), z.literal(200), z.literal(1000)]).default(200),
  pingIntervalMs: z.int().min(1).max(60_000).default(20_000),
  /** Also how long an answer to a subscription may take. */
  pongTimeoutMs: z.int().min(1).max(60_000).default(10_000),
  /** Longest time without data before the connection is opened again. */
  silenceMs: z.int().min(1).default(60_000),
  maxFrameBytes: z
    .int()
    .min(1_024)
    .default(4 * 1024 * 1024),
});

/** Receives the public streams of the configured categories until stopped. */
export default defineConnector({
  name: 'bybit',
  summary: 'Receives trades, order books, tickers and liquidations from the Bybit exchange.',
  config,
  outputs: [rawBybit, ledgerCoverage],
  isFinite: false,
  create({ url, categories, bookDepth, ...limits }, context) {
    const names: readonly Category[] = ['spot', 'linear'];
    const streams = names.flatMap((name) => {
      const chosen = categories[name];
      if (chosen === undefined) return [];
      const address = `${url.replace(/\/+$/, '')}/${name}`;
      const topics = topicsOf(name, chosen, bookDepth);
      return [{ address, stream: createStream({ category: name, url: address, topics, limits, context }) }];
    });
    return {
      async check(signal) {
        for (const { address } of streams) await probe(address, context.clock, signal);
      },
      async run(signal) {
        const failed = new AbortController();
        const either = AbortSignal.any([signal, failed.signal]);
        const runs = streams.map(({ stream }) =>
          stream.run(either).catch((error: unknown) => {
            failed.abort();
            throw error;
          }),
        );
        const failure = (await Promise.allSettled(runs)).find(({ status }) => status === 'rejected');
        if (failure?.status === 'rejected') throw failure.reason;
      },
      status: () => ({
        isIdle: streams.every(({ stream }) => stream.isIdle()),
        detail: streams.map(({ stream }) => stream.detail()).join('; '),
      }),
    };
  },
});
