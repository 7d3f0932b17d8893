import { describe, expect, test } from 'vitest';
import type { GroupOptions } from '#pipeline/kafka/types.ts';
import type { TaskId } from './graph.ts';
import type { Task } from './task.ts';
import { joinTaskGroup } from './task-group.ts';

const tasks: readonly TaskId[] = [0, 1, 2, 3].map((partition) => ({ subTopology: 's', partition }));

/** What a process hands to Kafka, and what it does with what comes back. */
function open(running: readonly string[], stored: readonly string[]) {
  const assigned: (readonly TaskId[])[] = [];
  const joined: GroupOptions[] = [];
  joinTaskGroup({
    kafka: {
      join: (options) => {
        joined.push(options);
        return { leave: async () => {} };
      },
    },
    group: 'g',
    tasks,
    // Only this member of tasks is used.
    processing: {
      tasks: running.map((writer) => ({ writer }) as unknown as Task),
      assign: async (wanted) => void assigned.push(wanted),
    },
    stored: () => stored,
  });
  const [options] = joined;
  if (options === undefined) throw new Error('did not join');
  return { options, assigned };
}

describe('a process in a group', () => {
  test('says what it has, leads by that, and runs what it is given', () => {
    const one = open(['s-0', 's-1'], ['s-0', 's-1']);
    const two = open([], ['s-3']);
    const shares = one.options.share([
      { id: 'one', said: one.options.says() },
      { id: 'two', said: two.options.says() },
    ]);
    one.options.onShare(shares.get('one') ?? '');
    two.options.onShare(shares.get('two') ?? '');
    expect(one.assigned).toEqual([[tasks[0], tasks[1]]]);
    expect(two.assigned).toEqual([[tasks[2], tasks[3]]]);
  });

  test.each(['', 'no JSON', '7', 'null', '{"running":"s-0"}', '{"running":[7],"stored":{}}'])(
    'gives a member its part that says %j',
    (said) => {
      const { options } = open([], []);
      const shares = options.share([
        { id: 'one', said: options.says() },
        { id: 'odd', said },
      ]);
      expect([...shares.values()].map((share) => JSON.parse(share).length)).toEqual([2, 2]);
    },
  );
});
