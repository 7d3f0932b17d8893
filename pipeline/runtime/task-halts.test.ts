import { describe, expect, test } from 'vitest';
import { raw } from '#pipeline/testing/fold-run.ts';
import { createTaskWorld, NONE, relay } from '#pipeline/testing/task-run.ts';
import { FoldFailure } from './fold.ts';

describe('a record that stops its task', () => {
  const halt = () => {
    const world = createTaskWorld([relay({ logic: 'stop' })]);
    const run = world.start();
    world.write(raw, 100, { id: 'a', usd: '500' });
    world.write(raw, 110, { id: 'bad', usd: '1', eventTimeMs: 5_000 });
    world.write(raw, 120, { id: 'c', ...NONE });
    world.tick(300);
    run.deliver();
    run.work();
    return { world, run };
  };

  test('leaves nothing of itself, and everything before it', () => {
    const { world, run } = halt();
    expect(run.task.halted).toBeInstanceOf(FoldFailure);
    expect(run.task.halted).toMatchObject({ mode: 'stop', place: 'raw/0/1' });
    expect([world.outputs(), world.letters()]).toEqual([['a is 1 @100'], []]);
    expect(run.task).toMatchObject({ step: 1, logTimeMs: 100, waiting: 2 });
    expect(run.task.state.timers.all().map(({ key }) => key)).toEqual(['a', 'a']);
    const contents = run.task.contents();
    expect(contents).toMatchObject({
      step: 1,
      streamTimes: { relay: 1 },
      channels: { 'raw/0/': { sequence: 0 } },
      inputs: { 'raw/0': { offset: 1 } },
      destinations: { 'first/0': { sequence: 1 } },
    });
  });

  test('keeps its bound, so that those behind it wait, and takes nothing more in', () => {
    const { world, run } = halt();
    run.task.emitTick(false);
    world.write(raw, 400, { id: 'd', ...NONE });
    world.tick(1_000);
    run.deliver();
    expect([run.work(), run.task.boundMs, run.task.waiting, run.task.blocked()]).toEqual([0, 110, 2, null]);
    run.task.emitTick(false);
    run.task.emitTick(true);
    expect(world.ticks()).toEqual([110, 110]);
  });

  test('is folded once its logic is corrected, from the last checkpoint, as if nothing had been', () => {
    const { world, run } = halt();
    run.checkpoint();
    const fixed = createTaskWorld([relay({ logic: 'stop' }, true)]);
    fixed.write(raw, 100, { id: 'a', usd: '500' });
    fixed.write(raw, 110, { id: 'bad', usd: '1', eventTimeMs: 5_000 });
    fixed.write(raw, 120, { id: 'c', ...NONE });
    fixed.tick(300);
    const whole = fixed.start();
    whole.deliver();
    whole.work();
    const expected = fixed.outputs();
    expect(expected).toEqual(['a is 1 @100', 'bad is 2 @110', 'bad due 111 at 111 @111', 'c is 3 @120']);
    fixed.written.length = 0;
    const again = fixed.start(run.disk);
    again.deliver();
    again.work();
    expect([...world.outputs(), ...fixed.outputs()]).toEqual(expected);
    expect(again.task.contents()).toEqual(whole.task.contents());
  });

  test('may be a timer: it stays set, and bounds the task', () => {
    const timers = relay({ logic: 'stop' });
    const throwing = {
      ...timers,
      onTimer: {
        due: () => {
          throw new Error('in the timer');
        },
      },
    };
    const world = createTaskWorld([throwing]);
    const run = world.start();
    world.write(raw, 100, { id: 'a', usd: '50' });
    world.write(raw, 200, { id: 'b', ...NONE });
    world.tick(300);
    run.deliver();
    run.work();
    expect(run.task.halted?.place).toBe('relay/due/a@150');
    expect(run.task).toMatchObject({ step: 1, logTimeMs: 100, boundMs: 150 });
    expect(run.task.state.timers.nextLogMs).toBe(150);
  });

  test('may be bytes that are no value', () => {
    const world = createTaskWorld([relay({ decode: 'stop' })]);
    const run = world.start();
    world.writeBroken(raw, 100);
    world.tick(200);
    run.deliver();
    expect([run.work(), run.task.halted?.place]).toEqual([0, 'raw/0/0']);
  });
});

test('a record that ends the process leaves nothing of itself and throws', () => {
  const world = createTaskWorld([relay({ logic: 'fail' })]);
  const run = world.start();
  world.write(raw, 100, { id: 'a', ...NONE });
  world.write(raw, 110, { id: 'bad', usd: '1' });
  world.tick(300);
  run.deliver();
  expect(() => run.work()).toThrow('raw/0/1: bad');
  expect(run.task).toMatchObject({ step: 1, logTimeMs: 100, halted: null });
  expect([world.outputs(), world.letters()]).toEqual([['a is 1 @100'], []]);
});
