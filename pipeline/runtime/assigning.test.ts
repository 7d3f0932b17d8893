import { describe, expect, test, vi } from 'vitest';
import { PipelineError } from '#pipeline/errors.ts';
import { silentLog } from '#pipeline/telemetry/log.ts';
import { createAssignment } from './assigning.ts';
import type { KeptTask } from './checkpoints.ts';
import type { TaskId } from './graph.ts';
import type { Opened } from './open-task.ts';

const id = (partition: number): TaskId => ({ subTopology: 's', partition });

/** Tasks that are names only, opened and left when the test says so. */
function open() {
  const kept: KeptTask[] = [];
  const events: string[] = [];
  const failures: unknown[] = [];
  const gates = new Map<string, PromiseWithResolvers<void>>();
  const gate = (name: string): PromiseWithResolvers<void> => {
    const found = gates.get(name) ?? Promise.withResolvers<void>();
    gates.set(name, found);
    return found;
  };
  let holds = false;
  /** What a task says of its state instead of being opened. */
  const said = new Map<number, 'early' | 'over'>();
  const assignment = createAssignment({
    kept,
    clock: {
      nowMs: () => 0,
      sleep: () => new Promise<void>((wake) => setImmediate(wake)),
      every: () => () => {},
      soon: () => {},
    },
    log: silentLog,
    fail: (error) => failures.push(error),
    prepare: async () => void events.push('prepare'),
    open: async ({ partition }): Promise<Opened> => {
      events.push(`open ${partition}`);
      if (holds) await gate(`open ${partition}`).promise;
      const word = said.get(partition);
      if (word !== undefined) return word;
      // Only these members are used.
      return { task: { writer: `s-${partition}` } } as unknown as KeptTask;
    },
    enter: (one) => {
      events.push(`enter ${one.task.writer}`);
      kept.push(one);
    },
    leave: async (one) => {
      events.push(`leave ${one.task.writer}`);
      if (holds) await gate(`leave ${one.task.writer}`).promise;
      kept.splice(kept.indexOf(one), 1);
    },
    changed: () => {},
  });
  const names = () => kept.map(({ task }) => task.writer).sort();
  return {
    assignment,
    events,
    failures,
    gate,
    names,
    said,
    hold: () => {
      holds = true;
    },
  };
}

describe('the tasks of a process', () => {
  test('leave before others come, and what stays is not touched', async () => {
    const { assignment, events, names } = open();
    await assignment.assign([id(0), id(1)]);
    events.length = 0;
    await assignment.assign([id(1), id(2)]);
    expect(events).toEqual(['leave s-0', 'prepare', 'open 2', 'enter s-2']);
    expect(names()).toEqual(['s-1', 's-2']);
  });

  test('are those of the last call, however many came while one was under way', async () => {
    const { assignment, events, names, hold, gate } = open();
    await assignment.assign([id(0)]);
    hold();
    const calls = [[id(1)], [id(2), id(3)], [id(0), id(4)]].map(assignment.assign);
    for (const name of ['leave s-0', 'open 0', 'open 4']) gate(name).resolve();
    await Promise.all(calls);
    expect(names()).toEqual(['s-0', 's-4']);
    expect(events.filter((event) => /^open [123]$/.test(event))).toEqual([]);
  });

  test('are opened again and again while Kafka is away, once processing runs', async () => {
    const { assignment, names, hold, gate, events, failures } = open();
    await assignment.assign([]);
    hold();
    const away = new PipelineError('KAFKA_UNAVAILABLE', 'away');
    const first = gate('open 1');
    const done = assignment.assign([id(1)]);
    await vi.waitFor(() => expect(events).toContain('open 1'));
    // Whoever asks next finds an open gate.
    first.promise.catch(() => Object.assign(first, { promise: Promise.resolve() }));
    first.reject(away);
    await done;
    expect(names()).toEqual(['s-1']);
    expect(events.filter((event) => event === 'open 1').length).toBeGreaterThan(1);
    expect(failures).toEqual([]);
  });

  test('that are not at the cut yet come when they are, and hold nobody up', async () => {
    const { assignment, names, said } = open();
    for (const early of [0, 1, 2, 3]) said.set(early, 'early');
    const done = assignment.assign([id(0), id(1), id(2), id(3), id(4)]);
    await vi.waitFor(() => expect(names()).toEqual(['s-4']));
    expect(assignment.isSettled).toBe(false);
    said.clear();
    await done;
    expect(names()).toEqual(['s-0', 's-1', 's-2', 's-3', 's-4']);
    expect(assignment.isSettled).toBe(true);
  });

  test('are waited for no more once others are wanted, or at the stop', async () => {
    const { assignment, names, said, events } = open();
    await assignment.assign([id(0)]);
    said.set(1, 'early');
    const waiting = assignment.assign([id(0), id(1)]);
    await vi.waitFor(() => expect(events).toContain('open 1'));
    await assignment.assign([id(2)]);
    await waiting;
    expect(names()).toEqual(['s-2']);
    const again = assignment.assign([id(1), id(2)]);
    await assignment.stop();
    await again;
    expect(names()).toEqual(['s-2']);
    expect(assignment.isSettled).toBe(false);
  });

  test('that a later version has gone on with are counted, among those wanted last', async () => {
    const { assignment, names, said } = open();
    said.set(0, 'over');
    await assignment.assign([id(0), id(1)]);
    expect([assignment.isSettled, assignment.over, names()]).toEqual([true, 1, ['s-1']]);
    await assignment.assign([id(1)]);
    expect(assignment.over).toBe(0);
  });

  test('that cannot be opened fail the start, and later end processing', async () => {
    const broken = new PipelineError('STATE_UNREADABLE', 'broken');
    const start = open();
    start.hold();
    start.gate('open 0').reject(broken);
    await expect(start.assignment.assign([id(0)])).rejects.toBe(broken);
    expect(start.failures).toEqual([]);

    const later = open();
    await later.assignment.assign([id(1)]);
    later.hold();
    later.gate('open 0').reject(broken);
    await later.assignment.assign([id(0), id(1)]);
    expect(later.failures).toEqual([broken]);
    expect(later.names()).toEqual(['s-1']);
  });

  test('change no more after the stop', async () => {
    const { assignment, names, events, hold, gate } = open();
    await assignment.assign([id(0)]);
    hold();
    const under = assignment.assign([id(0), id(1), id(2), id(3), id(4), id(5)]);
    await vi.waitFor(() => expect(events).toContain('open 4'));
    const stopped = assignment.stop();
    for (const number of [1, 2, 3, 4]) gate(`open ${number}`).resolve();
    await Promise.all([under, stopped, assignment.assign([])]);
    // What was being opened is open, so that its folder can be closed.
    expect(names()).toEqual(['s-0', 's-1', 's-2', 's-3', 's-4']);
  });
});
