import { inspect } from 'node:util';
import { describe, expect, test, vi } from 'vitest';
import { connectorConformance } from '#pipeline/testing/conformance/connector.ts';
import { memoryConnectorContext } from '#pipeline/testing/connector-context.ts';
import { ledgerCoverage, rawEvm } from '#schemas/topics.ts';
import { bodies, entries, FAST, follow, hashes, openNode } from './fixtures/follow.ts';
import { blockOf, blocksOf, blockText, hashOf, startNode } from './fixtures/node.ts';
import evm from './index.ts';

connectorConformance(evm, async () => {
  const node = await startNode();
  const numbers: number[] = [];
  let next = 100;
  const subscribed = () => vi.waitFor(() => expect(node.subscriberCount).toBe(1));
  return {
    config: { rpcUrl: node.rpcUrl, wsUrl: node.wsUrl, retryDelayMs: 5 },
    topic: rawEvm,
    async sendGood(index) {
      numbers[index] = next;
      const block = blockOf(next++);
      node.add(block);
      await subscribed();
      node.announce(block);
    },
    holds: ({ value }, index) =>
      JSON.stringify(value).length > 0 && isBlock(value, hashOf(numbers[index] ?? 0)),
    async sendBad() {
      await subscribed();
      node.sendFrame('{"method":"eth_subscription"');
      node.answer(next, '{"hash":7}');
      node.announce(blockOf(next++));
    },
    async disconnect() {
      node.disconnect();
      await vi.waitFor(() => expect(node.subscriberCount).toBe(0));
    },
    close: () => node.close(),
  };
});

const isBlock = (value: unknown, hash: string): boolean =>
  value instanceof Object &&
  'body' in value &&
  Buffer.isBuffer(value.body) &&
  value.body.includes(`"hash":"${hash}"`);

