import { describe, expect, test } from 'vitest';
import { type Channel, createChannel } from '#pipeline/merge/channel.ts';
import type { Blocked } from '#pipeline/merge/merge.ts';
import { FoldFailure } from './fold.ts';
import type { Task } from './task.ts';
import { causeOf, type TaskWait, watchWaits } from './waits.ts';

/** The part of a task that is looked at. */
interface Looked {
  writer: string;
  step: number;
  boundMs: number;
  halted: FoldFailure | null;
  waitsFor: Blocked | null;
  slowest: Channel | null;
}
const looked = (writer: string): Looked => ({
  ...{ writer, step: 1, boundMs: 7, halted: null },
  waitsFor: null,
  slowest: null,
});
/** Only these members are used. */
const asTask = (one: Looked): Task =>
  ({
    get writer() {
      return one.writer;
    },
    get step() {
      return one.step;
    },
    get halted() {
      return one.halted;
    },
    get boundMs() {
      return one.boundMs;
    },
    get slowest() {
      return one.slowest;
    },
    blocked: () => one.waitsFor,
  }) as unknown as Task;

function watched(...tasks: readonly Looked[]) {
  let nowMs = 0;
  const ticks: (() => void)[] = [];
  const waits = watchWaits({
    tasks: tasks.map(asTask),
    clock: {
      nowMs: () => nowMs,
      every: (_, tick) => {
        ticks.push(tick);
        return () => ticks.splice(0);
      },
    },
  });
  const pass = (ms: number): void => {
    for (let left = ms; left > 0; left -= 500) {
      nowMs += Math.min(500, left);
      for (const tick of ticks) tick();
    }
  };
  return { waits, pass, ticks };
}

const onWriter: Blocked = { logTimeMs: 42, channel: createChannel('chain', 2, 'evm-1') };
const onPartition: Blocked = { logTimeMs: 42, channel: createChannel('raw', 0, '') };

describe('waits', () => {
  test('show every task, and for how long it has waited for whom', () => {
    const task = looked('detect-0');
    const { waits, pass } = watched(task, looked('detect-1'));
    const idle = { halted: null, waitsFor: null, writer: null, logTimeMs: null, sinceMs: null };
    task.slowest = onPartition.channel;
    expect(waits.list()).toEqual([
      { task: 'detect-0', ...idle, slowest: { name: 'raw/0', writer: null } },
      { task: 'detect-1', ...idle, slowest: null },
    ]);
    pass(1_000);
    task.waitsFor = onWriter;
    pass(3_000);
    expect(waits.list()[0]).toEqual({
      task: 'detect-0',
      halted: null,
      waitsFor: 'chain/2/evm-1',
      writer: 'evm-1',
      logTimeMs: 42,
      sinceMs: 1_500,
      slowest: null,
    });
    // Whom it waits for may change: it has made no step meanwhile.
    task.waitsFor = onPartition;
    expect(waits.list()[0]).toMatchObject({ waitsFor: 'raw/0', writer: null, sinceMs: 1_500 });
  });

  test('begin anew with each step', () => {
    const task = looked('detect-0');
    task.waitsFor = onPartition;
    const { waits, pass } = watched(task);
    pass(2_000);
    task.step += 1;
    pass(1_000);
    expect(waits.list()[0]?.sinceMs).toBe(2_500);
    task.waitsFor = null;
    pass(500);
    task.waitsFor = onPartition;
    pass(500);
    expect(waits.list()[0]?.sinceMs).toBe(4_000);
  });

  test('show where a halted task stays, and why', () => {
    const task = looked('evm-1');
    task.halted = new FoldFailure('stop', 'raw/1/332', new TypeError('no such field'));
    const { waits, pass, ticks } = watched(task);
    pass(1_000);
    expect(waits.list()).toEqual([
      {
        task: 'evm-1',
        halted: { place: 'raw/1/332', cause: 'no such field' },
        waitsFor: null,
        writer: null,
        logTimeMs: 7,
        sinceMs: 500,
        slowest: null,
      },
    ]);
    waits.stop();
    expect(ticks).toEqual([]);
  });
});

describe('the cause of a wait', () => {
  const wait = (task: string, on: Partial<TaskWait> = {}): TaskWait => ({
    task,
    halted: null,
    waitsFor: null,
    writer: null,
    logTimeMs: 1,
    sinceMs: 1,
    slowest: null,
    ...on,
  });
  const forWriter = (writer: string) => ({ waitsFor: `chain/0/${writer}`, writer });

  test.each<readonly [string, readonly TaskWait[], object | null]>([
    ['nothing', [wait('a')], null],
    [
      'a raw partition',
      [wait('a', { waitsFor: 'raw/0' })],
      { kind: 'partition', name: 'raw/0', path: ['a'] },
    ],
    [
      'a raw partition that another task waits for',
      [wait('a', forWriter('b')), wait('b', { waitsFor: 'raw/0' })],
      { kind: 'partition', name: 'raw/0', path: ['a', 'b'] },
    ],
    [
      'a halted task, two hops away',
      [
        wait('a', forWriter('b')),
        wait('b', forWriter('c')),
        wait('c', { halted: { place: 'p', cause: 'q' } }),
      ],
      { kind: 'halted', name: 'c', path: ['a', 'b', 'c'] },
    ],
    [
      'itself, when it is halted',
      [wait('a', { halted: { place: 'p', cause: 'q' } })],
      { kind: 'halted', name: 'a' },
    ],
    ['a task that has much to do', [wait('a', forWriter('b')), wait('b')], { kind: 'busy', name: 'b' }],
    [
      'a raw partition of which a task hears nothing, while nothing waits in it',
      [
        wait('a', forWriter('b')),
        wait('b', { slowest: { name: 'chain/0/c', writer: 'c' } }),
        wait('c', { slowest: { name: 'raw/1', writer: null } }),
      ],
      { kind: 'silent', name: 'raw/1', path: ['a', 'b', 'c'] },
    ],
    ['a task of another process', [wait('a', forWriter('z'))], { kind: 'busy', name: 'z' }],
    [
      'tasks that moved while the list was made',
      [wait('a', forWriter('b')), wait('b', forWriter('a'))],
      { kind: 'busy', name: 'a' },
    ],
  ])('is %s', (_, waits, cause) => {
    const found = causeOf('a', waits);
    if (cause === null) expect(found).toBeNull();
    else expect(found).toMatchObject(cause);
  });
});
