import { describe, expect, test } from 'vitest';
import { isPipelineError } from '#pipeline/errors.ts';
import { raw } from '#pipeline/testing/fold-run.ts';
import { createTaskWorld, NONE, relay, side } from '#pipeline/testing/task-run.ts';
import { Gate, type Mark } from './gate.ts';
import { digestOf, type Skip, skipName } from './skips.ts';

const LIVE = { fingerprint: 'one', epoch: 1, startOffsets: new Map<string, number>(), versions: [] };

/** Three records at 10, 20 and 30; the middle one has a timer due at 25. */
const createWorld = () => {
  const world = createTaskWorld([relay()]);
  world.write(raw, 10, { id: 'a', ...NONE });
  world.write(raw, 20, { id: 'b', usd: '5' });
  world.write(side, 30, { id: 'c', ...NONE });
  world.tick(50);
  const record = world.records(raw)[1];
  const skip: Skip = {
    ...{ writer: 'relay-0', processor: 'relay', place: 'raw/0/1', step: 1, logTimeMs: 20 },
    digest: digestOf(20, record?.key ?? null, record?.value ?? null),
  };
  const run = (skips: readonly Skip[], genesis = LIVE) => {
    const start = world.start(new Map(), undefined, { skips, genesis });
    start.deliver();
    return start;
  };
  return { ...world, skip, record, run };
};

describe('what the plan passes over', () => {
  test('is put aside with its bytes, counts as a step, and leaves no trace in state and timers', () => {
    const { run, skip, record, outputs, letters } = createWorld();
    const { task, work } = run([skip]);
    expect(work()).toBe(3);
    expect(task.step).toBe(3);
    expect(outputs()).toEqual(['a is 1 @10', 'c is 2 @30']);
    expect(letters()).toMatchObject([
      { place: 'raw/0/1', component: 'relay', code: 'POISON_SKIPPED', key: 'ETH', body: record?.value },
    ]);
  });

  test('is another record where the bytes, the processor or the task differ', () => {
    for (const change of [{ digest: '00000000' }, { processor: 'other' }, { writer: 'relay-1' }]) {
      const { run, skip, outputs, letters } = createWorld();
      run([{ ...skip, ...change }]).work();
      expect(outputs()).toContain('b is 2 @20');
      expect(letters()).toEqual([]);
    }
  });

  test('is not even decoded where the decision names no processor', () => {
    const { run, skip, outputs, letters } = createWorld();
    run([{ ...skip, processor: '' }]).work();
    expect(outputs()).toEqual(['a is 1 @10', 'c is 2 @30']);
    expect(letters()).toMatchObject([{ place: 'raw/0/1', component: 'relay', code: 'POISON_SKIPPED' }]);
  });

  test('may be a timer', () => {
    const { run, skip, outputs, letters } = createWorld();
    const digest = digestOf(25, Buffer.from('b'), null);
    run([{ ...skip, place: 'relay/due/b@25', step: 2, logTimeMs: 25, digest }]).work();
    expect(outputs()).toEqual(['a is 1 @10', 'b is 2 @20', 'c is 3 @30']);
    expect(letters()).toMatchObject([{ place: 'relay/due/b@25', code: 'POISON_SKIPPED', key: 'b' }]);
  });

  test('may fire again at its log time: then it is passed over again, and nothing is asked once time has gone on', () => {
    const digest = digestOf(25, Buffer.from('b'), null);
    const skip: Skip = {
      ...{ writer: 'w', processor: 'p', place: 'p/due/b@20', step: 2, logTimeMs: 25 },
      digest,
    };
    const gate = new Gate({
      ...{ writer: 'w', isLive: true, skipped: [skipName(skip)] },
      at: () => ({ step: 4, sequences: {} }),
    });
    gate.learn(skip);
    const enter = (logTimeMs: number): boolean =>
      gate.enter('p', skip.place, logTimeMs, Buffer.from('b'), null);
    for (let times = 0; times < 2; times += 1) {
      expect(enter(25)).toBe(true);
      gate.leave(true);
    }
    expect(gate.isActive).toBe(true);
    expect(enter(26)).toBe(false);
    expect(gate.isActive).toBe(false);
    expect(gate.skipped).toEqual([skipName(skip)]);
  });

  test('is known to a later start through its checkpoint', () => {
    const world = createWorld();
    const first = world.run([world.skip]);
    first.work();
    first.checkpoint();
    expect(first.task.contents().skipped).toHaveLength(1);
    const again = world.start(first.disk, undefined, { skips: [world.skip], genesis: LIVE });
    expect(again.task.contents().skipped).toEqual(first.task.contents().skipped);
  });

  test('stops whoever has folded it, be it this start or the state that it goes on from', () => {
    const world = createWorld();
    const first = world.run([]);
    first.work(1);
    expect(() => first.task.learn(world.skip)).not.toThrow();
    const second = world.run([]);
    second.work(2);
    const forked = (work: () => void) => {
      try {
        work();
      } catch (error) {
        return isPipelineError(error, 'STREAM_FORKED');
      }
      return false;
    };
    expect(forked(() => second.task.learn(world.skip))).toBe(true);
    second.checkpoint();
    const options = { skips: [world.skip], genesis: LIVE };
    expect(forked(() => world.start(second.disk, undefined, options))).toBe(true);
  });
});

describe('marks', () => {
  test('stand while logic works, name it, and say what the task had written before', () => {
    const { run, record } = createWorld();
    const { task, work } = run([]);
    const marks: (Mark | null)[] = [];
    task.mark({ before: (mark) => marks.push(mark), after: () => marks.push(null) });
    expect(work(2)).toBe(2);
    const base = { writer: 'relay-0', place: 'raw/0/1', step: 1, logTimeMs: 20, sequences: { 'first/0': 1 } };
    const digest = digestOf(20, record?.key ?? null, record?.value ?? null);
    const own = marks.slice(marks.indexOf(null) + 1);
    expect(own[0]).toEqual({ ...base, processor: '', digest });
    expect(own).toContainEqual({ ...base, processor: 'relay', digest });
    expect(own.at(-1)).toBeNull();
    marks.length = 0;
    task.mark(null);
    work();
    expect(marks).toEqual([]);
  });
});
