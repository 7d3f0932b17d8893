import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { type Block, exchange, followChain, receiver, rpc, start, until } from '../test-clients.ts';

describe('the seeded world', () => {
  test('is delivered whole, and its whales are those that were planted', async () => {
    const simulator = await start({ worldBlocks: 25, seed: 4 });
    const alerts: string[] = [];
    let parent: string | undefined;
    const failed: unknown[] = [];
    const blocks: z.infer<typeof Block>[] = [];
    const numbers = await followChain(simulator, (found) => blocks.push(found));
    expect(numbers).toEqual(Array.from({ length: 25 }, (_, index) => 30_000_000 + index));
    for (const found of blocks.toSorted((a, b) => Number(a.number) - Number(b.number))) {
      if (parent !== undefined) expect(found.parentHash).toBe(parent);
      parent = found.hash;
      for (const { hash: transaction, value } of found.transactions) {
        if (BigInt(value) <= 100n * 10n ** 18n) continue;
        const { result } = await rpc(simulator, 'eth_getTransactionReceipt', transaction);
        const { status } = z.looseObject({ status: z.string() }).parse(result);
        if (status === '0x1') alerts.push(transaction);
        else failed.push(value);
      }
    }
    expect(alerts.toSorted()).toEqual(simulator.planted().toSorted());
    expect(failed.length).toBeGreaterThan(0);
    const early = blocks
      .filter(({ number }) => Number(number) < 30_000_002)
      .flatMap((found) => found.transactions);
    expect(early.some((transaction) => alerts.includes(transaction.hash))).toBe(true);
    expect(await readFile(simulator.labelFiles[0]!, 'utf8')).toMatch(/^address,cex_name,/);
  });

  test('of a given length is the same for the same seed and another for another', async () => {
    const hook = await receiver();
    const contentOf = async (seed: number) => {
      const simulator = await start({ worldBlocks: 3, seed, eventsPerSecond: 100 });
      const block = await rpc(simulator, 'eth_getBlockByNumber', '0x1c9c381', true);
      const linear = await exchange(simulator, 'linear');
      linear.send('subscribe', [
        'publicTrade.BTCUSDT',
        'publicTrade.ETHUSDT',
        'publicTrade.SOLUSDT',
        'orderbook.200.SOLUSDT',
      ]);
      const spot = await exchange(simulator, 'spot');
      spot.send('subscribe', ['tickers.BTCUSDT']);
      hook.received.length = 0;
      simulator.setHelius({ url: hook.url, authorization: 'x' });
      const isDone = () =>
        simulator
          .progress()
          .slice(1)
          .every((progress) => progress.isDone);
      await until(isDone);
      const frames = [...linear.frames, ...spot.frames].filter(({ topic }) => topic !== undefined);
      const trades = frames.filter(({ topic }) => String(topic).startsWith('publicTrade'));
      expect(trades.flatMap(({ data }) => data)).toHaveLength(600);
      return JSON.stringify([block, frames, hook.received, simulator.planted()]);
    };
    const first = await contentOf(9);
    expect(await contentOf(9)).toBe(first);
    expect(await contentOf(10)).not.toBe(first);
  });

  test('holds its chain until it is released, and says when the market was read to its end', async () => {
    const simulator = await start({ worldBlocks: 3, holdsChain: true });
    const numbers: number[] = [];
    const followed = followChain(simulator, ({ number }) => numbers.push(Number(number)));
    const [linear, spot] = [await exchange(simulator, 'linear'), await exchange(simulator, 'spot')];
    linear.send('subscribe', ['publicTrade.BTCUSDT']);
    await until(() => linear.of('publicTrade.BTCUSDT').length > 0);
    expect(simulator.isMarketDone()).toBe(false);
    spot.send('subscribe', ['tickers.BTCUSDT']);
    await until(() => simulator.isMarketDone());
    expect((await rpc(simulator, 'eth_blockNumber')).result).toBe('0x0');
    expect(numbers).toEqual([]);
    simulator.releaseChain();
    await followed;
    expect(numbers.toSorted()).toEqual([30_000_000, 30_000_001, 30_000_002]);
  });

  test('without end goes on, with a first whale within two blocks and books in sequence', async () => {
    const simulator = await start({ speed: 40 });
    const linear = await exchange(simulator, 'linear');
    linear.send('subscribe', ['orderbook.200.BTCUSDT']);
    await until(() => linear.of('orderbook.200.BTCUSDT').length >= 20);
    const Update = z.looseObject({ type: z.string(), data: z.looseObject({ u: z.number() }) });
    const updates = linear.of('orderbook.200.BTCUSDT').map((frame) => Update.parse(frame));
    expect(updates[0]!.type).toBe('snapshot');
    expect(updates.every(({ data }, index) => data.u === updates[0]!.data.u + index)).toBe(true);
    const heights = new Set<unknown>();
    while (heights.size < 3) heights.add((await rpc(simulator, 'eth_blockNumber')).result);
    expect(simulator.planted().length).toBeGreaterThan(0);
    expect((await rpc(simulator, 'eth_getBlockByNumber', 'latest', true)).result).not.toBeNull();
    expect(simulator.isDone()).toBe(false);
  });
});
