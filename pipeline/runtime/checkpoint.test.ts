import { describe, expect, test } from 'vitest';
import { isPipelineError } from '#pipeline/errors.ts';
import { META_KEY } from '#pipeline/state/task-state.ts';
import { raw } from '#pipeline/testing/fold-run.ts';
import { createTaskWorld, NONE, relay } from '#pipeline/testing/task-run.ts';
import { readCheckpoint } from './checkpoint.ts';

describe('a checkpoint', () => {
  const open = () => {
    const world = createTaskWorld([relay()]);
    const run = world.start();
    world.write(raw, 100, { id: 'a', usd: '50' });
    world.write(raw, 110, { id: 'b', ...NONE });
    world.tick(120);
    run.deliver();
    return { world, run };
  };

  test('comes true in one order: outputs, changelog, local', () => {
    const { world, run } = open();
    run.work();
    expect(run.checkpoint()).toEqual(['outputs', 'changelog', 'local']);
    expect(run.log).toMatchObject({ lastStep: 2, groups: 1 });
    expect(readCheckpoint(run.disk.get(META_KEY), 'one')).toEqual(run.task.contents());
    expect(world.restored()).toEqual(run.disk);
    expect(run.log.bytesSinceSnapshot).toBe(
      world.changelog.reduce((sum, { value }) => sum + (value?.length ?? 0), 0),
    );
  });

  test('says nothing before what it rests on has come true', () => {
    const { world, run } = open();
    run.work();
    expect(run.checkpoint('capture')).toEqual([]);
    expect([world.changelog.length, run.disk.size]).toEqual([0, 0]);
    const second = world.start();
    second.deliver();
    second.work();
    expect(second.checkpoint('outputs')).toEqual(['outputs']);
    expect([world.changelog.length, second.disk.size]).toEqual([0, 0]);
    const third = world.start();
    third.deliver();
    third.work();
    expect(third.checkpoint('changelog')).toEqual(['outputs', 'changelog']);
    expect([world.changelog.length > 0, third.disk.size, third.log.lastStep]).toEqual([true, 0, 0]);
  });

  test('is of one moment, though folding goes on while it is taken', () => {
    const { world, run } = open();
    run.work(1);
    const before = run.task.contents();
    const original = run.log.producer.append;
    // Folds on as soon as the first of the changelog is written.
    Object.assign(run.log.producer, {
      append: (...args: Parameters<typeof original>) => {
        run.work();
        original(...args);
      },
    });
    run.checkpoint();
    expect(run.task.step).toBe(2);
    expect(readCheckpoint(run.disk.get(META_KEY), 'one')).toEqual(before);
    expect([...run.disk].filter(([key]) => key.includes('counts')).map(([, text]) => text)).toEqual(['1']);
    expect(run.log.lastStep).toBe(1);
    Object.assign(run.log.producer, { append: original });
    // The next one begins where this one ended.
    run.checkpoint();
    expect(world.restored()).toEqual(run.disk);
    expect([...run.disk].filter(([key]) => key.includes('counts')).map(([, text]) => text)).toEqual(['2']);
  });

  test('of a task that did nothing since the last one is none', () => {
    const { world, run } = open();
    expect(run.checkpoint()).toEqual([]);
    run.work();
    run.checkpoint();
    const records = world.changelog.length;
    world.tick(130);
    run.deliver();
    run.work();
    expect(run.checkpoint()).toEqual([]);
    expect(world.changelog.length).toBe(records);
  });

  test('without a changelog, as in a replay, is local alone', () => {
    const { world, run } = open();
    run.work();
    Object.assign(run.log, { topic: null });
    expect(run.checkpoint()).toEqual(['outputs', 'local']);
    expect(world.changelog).toEqual([]);
    expect(run.disk.get(META_KEY)).toBeDefined();
  });

  test('of a halted task holds what it did before', () => {
    const world = createTaskWorld([relay({ logic: 'stop' })]);
    const run = world.start();
    world.write(raw, 100, { id: 'a', ...NONE });
    world.write(raw, 110, { id: 'bad', ...NONE });
    world.tick(120);
    run.deliver();
    run.work();
    run.checkpoint();
    const again = world.start(run.disk);
    again.deliver();
    again.work();
    expect(again.task.halted?.place).toBe('raw/0/1');
    expect(again.task.step).toBe(1);
  });

  test('is read back, or refused when it is of another version or no JSON', () => {
    const { run } = open();
    run.work();
    const text = JSON.stringify(run.task.contents());
    expect(readCheckpoint(undefined, 'one')).toBeNull();
    expect(readCheckpoint(text, 'one')).toEqual(run.task.contents());
    const codeOf = (meta: string, fingerprint: string) => {
      try {
        return readCheckpoint(meta, fingerprint);
      } catch (error) {
        return isPipelineError(error) ? error.code : error;
      }
    };
    expect(codeOf(text, 'two')).toBe('FINGERPRINT_CHANGED');
    expect(codeOf(text.slice(1), 'one')).toBe('STATE_UNREADABLE');
  });
});
