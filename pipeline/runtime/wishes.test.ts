import { describe, expect, test } from 'vitest';
import type { Entry, KafkaRecord } from '#pipeline/kafka/types.ts';
import { createMetrics } from '#pipeline/telemetry/metrics.ts';
import { graphs } from '#pipeline/testing/simulation/topology.ts';
import { createControl } from './control.ts';
import type { TaskId } from './graph.ts';
import { type ControlTick, readControlTick } from './outputs.ts';
import type { Task } from './task.ts';
import { createWishes, readWish, waitOnOthers } from './wishes.ts';

const recordOf = (value: unknown): KafkaRecord => ({
  offset: 0,
  timestampMs: 0,
  key: null,
  value: Buffer.from(JSON.stringify(value)),
  headers: [],
});

describe('wishes of other processes', () => {
  test('are written at intervals while the topic takes them, and read as what they are', async () => {
    const written: Entry[] = [];
    const metrics = createMetrics();
    const time = { nowMs: 1_000 };
    const wishes = createWishes({
      producer: {
        isHeldUp: () => time.nowMs === 1_050,
        append: (_topic, _partition, entry) => void written.push(entry),
      },
      topic: 'control',
      clock: { nowMs: () => time.nowMs },
      metrics,
      intervalMs: 20,
    });
    for (const nowMs of [1_000, 1_019, 1_020, 1_050]) {
      time.nowMs = nowMs;
      wishes.want(nowMs - 5);
    }
    expect(written.map(({ value }) => readWish(value))).toEqual([995, 1_015]);
    expect(written.map(({ value }) => readControlTick(value))).toEqual([null, null]);
    expect(await metrics.total('ticks_total', { kind: 'wish' })).toBe(2);
  });

  test.each([null, '', '{', '7', 'null', '{"wantMs":"7"}', '{"writer":"a-0"}'])('%j is none', (text) => {
    expect(readWish(text === null ? null : Buffer.from(text))).toBe(null);
  });

  test('are needed by those who read what is written elsewhere', () => {
    const task = (id: TaskId) => ({ id, writer: `${id.subTopology}-${id.partition}` });
    const [graph] = graphs;
    const all = graph.tasks().map(task);
    expect(waitOnOthers(graph, all)).toBe(false);
    expect(waitOnOthers(graph, [])).toBe(false);
    const first = all.filter(({ writer }) => writer.startsWith('na-'));
    expect(waitOnOthers(graph, first)).toBe(false);
    expect(waitOnOthers(graph, all.slice(1))).toBe(true);
  });
});

describe('control topics', () => {
  const open = () => {
    const told: ControlTick[] = [];
    const wanted: number[] = [];
    // Only this member is used.
    const task = { acceptControl: (tick: ControlTick) => void told.push(tick) } as unknown as Task;
    const tasks: Task[] = [];
    const control = createControl({ tasks, onWish: (logTimeMs) => wanted.push(logTimeMs) });
    return { told, wanted, task, tasks, control };
  };
  const tick = (writer: string, epoch: number, logTimeMs: number): ControlTick => ({
    writer,
    epoch,
    logTimeMs,
    sequences: {},
  });

  test('bring progress to the tasks and wishes to the ticker', () => {
    const { told, wanted, task, tasks, control } = open();
    tasks.push(task);
    control.take([recordOf(tick('a-0', 1, 5)), recordOf({ wantMs: 7 }), recordOf('else')]);
    expect(told).toEqual([tick('a-0', 1, 5)]);
    expect(wanted).toEqual([7]);
  });

  test('tell a newcomer the furthest that is known of each writer, whatever a slow copy said last', () => {
    const { told, task, control } = open();
    control.take([tick('a-0', 1, 5), tick('b-0', 2, 1), tick('a-0', 1, 4), tick('b-0', 1, 9)].map(recordOf));
    control.tell(task);
    expect(told).toEqual([tick('a-0', 1, 5), tick('b-0', 2, 1)]);
  });
});
