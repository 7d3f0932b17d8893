import { expect, test, vi } from 'vitest';
import type { Clock } from '#pipeline/clock.ts';
import { defineProcessor, keyed } from '#pipeline/processor.ts';
import type { StateBackend } from '#pipeline/state/backend.ts';
import { keyValue } from '#pipeline/state/key-value.ts';
import { createMemoryBackend } from '#pipeline/state/memory.ts';
import { silentLog } from '#pipeline/telemetry/log.ts';
import { silentMetrics } from '#pipeline/telemetry/metrics.ts';
import { raw } from '#pipeline/testing/fold-run.ts';
import { createSmallKafka } from '#pipeline/testing/small-kafka.ts';
import { createTaskWorld, NONE } from '#pipeline/testing/task-run.ts';
import type { price } from '#schemas/price.ts';
import { startCheckpoints } from './checkpoints.ts';
import { DEFAULT_LIMITS } from './limits.ts';

const stores = { lately: keyValue<string>({ retentionMs: 10 }) };
/** Keeps ids for a while. */
const keeps = defineProcessor({
  name: 'keeps',
  summary: 'keeps ids for 10 ms',
  stores,
  inputs: [
    keyed<typeof price, typeof stores>(raw, ({ value }, { stores: { lately } }) => {
      if (value !== null) lately.put(value.id, value.id);
    }),
  ],
  outputs: [],
});

test.each(['write', 'clear'] as const)(
  'a full disk during a %s delays the checkpoint, and does not end processing',
  async (failing) => {
    const world = createTaskWorld([keeps]);
    const run = world.start();
    const feed = (atMs: number, id: string): void => {
      world.write(raw, atMs, { id, ...NONE });
      world.tick(atMs + 1);
      run.deliver();
      run.work();
    };
    const backend = createMemoryBackend(run.disk);
    let failures = 0;
    const onFullDisk: StateBackend = {
      ...backend,
      [failing]: async (...given: [never, never]) => {
        failures += 1;
        if (failures % 3 !== 0) throw new Error('no space left on device');
        await backend[failing](...given);
      },
    };
    const rounds: (() => void)[] = [];
    const clock: Clock = {
      nowMs: () => 0,
      sleep: (ms, signal) =>
        new Promise((resolve) => {
          // The cadence is moved by hand; pauses between attempts are over at once.
          if (ms !== 5_000) return resolve();
          rounds.push(resolve);
          signal?.addEventListener('abort', () => resolve());
        }),
      every: () => () => {},
      soon: () => {},
    };
    const failed: unknown[] = [];
    const kafka = createSmallKafka();
    const checkpoints = startCheckpoints({
      kept: [{ task: run.task, backend: onFullDisk, log: run.log }],
      kafka,
      producer: kafka.producer(),
      clock,
      log: silentLog,
      metrics: silentMetrics,
      physicalName: (name) => name,
      lagGroup: null,
      everyMs: 5_000,
      limits: DEFAULT_LIMITS,
      afterRound: () => {},
      fail: (error) => failed.push(error),
    });
    const round = async (): Promise<void> => {
      const { step } = run.task;
      rounds.shift()?.();
      await vi.waitFor(() => expect([run.log.lastStep, rounds.length]).toEqual([step, 1]));
    };
    feed(100, 'a');
    await round();
    feed(1_000, 'b');
    await round();
    const kept = [...run.disk.keys()].filter((key) => key.startsWith('keeps.lately'));
    expect(kept.map((key) => key.at(-1))).toEqual(['b']);
    expect([failures >= 3, failed]).toEqual([true, []]);
    await checkpoints.stop(false);
  },
);
