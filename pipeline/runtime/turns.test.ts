import { describe, expect, test } from 'vitest';
import type { Clock } from '#pipeline/clock.ts';
import { raw } from '#pipeline/testing/fold-run.ts';
import { createTaskWorld, NONE, relay, type TaskRun } from '#pipeline/testing/task-run.ts';
import type { Ended } from './task.ts';
import { startTurns } from './turns.ts';

/** The loop of one task, moved by hand. */
function open(run: TaskRun, isHeardElsewhere = true) {
  const sleeps: {
    readonly ms: number;
    readonly signal: AbortSignal | undefined;
    readonly end: () => void;
  }[] = [];
  const soon: (() => void)[] = [];
  const repeats: (() => void)[] = [];
  const wanted: number[] = [];
  const failures: unknown[] = [];
  const time = { nowMs: 1_000 };
  const clock: Clock = {
    nowMs: () => time.nowMs,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        sleeps.push({ ms, signal, end: resolve });
        signal?.addEventListener('abort', () => resolve());
      }),
    every: (_, work) => {
      repeats.push(work);
      return () => repeats.splice(0);
    },
    soon: (work) => {
      soon.push(work);
    },
  };
  const turns = startTurns({
    tasks: [run.task],
    producer: {
      append: () => {},
      acknowledged: async () => {},
      send: async () => ({ offset: 0, appendTimeMs: 0 }),
      pendingBytes: 0,
      isHeldUp: () => false,
      writable: async () => {},
      close: async () => {},
    },
    ticker: { want: (logTimeMs) => wanted.push(logTimeMs) },
    clock,
    turnRecords: 2,
    isHeardElsewhere: () => isHeardElsewhere,
    isReady: () => true,
    onTurn: () => {},
    guard: (work) => {
      try {
        work();
      } catch (error) {
        failures.push(error);
      }
    },
  });
  return {
    turns,
    time,
    sleeps,
    repeats,
    wanted,
    failures,
    soon,
    /** Runs what waits, until nothing does. Returns how many turns that took. */
    settle: async (): Promise<number> => {
      let count = 0;
      for (let work = soon.shift(); work !== undefined && count < 100; work = soon.shift()) {
        work();
        count += 1;
        // The next turn comes once the producer has room.
        await null;
        await null;
      }
      return count;
    },
  };
}

const worldAt = (...times: readonly number[]) => {
  const world = createTaskWorld([relay()]);
  for (const [index, atMs] of times.entries()) world.write(raw, atMs, { id: String(index), ...NONE });
  return world;
};

describe('the turns of a process', () => {
  test('fold a few records at a time, then pass progress on and wait', async () => {
    const world = worldAt(100, 101, 102, 103, 104);
    world.tick(200);
    const run = world.start();
    run.deliver();
    const loop = open(run);
    expect(await loop.settle()).toBe(4);
    expect([run.task.step, world.ticks().at(-1)]).toEqual([5, 200]);
    expect([loop.wanted, loop.sleeps.length]).toEqual([[], 0]);
    expect(loop.failures).toEqual([]);
  });

  test('tell Kafka at once of the end of a version: nobody repeats it', async () => {
    const world = worldAt(100);
    world.tick(200);
    const run = world.start();
    run.deliver();
    let ended: Ended | null = null;
    const task = Object.create(run.task, { ended: { get: () => ended } });
    const loop = open({ ...run, task }, false);
    await loop.settle();
    ended = { epoch: 2, atMs: 300 };
    world.tick(300);
    run.deliver();
    loop.turns.wake();
    await loop.settle();
    expect(world.ticks()).toEqual([200, 300]);
  });

  test('tell Kafka of progress at a slower pace where nobody waits to hear it there, and leave none of it untold', async () => {
    const world = worldAt(100, 101);
    world.tick(200);
    const run = world.start();
    run.deliver();
    const loop = open(run, false);
    await loop.settle();
    expect(world.ticks()).toEqual([200]);
    world.tick(300);
    run.deliver();
    loop.time.nowMs += 5;
    loop.turns.wake();
    await loop.settle();
    expect([world.ticks(), loop.sleeps.map(({ ms }) => ms)]).toEqual([[200], [15]]);
    loop.time.nowMs += 15;
    loop.sleeps[0]?.end();
    await null;
    await loop.settle();
    expect(world.ticks()).toEqual([200, 300]);
    expect(loop.sleeps).toHaveLength(1);
  });

  test('ask for proof when a record waits, and look again soon', async () => {
    const world = worldAt(100);
    const run = world.start();
    run.deliver();
    const loop = open(run);
    await loop.settle();
    expect([loop.wanted, loop.sleeps.map(({ ms }) => ms)]).toEqual([[100], [2]]);
    loop.sleeps[0]?.end();
    await null;
    expect(await loop.settle()).toBe(1);
    expect(loop.wanted).toEqual([100, 100]);
  });

  test('sleep until the next log timer is due, then ask for proof of it', async () => {
    const world = createTaskWorld([relay()]);
    world.write(raw, 900, { id: 'a', usd: '600' });
    world.tick(1_000);
    const run = world.start(new Map(), () => loop?.time.nowMs ?? 1_000);
    run.deliver();
    const loop = open(run);
    await loop.settle();
    expect([loop.wanted, loop.sleeps.map(({ ms }) => ms)]).toEqual([[], [500]]);
    loop.time.nowMs = 1_500;
    loop.sleeps[0]?.end();
    await null;
    await loop.settle();
    expect(loop.wanted).toEqual([1_499]);
  });

  test('a timer that is months away does not overflow the sleep and spin', async () => {
    const world = createTaskWorld([relay()]);
    world.write(raw, 900, { id: 'a', usd: String(90 * 86_400_000) });
    world.tick(1_000);
    const run = world.start(new Map(), () => 1_000);
    run.deliver();
    const loop = open(run);
    await loop.settle();
    expect(loop.sleeps.map(({ ms }) => ms)).toEqual([3_600_000]);
  });

  test('an earlier reason to wake replaces a later one', async () => {
    const world = createTaskWorld([relay()]);
    world.write(raw, 900, { id: 'a', usd: '600' });
    world.tick(1_000);
    const run = world.start(new Map(), () => 1_000);
    run.deliver();
    const loop = open(run);
    await loop.settle();
    world.write(raw, 1_000, { id: 'b', ...NONE });
    run.deliver();
    loop.turns.wake();
    await loop.settle();
    expect(loop.sleeps.map(({ ms, signal }) => [ms, signal?.aborted])).toEqual([
      [500, true],
      [2, false],
    ]);
  });

  test('a halted task is left alone, but for its ticks', async () => {
    const world = createTaskWorld([relay({ logic: 'stop' })]);
    world.write(raw, 900, { id: 'a', usd: '50' });
    world.write(raw, 920, { id: 'bad', ...NONE });
    world.tick(1_000);
    const run = world.start(new Map(), () => 1_000);
    run.deliver();
    const loop = open(run);
    await loop.settle();
    expect(run.task.halted).not.toBeNull();
    expect([loop.wanted, loop.sleeps.length]).toEqual([[], 0]);
    loop.repeats[0]?.();
    loop.repeats[0]?.();
    expect(world.ticks().slice(-2)).toEqual([920, 920]);
  });

  test('stop when they are stopped', async () => {
    const world = worldAt(100);
    const run = world.start();
    run.deliver();
    const loop = open(run);
    await loop.settle();
    loop.turns.stop();
    expect([loop.repeats.length, loop.sleeps[0]?.signal?.aborted]).toEqual([0, true]);
    await null;
    loop.turns.wake();
    expect(loop.soon.length).toBe(0);
  });
});
