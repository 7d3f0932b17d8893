import { describe, expect, test } from 'vitest';
import { createMetrics } from '#pipeline/telemetry/metrics.ts';
import { measureLatency } from './measuring.ts';
import type { Task } from './task.ts';

describe('the way of a record', () => {
  test('is measured from log time to acknowledgement, one measurement at a time', async () => {
    const metrics = createMetrics();
    const looked = { step: 0, logTimeMs: 0 };
    const task = {
      id: { subTopology: 'detect', partition: 0 },
      get step() {
        return looked.step;
      },
      get logTimeMs() {
        return looked.logTimeMs;
      },
      // Only these members are used.
    } as unknown as Task;
    let acknowledge = Promise.withResolvers<void>();
    let asked = 0;
    let nowMs = 1_000;
    const afterTurn = measureLatency({
      tasks: [task],
      metrics,
      clock: { nowMs: () => nowMs },
      producer: {
        acknowledged: () => {
          asked += 1;
          return acknowledge.promise;
        },
      },
    });
    const printed = async (suffix: string) =>
      new RegExp(`baleen_record_e2e_latency_seconds_${suffix}\\{subtopology="detect"\\} (.*)`).exec(
        await metrics.render(),
      )?.[1];

    afterTurn();
    expect(asked).toBe(0);
    Object.assign(looked, { step: 5, logTimeMs: 900 });
    afterTurn();
    looked.step = 6;
    afterTurn();
    expect(asked).toBe(1);
    nowMs = 1_400;
    acknowledge.resolve();
    await acknowledge.promise;
    expect(await printed('sum')).toBe('0.5');

    acknowledge = Promise.withResolvers<void>();
    afterTurn();
    expect(asked).toBe(2);
    acknowledge.reject(new Error('the broker is gone'));
    await acknowledge.promise.catch(() => {});
    expect(await printed('count')).toBe('1');
  });
});
