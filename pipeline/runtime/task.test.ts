import { describe, expect, test } from 'vitest';
import { defineProcessor } from '#pipeline/processor.ts';
import { plan, raw } from '#pipeline/testing/fold-run.ts';
import { createTaskWorld, NONE, relay, side } from '#pipeline/testing/task-run.ts';

describe('a log timer', () => {
  test('fires once no input can have anything earlier, before what is of its time', () => {
    const world = createTaskWorld([relay()]);
    const run = world.start();
    world.write(raw, 100, { id: 'a', usd: '50' });
    world.write(raw, 148, { id: 'b', ...NONE });
    world.write(raw, 150, { id: 'c', ...NONE });
    world.tick(149, plan, side);
    run.deliver();
    expect(run.work()).toBe(2);
    expect(world.outputs()).toEqual(['a is 1 @100', 'b is 2 @148']);
    // Both of the others must have shown it.
    world.tick(150, plan);
    run.deliver();
    expect(run.work()).toBe(0);
    world.tick(150, side);
    run.deliver();
    expect(run.work(1)).toBe(1);
    expect(world.outputs().at(-1)).toBe('a due 150 at 150 @150');
    // The plan sorts before the record: of the same millisecond, a decision would come first.
    expect(run.work()).toBe(0);
    world.tick(151, plan);
    run.deliver();
    expect(run.work()).toBe(1);
    expect(world.outputs().at(-1)).toBe('c is 3 @150');
    expect([run.task.step, run.task.logTimeMs]).toEqual([4, 150]);
  });

  test('fires on quiet partitions, by ticks alone, at its own time and not at that of the tick', () => {
    const world = createTaskWorld([relay()]);
    const run = world.start();
    world.write(raw, 100, { id: 'a', usd: '50' });
    world.tick(5_000);
    run.deliver();
    expect(run.work()).toBe(2);
    expect(world.outputs()).toEqual(['a is 1 @100', 'a due 150 at 150 @150']);
  });

  test('that is set for what is past fires at once, at the present log time', () => {
    const world = createTaskWorld([relay()]);
    const run = world.start();
    world.write(raw, 100, { id: 'a', usd: '-90' });
    world.write(raw, 100, { id: 'b', ...NONE });
    world.tick(101);
    run.deliver();
    run.work();
    expect(world.outputs()).toEqual(['a is 1 @100', 'a due 10 at 100 @100', 'b is 2 @100']);
  });

  test('bounds what the task promises to its readers', () => {
    const world = createTaskWorld([relay()]);
    const run = world.start();
    world.write(raw, 100, { id: 'a', usd: '50' });
    world.write(raw, 400, { id: 'b', ...NONE });
    world.tick(101);
    run.deliver();
    run.work();
    run.task.emitTick(false);
    expect([world.ticks(), run.task.boundMs]).toEqual([[101], 101]);
    // Everything up to 300 is proven, but the timer of 150 has not fired yet.
    world.tick(300);
    run.deliver();
    expect(run.task.boundMs).toBe(150);
    run.task.emitTick(false);
    run.work();
    run.task.emitTick(false);
    // The tick stands behind what it covers.
    expect(world.written.map(({ topic, timestampMs }) => `${topic} ${timestampMs}`)).toEqual([
      'first 100',
      'control.relay.v1 101',
      'control.relay.v1 150',
      'first 150',
      'control.relay.v1 300',
    ]);
  });

  test('is waited for once the clock has reached it, until each input shows its very time', () => {
    const world = createTaskWorld([relay()]);
    let nowMs = 120;
    const run = world.start(new Map(), () => nowMs);
    world.write(raw, 100, { id: 'a', usd: '50' });
    world.tick(120);
    run.deliver();
    run.work();
    expect(run.task.blocked()).toBeNull();
    nowMs = 150;
    // A tick after 149 is enough.
    expect(run.task.blocked()).toMatchObject({ logTimeMs: 149, channel: { topic: 'plan' } });
    world.tick(150, plan, raw);
    run.deliver();
    expect(run.task.blocked()).toMatchObject({ logTimeMs: 149, channel: { topic: 'side' } });
    world.tick(150, side);
    run.deliver();
    run.work();
    expect(run.task.blocked()).toBeNull();
  });

  test('of a record that waits itself is not waited for before it', () => {
    const world = createTaskWorld([relay()]);
    const run = world.start(new Map(), () => 1_000);
    world.write(raw, 100, { id: 'a', usd: '50' });
    world.tick(120);
    run.deliver();
    run.work();
    world.write(raw, 130, { id: 'b', ...NONE });
    run.deliver();
    expect(run.task.blocked()).toMatchObject({ logTimeMs: 130 });
  });

  test('that is due together with others fires by processor and key', () => {
    const other = defineProcessor({ ...relay(), name: 'another' });
    const world = createTaskWorld([other]);
    const run = world.start();
    for (const id of ['z', 'é', '\u{1f40b}', 'a']) world.write(raw, 100, { id, usd: '50' });
    world.tick(1_000);
    run.deliver();
    run.work();
    expect(world.outputs().slice(4)).toEqual(
      ['a', 'z', 'é', '\u{1f40b}'].map((id) => `${id} due 150 at 150 @150`),
    );
  });
});

describe('the order of a task', () => {
  test('is by log time, then topic, whatever comes first and however it is cut', () => {
    const results = [1, 2, 1_000].map((limit) => {
      const world = createTaskWorld([relay()]);
      const run = world.start();
      world.write(side, 100, { id: 's1', usd: '1' });
      world.write(side, 101, { id: 's2', ...NONE });
      world.write(raw, 100, { id: 'r1', ...NONE });
      world.write(raw, 101, { id: 'r2', ...NONE });
      world.tick(200);
      for (let round = 0; round < 6; round += 1) {
        run.deliver(limit);
        for (let count = 0; count < 4; count += 1) run.work(limit);
      }
      return world.outputs();
    });
    expect(results[0]).toEqual([
      'r1 is 1 @100',
      's1 is 2 @100',
      's1 due 101 at 101 @101',
      'r2 is 3 @101',
      's2 is 4 @101',
    ]);
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
  });

  test('counts every record and timer as a step, also decisions of the plan, but no tick', () => {
    const world = createTaskWorld([relay()]);
    const run = world.start();
    world.write(plan, 90, { id: 'a decision' });
    world.write(raw, 100, { id: 'a', usd: '5' });
    world.tick(150);
    run.deliver();
    run.work();
    expect(run.task.step).toBe(3);
  });

  test('passes its progress on once, and again when it is asked to', () => {
    const world = createTaskWorld([relay()]);
    const run = world.start();
    run.task.emitTick(true);
    expect(world.ticks()).toEqual([]);
    world.tick(100);
    run.deliver();
    for (const repeat of [false, false, true]) run.task.emitTick(repeat);
    expect(world.ticks()).toEqual([100, 100]);
  });
});
