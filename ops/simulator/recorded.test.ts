import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { isPipelineError } from '#pipeline/errors.ts';
import { exchange, folder, followChain, Head, receiver, rpc, start, until } from './test-clients.ts';

const shared = resolve(import.meta.dirname, '../..', process.env.BALEEN_RECORDINGS ?? '../shared/data');
const hasShared = existsSync(join(shared, 'recordings.json'));

const hash = (digit: string) => `0x${digit.repeat(64)}`;
const block = (number: number, digit: string) =>
  `{"number":"0x${number.toString(16)}", "hash":"${hash(digit)}","transactions":[{"hash":"${hash('e')}","value":"0x1"}],"uncles":[]}`;

describe.skipIf(!hasShared)('the shared recordings', () => {
  test('are served whole: blocks in order, transactions, whales to the wei', {
    timeout: 60_000,
  }, async () => {
    const simulator = await start({ recordings: shared });
    let transactions = 0;
    const whales: bigint[] = [];
    const numbers = await followChain(simulator, (found) => {
      transactions += found.transactions.length;
      const values = found.transactions.map(({ value }) => BigInt(value));
      whales.push(...values.filter((value) => value > 100n * 10n ** 18n));
    });
    expect(numbers).toHaveLength(260);
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
    expect(transactions).toBe(58_171);
    expect(whales).toHaveLength(68);
    expect(whales.reduce((sum, value) => sum + value, 0n)).toBe(56_241_519_997_577_872_205_340n);
    expect(simulator.skippedLines()).toBe(0);
    expect((await rpc(simulator, 'eth_getBlockReceipts', '0xf4240')).result).toHaveLength(2);

    const linear = await exchange(simulator, 'linear');
    const topics = ['BTCUSDT', 'ETHUSDT'].flatMap((s) => [
      `orderbook.200.${s}`,
      `publicTrade.${s}`,
      `tickers.${s}`,
    ]);
    linear.send('subscribe', topics.slice(0, 3));
    linear.send('subscribe', topics.slice(3));
    const isDone = (name: string) =>
      simulator.progress().find(({ provider }) => provider === name)?.isDone ?? false;
    await until(() => isDone('bybit-linear'));
    expect(linear.of('orderbook.200.BTCUSDT')).toHaveLength(414);
    expect(linear.of('orderbook.200.ETHUSDT')).toHaveLength(421);
    const trades = [...linear.of('publicTrade.BTCUSDT'), ...linear.of('publicTrade.ETHUSDT')];
    expect(trades).toHaveLength(28);
    expect(trades.flatMap(({ data }) => data)).toHaveLength(79);

    const hook = await receiver();
    simulator.setHelius({ url: hook.url, authorization: 'secret word' });
    await until(() => isDone('helius'));
    expect(hook.received.flatMap(({ body }) => body)).toHaveLength(64);
    expect(hook.received.every(({ body }) => body.length >= 1 && body.length <= 10)).toBe(true);
    expect(new Set(hook.received.map(({ authorization }) => authorization))).toEqual(
      new Set(['secret word']),
    );
    expect(simulator.labelFiles.length).toBeGreaterThan(0);
  });
});

