import { describe, expect, test, vi } from 'vitest';
import { rawEvm } from '#schemas/topics.ts';
import { entries, follow, hashes, openNode } from './fixtures/follow.ts';
import { blockOf, blocksOf, hashOf } from './fixtures/node.ts';

describe('following a chain', () => {
  test('emits each announced block once, in order, with its entry after it', async () => {
    const node = await openNode();
    const { announce, until, stop, memory, connector } = await follow(node);
    announce(...blocksOf(10, 14));
    announce(blockOf(14));
    await until(hashes(10, 14));
    await stop();
    expect(entries(memory)).toEqual([10, 11, 12, 13, 14].map((n) => `seen blocks ${n}..${n}`));
    expect(memory.records(rawEvm)[0]).toMatchObject({ key: '1', value: { source: 'evm:1', kind: 'block' } });
    expect(connector.status().detail).toBe('block 14, 5 seen, 0 missing ranges');
  });

  test('catches up with what it missed while disconnected', async () => {
    const node = await openNode();
    const { announce, until, stop } = await follow(node, { pollIntervalMs: 60_000 });
    announce(blockOf(10));
    await until(hashes(10, 10));
    node.disconnect();
    await vi.waitFor(() => expect(node.subscriberCount).toBe(0));
    node.add(...blocksOf(11, 30));
    await vi.waitFor(() => expect(node.subscriberCount).toBe(1));
    announce(blockOf(31));
    await until(hashes(10, 31));
    await stop();
  });

  test('does not begin at 0 with a node that knows no block yet', async () => {
    const node = await openNode();
    const { until, stop, memory } = await follow(node, { wsUrl: null });
    const polls = () => node.requests.filter(([method]) => method === 'eth_blockNumber').length;
    await vi.waitFor(() => expect(polls()).toBeGreaterThan(1));
    node.add(blockOf(10));
    await until(hashes(10, 10));
    await stop();
    expect(entries(memory)).toEqual(['seen blocks 10..10']);
  });

  test('enters numbers without a block as one missing range and goes on', async () => {
    const node = await openNode();
    const { announce, until, stop, memory } = await follow(node);
    announce(blockOf(10));
    announce(blockOf(15));
    await until([hashOf(10), hashOf(15)]);
    await stop();
    expect(entries(memory)).toEqual(['seen blocks 10..10', 'missing blocks 11..14', 'seen blocks 15..15']);
  });

  test('asks a lagging node again before it calls the head missing', async () => {
    const node = await openNode();
    const { until, stop, memory } = await follow(node, { retryDelayMs: 100 });
    node.announce(blockOf(10));
    await vi.waitFor(() => expect(node.requests).toHaveLength(1));
    node.add(blockOf(10));
    await until(hashes(10, 10));
    await stop();
    expect(entries(memory)).toEqual(['seen blocks 10..10']);
  });

  test('probes a huge hole at its ends only', async () => {
    const node = await openNode();
    const { announce, until, stop, memory, connector } = await follow(node);
    announce(blockOf(46_147));
    announce(blockOf(25_546_285));
    await until([hashOf(46_147), hashOf(25_546_285)]);
    await stop();
    expect(node.requests.length).toBeLessThan(20);
    expect(entries(memory)[1]).toBe('missing blocks 46148..25546284');
    expect(connector.status().detail).toBe('block 25,546,285, 2 seen, 1 missing ranges');
  });

  test('fetches every block of a long stretch that the node has', async () => {
    const node = await openNode();
    const { announce, until, stop } = await follow(node, { startBlock: 10, receipts: false });
    announce(...blocksOf(10, 10));
    node.add(...blocksOf(11, 149));
    announce(blockOf(150));
    await until(hashes(10, 150));
    await stop();
  });

  test('repairs missing blocks that turn up later', async () => {
    const node = await openNode();
    const { announce, until, stop, memory, connector } = await follow(node, { repairIntervalMs: 50 });
    announce(blockOf(10), blockOf(14));
    await until([hashOf(10), hashOf(14)]);
    node.add(blockOf(12));
    await until([hashOf(10), hashOf(14), hashOf(12)]);
    await stop();
    expect(entries(memory).at(-1)).toBe('repaired blocks 12..12');
    expect(connector.status().detail).toBe('block 14, 3 seen, 2 missing ranges');
  });

  test('emits nothing twice after a restart, and goes on where it stopped', async () => {
    const node = await openNode();
    const past = [...blocksOf(10, 12), ...blocksOf(5_000, 5_300)];
    const first = await follow(node, { receipts: false });
    first.announce(...past);
    await first.until(past.map(({ hash }) => hash));
    await first.stop();

    const second = await follow(node, { receipts: false }, first.memory);
    second.announce(...past, blockOf(5_301));
    await second.until([...past, blockOf(5_301)].map(({ hash }) => hash));
    await vi.waitFor(() => expect(second.connector.status().isIdle).toBe(true));
    await second.stop();
    expect(entries(second.memory).filter((entry) => entry.startsWith('missing'))).toEqual([
      'missing blocks 13..4999',
    ]);
    expect(second.connector.status().detail).toBe('block 5,301, 305 seen, 1 missing ranges');
  });

  test('catches up after a restart with blocks that nobody announced', async () => {
    const node = await openNode();
    const first = await follow(node);
    first.announce(blockOf(10));
    await first.until(hashes(10, 10));
    await first.stop();
    node.add(...blocksOf(11, 14));
    const second = await follow(node, {}, first.memory);
    second.announce(blockOf(15));
    await second.until(hashes(10, 15));
    await second.stop();
  });

  test('emits the other branch, oldest block first, when a parent is not the block it saw', async () => {
    const node = await openNode();
    const { announce, until, stop } = await follow(node);
    announce(...blocksOf(10, 13));
    await until(hashes(10, 13));
    node.add(blockOf(12, 'b', 'a'), blockOf(13, 'b'));
    announce(blockOf(14, 'b'));
    await until([...hashes(10, 13), hashOf(12, 'b'), hashOf(13, 'b'), hashOf(14, 'b')]);
    await stop();
  });

  test('emits another block that is announced at a height it saw', async () => {
    const node = await openNode();
    const { announce, until, stop } = await follow(node);
    announce(...blocksOf(10, 12));
    await until(hashes(10, 12));
    announce(blockOf(11, 'b', 'a'));
    announce(blockOf(12, 'b'));
    announce(blockOf(13, 'b'));
    await until([...hashes(10, 12), hashOf(11, 'b'), hashOf(12, 'b'), hashOf(13, 'b')]);
    await stop();
  });
});