describe('evm', () => {
  test('keeps the bytes of block and receipts exactly as received', async () => {
    const node = await openNode();
    const block = `{ "number" :"0xa", "hash":"${hashOf(10)}",\n "parentHash":"${hashOf(9)}" , "text":"}\\"]\\\\", "big":123456789012345678901234567890.10 }`;
    const receipts = '[ {"gas": 1e400 ,"log":"\\u0000{"} ]';
    const { memory, until, stop } = await follow(node);
    node.answer(10, block);
    node.answer(`receipts:${hashOf(10)}`, receipts);
    node.announce(blockOf(10));
    await until([hashOf(10)]);
    await stop();
    expect(bodies(memory)).toEqual([`{"block":${block},"receipts":${receipts}}`]);
  });

  test('polls when it has no socket', async () => {
    const node = await openNode();
    node.add(blockOf(10));
    const { until, stop } = await follow(node, { wsUrl: null });
    await until(hashes(10, 10));
    node.add(blockOf(11), blockOf(12));
    await until(hashes(10, 12));
    await stop();
  });

  test('opens the socket again when no head comes for too long', async () => {
    const node = await openNode();
    const { stop, memory } = await follow(node, { headTimeoutMs: 100 });
    await vi.waitFor(async () =>
      expect(await memory.context.metrics.total('connector_reconnects_total')).toBeGreaterThan(1),
    );
    await stop();
  });

  test('waits for a node that is away', async () => {
    const node = await openNode();
    const { announce, until, stop, memory, connector } = await follow(node);
    node.setUp(false);
    announce(blockOf(10));
    await vi.waitFor(() => expect(memory.lines.some(({ level }) => level === 'warn')).toBe(true));
    expect(connector.status().isIdle).toBe(false);
    node.setUp(true);
    await until(hashes(10, 10));
    await stop();
  });

  test.each([
    ['null', 'missing'],
    ['!{"code":-32000,"message":"pruned"}', 'unavailable'],
    ['!{"code":-32601,"message":"no such method"}', 'unavailable'],
    ['[1}', 'missing'],
  ])('goes on without receipts when the node answers %s', async (answer, state) => {
    const node = await openNode();
    const { announce, until, stop, memory } = await follow(node);
    node.answer(`receipts:${hashOf(10)}`, answer);
    announce(blockOf(10));
    await until(hashes(10, 10));
    await stop();
    expect(bodies(memory)).toEqual([`{"block":${blockText(blockOf(10))},"receipts":null}`]);
    expect(entries(memory)).toEqual(['seen blocks 10..10', `${state} receipts 10..10`]);
    expect(memory.records(ledgerCoverage)[1]?.value?.hash).toBe(hashOf(10));
  });

  test('passes an unreadable block on with its bytes, and goes on', async () => {
    const node = await openNode();
    const { announce, until, stop, memory } = await follow(node);
    node.answer(10, '{"number":"0xa"');
    node.announce(blockOf(10));
    announce(blockOf(11));
    await until(hashes(11, 11));
    await stop();
    expect(memory.records(rawEvm)[0]?.value?.kind).toBe('unreadable');
    expect(bodies(memory)[0]).toContain('"result":{"number":"0xa"');
    expect(entries(memory)).toEqual(['missing blocks 10..10', 'seen blocks 11..11']);
  });

  test('enters a block over the size limit as missing', async () => {
    const node = await openNode();
    const { announce, until, stop, memory } = await follow(node, { maxBlockBytes: 1_000 });
    node.answer(10, JSON.stringify('x'.repeat(2_000)));
    node.announce(blockOf(10));
    announce(blockOf(11));
    await until(hashes(11, 11));
    await stop();
    expect(entries(memory)[0]).toBe('missing blocks 10..10');
    expect(memory.lines).toContainEqual(
      expect.objectContaining({ level: 'error', message: 'block refused' }),
    );
  });

  test('fetches no further while Kafka is behind', async () => {
    const node = await openNode();
    const { announce, until, stop, memory, connector } = await follow(node);
    announce(blockOf(10));
    await until(hashes(10, 10));
    memory.setWritable(false);
    const { length } = node.requests;
    announce(...blocksOf(11, 13));
    await vi.waitFor(() => expect(connector.status().isIdle).toBe(false));
    expect(node.requests).toHaveLength(length);
    memory.setWritable(true);
    await until(hashes(10, 13));
    await stop();
  });

  test('ends with the error when Kafka refuses a record for good', async () => {
    const node = await openNode();
    const memory = memoryConnectorContext();
    const refusing = {
      ...memory,
      context: { ...memory.context, emit: () => Promise.reject(new Error('full')) },
    };
    const { announce, ended } = await follow(node, {}, refusing);
    announce(blockOf(10));
    await expect(ended).rejects.toThrow('full');
  });

  test('refuses a node of another chain', async () => {
    const node = await openNode({ chainId: 137 });
    const connector = evm.create(evm.config.parse({ rpcUrl: node.rpcUrl }), memoryConnectorContext().context);
    await expect(connector.check(new AbortController().signal)).rejects.toMatchObject({
      code: 'PROVIDER_REFUSED',
      message: expect.stringContaining('expected chain id 1, found chain id 137'),
    });
  });

  test('shows no secret of its URLs', async () => {
    const secret = 'abcdefghij0123456789SECRET';
    const node = await openNode();
    const parts = [`/v2/${secret}`, `/?key=${secret}`];
    for (const part of parts) {
      const urls = {
        rpcUrl: node.rpcUrl.replace('http://', `http://user:${secret}@`).replace(/\/$/, part),
        wsUrl: node.wsUrl.replace(/\/$/, part),
      };
      const memory = memoryConnectorContext();
      const connector = evm.create(
        evm.config.parse({ ...FAST, ...urls, headTimeoutMs: 100 }),
        memory.context,
      );
      const controller = new AbortController();
      const error = await connector.check(controller.signal).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'PROVIDER_UNAVAILABLE' });
      const ended = connector.run(controller.signal);
      await vi.waitFor(async () =>
        expect(await memory.context.metrics.total('connector_reconnects_total')).toBeGreaterThan(0),
      );
      controller.abort();
      await ended;
      expect(
        inspect([error, memory.lines, connector.status()], { depth: 9, showHidden: true }),
      ).not.toContain(secret);
    }
  });
});
