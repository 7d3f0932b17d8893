import { expect, test } from 'vitest';
import { isTick } from '#pipeline/merge/position.ts';
import { createMetrics } from '#pipeline/telemetry/metrics.ts';
import { createTicker } from './ticker.ts';

test('ticks go where they prove something, at intervals, and not where nothing is taken', async () => {
  const asked: string[] = [];
  const held = new Set(['b/0']);
  const time = { nowMs: 1_000 };
  const metrics = createMetrics();
  const ticker = createTicker({
    producer: {
      isHeldUp: (topic, partition) => held.has(`${topic}/${partition}`),
      append: (topic, partition, { headers }) => {
        expect(isTick(headers)).toBe(true);
        asked.push(`${topic}/${partition}`);
      },
    },
    clock: { nowMs: () => time.nowMs },
    metrics,
    intervalMs: 20,
  });
  const askedAt = (nowMs: number, logTimeMs: number): readonly string[] => {
    time.nowMs = nowMs;
    asked.length = 0;
    ticker.want(logTimeMs);
    return [...asked];
  };
  for (const topic of ['a', 'b', 'c']) ticker.add(topic, 0);
  expect(askedAt(1_000, 1_000)).toEqual([]);
  expect(askedAt(1_001, 1_000)).toEqual(['a/0', 'c/0']);
  expect(askedAt(1_020, 1_010)).toEqual([]);
  ticker.seen('a', 0, 1_002);
  held.clear();
  // What was held back is asked for as soon as it can be; the others have their interval.
  expect(askedAt(1_020, 1_001)).toEqual(['b/0']);
  expect(askedAt(1_041, 1_001)).toEqual(['b/0', 'c/0']);
  ticker.remove('c', 0);
  expect(askedAt(1_080, 1_010)).toEqual(['a/0', 'b/0']);
  expect(await metrics.total('ticks_total', { kind: 'raw' })).toBe(7);
});