describe('another folder of the same grammar', () => {
  const recordings = () =>
    folder({
      'recordings.json': JSON.stringify({
        version: 1,
        streams: [
          { provider: 'evm', kind: 'blocks', chainId: 10, files: ['blocks.jsonl', 'more.jsonl.gz'] },
          { provider: 'evm', kind: 'receipts', chainId: 10, files: ['receipts.jsonl'] },
          { provider: 'bybit', kind: 'frames', category: 'spot', envelope: 'frames', files: ['spot.jsonl'] },
          { provider: 'kraken', kind: 'trades', files: ['missing.jsonl'] },
        ],
      }),
      'blocks.jsonl': `${block(9, '9')}\nnot json\n${block(5, '5')}\r\n`,
      'more.jsonl.gz': gzipSync(`{"id":1,"result": ${block(7, '7')},"jsonrpc":"2.0"}\n${block(5, '5')}`),
      'receipts.jsonl': `{"result":[{"blockHash":"${hash('7')}","blockNumber":"0x7","transactionHash":"${hash('e')}","logs":[{"address":"0xAB","topics":["0x1"],"logIndex":"0x0"}]}]}`,
      'spot.jsonl': [
        {
          topic: 'orderbook.50.AUSDT',
          type: 'snapshot',
          ts: 1,
          data: {
            s: 'AUSDT',
            b: [
              ['2', '1'],
              ['1', '1'],
            ],
            a: [],
            u: 1,
          },
        },
        {
          topic: 'orderbook.50.AUSDT',
          type: 'delta',
          ts: 2,
          data: {
            s: 'AUSDT',
            b: [
              ['1', '0'],
              ['3', '4'],
            ],
            a: [],
            u: 2,
          },
        },
        { success: true, op: 'subscribe' },
      ]
        .map((frame) => JSON.stringify(frame))
        .join('\n'),
    });

  test('blocks come bare or enveloped, distinct by hash, with their text unchanged', async () => {
    const simulator = await start({ recordings: await recordings() });
    expect(simulator.urls.evmChainId).toBe(10);
    expect(simulator.skippedLines()).toBe(1);
    const body = `{"jsonrpc":"2.0","id":"x","method":"eth_getBlockByNumber","params":["0x7",true]}`;
    const response = await fetch(simulator.urls.evmRpc, { method: 'POST', body });
    expect(await response.text()).toBe(`{"jsonrpc":"2.0","id":"x","result":${block(7, '7')}}`);
    expect((await rpc(simulator, 'eth_getBlockByNumber', '0x6', true)).result).toBeNull();
    expect((await rpc(simulator, 'eth_getBlockByNumber', '0x9', false)).result).toMatchObject({
      transactions: [hash('e')],
    });
    expect((await rpc(simulator, 'eth_getBlockReceipts', hash('7'))).result).toHaveLength(1);
    expect((await rpc(simulator, 'eth_getBlockReceipts', hash('5'))).error?.code).toBe(-32000);
    expect((await rpc(simulator, 'eth_getTransactionReceipt', hash('e'))).result).toMatchObject({
      blockNumber: '0x7',
    });
    expect(
      (await rpc(simulator, 'eth_getLogs', { blockHash: hash('7'), address: '0xab' })).result,
    ).toHaveLength(1);
    expect(
      (await rpc(simulator, 'eth_getLogs', { fromBlock: '0x5', toBlock: '0x9', topics: ['0x2'] })).result,
    ).toEqual([]);
    expect((await rpc(simulator, 'eth_mystery')).error?.code).toBe(-32601);
    expect(await followChain(simulator, () => {})).toEqual([5, 7, 9]);
  });

  test('a client that comes back is told of every block again, whether it fetches them or not', async () => {
    const simulator = await start({ recordings: await recordings() });
    for (let turn = 0; turn < 2; turn += 1) {
      const numbers: number[] = [];
      const socket = new WebSocket(simulator.urls.evmWs);
      socket.on('open', () => socket.send('{"id":1,"method":"eth_subscribe","params":["newHeads"]}'));
      socket.on('message', (text) => {
        const head = Head.safeParse(JSON.parse(String(text)));
        if (head.success) numbers.push(Number(head.data.params.result.number));
      });
      await until(() => numbers.length === 3);
      expect(numbers).toEqual([5, 7, 9]);
      socket.terminate();
    }
    expect(simulator.isDone()).toBe(false);
  });

  test('a client that polls is moved on by one block after each that it fetched', async () => {
    const simulator = await start({ recordings: await recordings() });
    const seen: unknown[] = [];
    for (let turn = 0; turn < 4; turn += 1) {
      const { result } = await rpc(simulator, 'eth_blockNumber');
      seen.push(result);
      await rpc(simulator, 'eth_getBlockByNumber', result, true);
    }
    expect(seen).toEqual(['0x5', '0x7', '0x9', '0x9']);
    expect(simulator.progress()[0]).toMatchObject({ isDone: true, sent: 3, total: 3 });
  });

  test('the exchange acknowledges, refuses and replaces the book of a topic subscribed again', async () => {
    const simulator = await start({ recordings: await recordings() });
    const spot = await exchange(simulator, 'spot');
    spot.send(
      'subscribe',
      Array.from({ length: 11 }, () => 'orderbook.50.AUSDT'),
    );
    spot.send('subscribe', ['tickers.NOSUCH']);
    spot.send('ping');
    spot.send('subscribe', ['orderbook.50.AUSDT']);
    await until(() => simulator.progress()[1]!.isDone);
    expect(spot.frames.slice(0, 4)).toMatchObject([
      { success: false, op: 'subscribe' },
      { success: false, ret_msg: 'error:handler not found,topic:tickers.NOSUCH' },
      { success: true, ret_msg: 'pong', op: 'ping' },
      { success: true, ret_msg: 'subscribe', op: 'subscribe' },
    ]);
    expect(spot.of('orderbook.50.AUSDT')).toHaveLength(2);
    spot.send('unsubscribe', ['orderbook.50.AUSDT']);
    spot.send('subscribe', ['orderbook.50.AUSDT']);
    await until(() => spot.of('orderbook.50.AUSDT').length === 3);
    expect(spot.frames.at(-1)).toMatchObject({
      type: 'snapshot',
      data: {
        b: [
          ['3', '4'],
          ['2', '1'],
        ],
        u: 2,
      },
    });
  });

  test('a manifest with problems is refused with all of them', async () => {
    const path = await folder({
      'recordings.json': JSON.stringify({
        version: 1,
        streams: [
          { provider: 'evm', kind: 'blocks', files: ['gone.jsonl'] },
          { provider: 'bybit', kind: 'frames', category: 'moon', files: ['../outside'] },
          { provider: 'helius', kind: 'enhanced-transactions', files: ['../outside'] },
        ],
      }),
    });
    const error: unknown = await start({ recordings: path }).catch((thrown: unknown) => thrown);
    expect(isPipelineError(error, 'RECORDINGS_INVALID')).toBe(true);
    for (const part of ['streams[0].files[0]', 'streams[1].category', '"moon"', 'streams[2].files[0]'])
      expect(String(error)).toContain(part);
    await expect(start({ recordings: join(path, 'nowhere') })).rejects.toMatchObject({
      code: 'RECORDINGS_INVALID',
    });
  });
});
