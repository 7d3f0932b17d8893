import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dealTasks, type Member, shareTasks, tasksOfShard } from './assignment.ts';
import type { TaskId } from './graph.ts';

const tasksOf = (sizes: readonly number[]): readonly TaskId[] =>
  sizes.flatMap((size, index) =>
    Array.from({ length: size }, (_, partition) => ({ subTopology: `s${index}`, partition })),
  );
const nameOf = ({ subTopology, partition }: TaskId) => `${subTopology}-${partition}`;
const names = (tasks: readonly TaskId[] | undefined) => (tasks ?? []).map(nameOf);
const sizesAtMost = (most: number) =>
  fc.array(fc.integer({ min: 1, max: most }), { minLength: 1, maxLength: 6 });
const spreadOf = (counts: readonly number[]) => Math.max(...counts) - Math.min(...counts);

describe('static shards', () => {
  test('run every task so many times, spread evenly over the shards and in each sub-topology', () => {
    fc.assert(
      fc.property(sizesAtMost(12), fc.integer({ min: 1, max: 7 }), fc.nat(), (sizes, of, more) => {
        const tasks = tasksOf(sizes);
        const copies = 1 + (more % of);
        const shares = Array.from({ length: of }, (_, index) =>
          tasksOfShard(tasks, { number: index + 1, of, copies }),
        );
        for (const task of tasks) expect(shares.filter((share) => share.includes(task))).toHaveLength(copies);
        expect(spreadOf(shares.map(({ length }) => length))).toBeLessThanOrEqual(1);
        for (const { subTopology } of tasks) {
          const counts = shares.map(
            (share) => share.filter((task) => task.subTopology === subTopology).length,
          );
          expect(spreadOf(counts)).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  test('put the copies of all tasks round the shards', () => {
    const tasks = tasksOf([3]);
    const shares = [1, 2, 3].map((number) => names(tasksOfShard(tasks, { number, of: 3, copies: 2 })));
    expect(shares).toEqual([
      ['s0-0', 's0-1'],
      ['s0-0', 's0-2'],
      ['s0-1', 's0-2'],
    ]);
  });
});

describe('members of a group', () => {
  const member = (id: string, running: readonly string[] = [], stored = running): Member => ({
    id,
    running: new Set(running),
    stored: new Set(stored),
  });

  test('share every task once, totals a task apart at most, in whatever order they are named', () => {
    const members = fc.array(fc.array(fc.nat({ max: 40 })), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(sizesAtMost(12), members, (sizes, claims) => {
        const tasks = tasksOf(sizes);
        const claimed = claims.map((numbers, index) =>
          member(`m${index}`, names(numbers.flatMap((number) => tasks[number] ?? []))),
        );
        const shares = shareTasks(tasks, claimed);
        expect([...shares.values()].flat().map(nameOf).sort()).toEqual(names(tasks).sort());
        expect(spreadOf([...shares.values()].map(({ length }) => length))).toBeLessThanOrEqual(1);
        expect(shareTasks(tasks, claimed.toReversed())).toEqual(shares);
      }),
    );
  });

  test('keep what they run when one leaves, and when one comes only what it takes over moves', () => {
    fc.assert(
      fc.property(sizesAtMost(12), fc.integer({ min: 2, max: 6 }), (sizes, count) => {
        const tasks = tasksOf(sizes);
        const fresh = Array.from({ length: count }, (_, index) => member(`m${index}`));
        const before = shareTasks(tasks, fresh);
        const running = fresh.map(({ id }) => member(id, names(before.get(id))));
        expect(shareTasks(tasks, running)).toEqual(before);
        const after = shareTasks(tasks, [...running, member('new')]);
        const moved = tasks.filter(
          (task) =>
            !running.some(({ id, running: had }) => had.has(nameOf(task)) && after.get(id)?.includes(task)),
        );
        // Spreading each sub-topology may move a few more than the newcomer takes.
        expect(moved.length).toBeLessThanOrEqual((after.get('new')?.length ?? 0) + sizes.length);
      }),
    );
  });

  test('take a task over where its state rests', () => {
    const tasks = tasksOf([3]);
    const shares = shareTasks(tasks, [
      member('a', ['s0-0']),
      member('b', ['s0-1']),
      member('c', [], ['s0-2']),
      member('d'),
    ]);
    expect(names(shares.get('c'))).toEqual(['s0-2']);
    expect(names(shares.get('d'))).toEqual([]);
  });
});

describe('threads of a process', () => {
  const nothing = (threads: number): readonly (readonly TaskId[])[] =>
    Array.from({ length: threads }, () => []);

  test('run every task once, spread evenly, and in each sub-topology too', () => {
    fc.assert(
      fc.property(sizesAtMost(12), fc.integer({ min: 1, max: 12 }), (sizes, threads) => {
        const tasks = tasksOf(sizes);
        const shares = dealTasks(tasks, nothing(threads));
        expect(shares.flat().map(nameOf).sort()).toEqual(names(tasks).sort());
        expect(spreadOf(shares.map(({ length }) => length))).toBeLessThanOrEqual(1);
        for (const [index, size] of sizes.entries())
          for (const share of shares)
            expect(share.filter(({ subTopology }) => subTopology === `s${index}`).length).toBeLessThanOrEqual(
              Math.ceil(size / threads),
            );
      }),
    );
  });

  test('are dealt what their process has, whatever the others have', () => {
    const own = tasksOfShard(tasksOf([4, 4]), { number: 1, of: 2, copies: 1 });
    expect(dealTasks(own, nothing(2)).map(names)).toEqual([
      ['s0-0', 's1-0'],
      ['s0-2', 's1-2'],
    ]);
  });

  test('keep their tasks when more come', () => {
    const before = dealTasks(tasksOf([2]), nothing(2));
    const after = dealTasks(tasksOf([4]), before);
    for (const [index, share] of before.entries())
      expect(names(after[index])).toEqual(expect.arrayContaining(names(share)));
  });
});
