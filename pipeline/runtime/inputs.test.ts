import { describe, expect, test } from 'vitest';
import { dlq, first, plan, raw } from '#pipeline/testing/fold-run.ts';
import { createTaskWorld, NONE, relay, side } from '#pipeline/testing/task-run.ts';
import { createInputs } from './inputs.ts';

/** Records of a partition as a fetch would bring them. */
function open(maxWaitingBytes = 1_000_000) {
  const world = createTaskWorld([relay()]);
  const [one, copy] = [world.start(), world.start()];
  const inputs = createInputs({
    physicalName: (name) => `test-${name}`,
    maxWaitingBytes,
  });
  for (const { task } of [one, copy]) inputs.add(task);
  const calls: string[] = [];
  const balance = (): readonly string[] => {
    calls.length = 0;
    inputs.balance({
      pause: (topic, partition) => calls.push(`pause ${topic}/${partition}`),
      resume: (topic, partition) => calls.push(`resume ${topic}/${partition}`),
    });
    return [...calls];
  };
  return { world, one, copy, inputs, balance };
}

describe('the inputs of a process', () => {
  test('are fetched once, whoever reads them', () => {
    const { world, one, copy, inputs } = open();
    expect(inputs.all.map(({ physical, readers }) => [physical, readers.length])).toEqual([
      ['test-plan', 2],
      ['test-raw', 2],
      ['test-side', 2],
    ]);
    world.write(raw, 100, { id: 'a', ...NONE });
    expect(inputs.take('test-raw', 0, world.records(raw), 1)).toBe(true);
    expect([one.task.waiting, copy.task.waiting]).toEqual([1, 1]);
    expect(inputs.take(`test-${dlq.name}`, 0, [], 1)).toBe(false);
    expect(inputs.take(`test-${first.name}`, 0, [], 1)).toBe(false);
  });

  test('lag by what waits and by what is still in the partition', () => {
    const { world, one, copy, inputs } = open();
    for (const id of ['a', 'b', 'c']) world.write(raw, 100, { id, ...NONE });
    inputs.take('test-raw', 0, world.records(raw).slice(0, 2), 3);
    expect([inputs.lag(one.task), inputs.lag(copy.task)]).toEqual([3, 3]);
    world.tick(200, plan, side);
    for (const topic of [plan, side]) inputs.take(`test-${topic.name}`, 0, world.records(topic), 1);
    one.work();
    expect([inputs.lag(one.task), inputs.lag(copy.task)]).toEqual([1, 3]);
  });

  test('pause when enough waits, and go on when little does', () => {
    const { world, one, copy, inputs, balance } = open(100);
    for (const id of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) world.write(raw, 100, { id, ...NONE });
    inputs.take('test-raw', 0, world.records(raw), 8);
    const waiting = one.task.inbounds.find(({ topic }) => topic === raw.name)?.waitingBytes ?? 0;
    expect(waiting).toBeGreaterThan(100);
    expect([balance(), balance()]).toEqual([['pause test-raw/0'], []]);
    world.tick(200, plan, side);
    for (const topic of [plan, side]) inputs.take(`test-${topic.name}`, 0, world.records(topic), 1);
    // Both still have some: half of the bound, and it goes on.
    for (const run of [one, copy]) run.work(6);
    expect(balance()).toEqual(['resume test-raw/0']);
  });

  test('go on where they are for a reader that is as far, and go back for one that is behind', () => {
    const { world, one, inputs } = open();
    for (const id of ['a', 'b', 'c']) world.write(raw, 100, { id, ...NONE });
    inputs.take('test-raw', 0, world.records(raw), 3);
    const ahead = world.start();
    for (const topic of [raw, plan, side]) ahead.task.accept(topic.name, 0, world.records(topic));
    expect(inputs.add(ahead.task)).toEqual([]);
    const behind = world.start();
    expect(inputs.add(behind.task)).toEqual([{ physical: 'test-raw', partition: 0, offset: 0 }]);
    inputs.take('test-raw', 0, world.records(raw), 3);
    expect([one.task.waiting, ahead.task.waiting, behind.task.waiting]).toEqual([3, 3, 3]);
  });

  test('end with their last reader', () => {
    const { world, one, copy, inputs } = open();
    expect(inputs.remove(one.task)).toEqual([]);
    expect(inputs.remove(copy.task).map(({ physical }) => physical)).toEqual([
      'test-plan',
      'test-raw',
      'test-side',
    ]);
    expect(inputs.all).toEqual([]);
    world.write(raw, 100, { id: 'a', ...NONE });
    expect(inputs.take('test-raw', 0, world.records(raw), 1)).toBe(false);
  });

  test('are not held back from a reader that has nothing left, however much another has', () => {
    const { world, one, copy, inputs, balance } = open(10);
    for (const id of ['a', 'b', 'c']) world.write(raw, 100, { id, ...NONE });
    world.tick(200, plan, side);
    for (const topic of [plan, raw, side]) inputs.take(`test-${topic.name}`, 0, world.records(topic), 3);
    expect(balance()).toEqual(['pause test-raw/0']);
    one.work();
    expect([copy.task.waiting, balance()]).toEqual([3, ['resume test-raw/0']]);
  });
});
