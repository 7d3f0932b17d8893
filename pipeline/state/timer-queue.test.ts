import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isPipelineError } from '#pipeline/errors.ts';
import type { Journal } from './segment-cells.ts';
import type { TimerTime } from './store.ts';
import { createTimerQueue, type DueTimer, TIMER_PREFIX, type TimerQueue } from './timer-queue.ts';

function open() {
  const journal: Journal = [];
  const queue = createTimerQueue(journal);
  const rollback = (mark: number): void => {
    while (journal.length > mark) journal.pop()?.();
  };
  return { queue, journal, rollback };
}

const nameOf = (timer: DueTimer | null): string | null =>
  timer === null ? null : `${timer.atMs} ${timer.processor}.${timer.store} ${timer.key}`;

const drainLog = (queue: TimerQueue): (string | null)[] => {
  const fired: (string | null)[] = [];
  for (let timer = queue.takeLog(); timer !== null; timer = queue.takeLog()) fired.push(nameOf(timer));
  return fired;
};

describe('the timers of a task', () => {
  test('fire by due time, then processor, key bytes and store', () => {
    const { queue } = open();
    const set = (processor: string, store: string, key: string, atMs: number) =>
      queue.timers(processor, store).set('log', key, atMs);
    set('b', 's', 'a', 5);
    set('a', 't', 'é', 5);
    set('a', 's', 'é', 5);
    // By UTF-16 units the whale would come before the private-use character; by bytes it comes after.
    set('a', 's', '\u{1f40b}', 5);
    set('a', 's', '\ue000', 5);
    set('a', 's', 'z', 5);
    set('z', 's', 'z', 4);
    set('a', 's', 'a', 6);
    expect(drainLog(queue)).toEqual([
      '4 z.s z',
      '5 a.s z',
      '5 a.s é',
      '5 a.t é',
      '5 a.s \ue000',
      '5 a.s \u{1f40b}',
      '5 b.s a',
      '6 a.s a',
    ]);
  });

  test('setting a timer again moves it, and a cancelled one does not fire', () => {
    const { queue } = open();
    const timers = queue.timers('p', 's');
    timers.set('log', 'later', 3);
    timers.set('log', 'later', 9);
    timers.set('log', 'sooner', 8);
    timers.set('log', 'sooner', 2);
    timers.set('log', 'gone', 1);
    timers.cancel('log', 'gone');
    timers.cancel('log', 'never set');
    expect([timers.get('log', 'later'), timers.get('log', 'gone')]).toEqual([9, undefined]);
    expect(queue.nextLogMs).toBe(2);
    expect(drainLog(queue)).toEqual(['2 p.s sooner', '9 p.s later']);
    expect(queue.nextLogMs).toBe(Number.POSITIVE_INFINITY);
    expect(timers.get('log', 'later')).toBeUndefined();
  });

  test('of log time and of event time do not see each other, nor do those of two processors', () => {
    const { queue } = open();
    queue.timers('p', 's').set('event', 'k', 5);
    queue.timers('q', 's').set('event', 'k', 4);
    queue.timers('p', 's').set('log', 'k', 6);
    expect(queue.nextLogMs).toBe(6);
    expect(queue.takeEvent('p', 4)).toBeNull();
    expect(queue.takeEvent('unknown', 100)).toBeNull();
    expect(nameOf(queue.takeEvent('p', 5))).toBe('5 p.s k');
    expect(queue.takeEvent('p', 100)).toBeNull();
    expect(queue.all().map(nameOf)).toEqual(['4 q.s k', '6 p.s k']);
  });

  test('go back with the record that took, moved or cancelled them', () => {
    const { queue, journal, rollback } = open();
    const timers = queue.timers('p', 's');
    timers.set('log', 'a', 1);
    timers.set('log', 'b', 2);
    timers.set('log', 'c', 3);
    queue.capture();
    journal.length = 0;
    queue.takeLog();
    const mark = journal.length;
    timers.cancel('log', 'b');
    timers.set('log', 'c', 1);
    timers.set('log', 'd', 0);
    rollback(mark);
    expect(queue.all().map(nameOf)).toEqual(['2 p.s b', '3 p.s c']);
    expect(queue.capture()).toEqual([{ key: `${TIMER_PREFIX}p\u001fs\u001flog\u001fa`, value: null }]);
    rollback(0);
    expect(drainLog(queue)).toEqual(['1 p.s a', '2 p.s b', '3 p.s c']);
  });

  test('a checkpoint holds what changed since the last, by its last state', () => {
    const { queue, journal } = open();
    const timers = queue.timers('p', 's');
    timers.set('log', 'a', 1);
    timers.set('event', 'a', 2);
    expect(queue.capture()).toEqual([
      { key: `${TIMER_PREFIX}p\u001fs\u001flog\u001fa`, value: '1' },
      { key: `${TIMER_PREFIX}p\u001fs\u001fevent\u001fa`, value: '2' },
    ]);
    journal.length = 0;
    timers.set('log', 'a', 1);
    expect(queue.capture()).toEqual([]);
    timers.set('log', 'a', 7);
    timers.cancel('event', 'a');
    expect(queue.capture()).toEqual([
      { key: `${TIMER_PREFIX}p\u001fs\u001flog\u001fa`, value: '7' },
      { key: `${TIMER_PREFIX}p\u001fs\u001fevent\u001fa`, value: null },
    ]);
  });

  test('a time that is no whole millisecond is refused: it would stop all timers behind it', () => {
    const { queue } = open();
    const timers = queue.timers('p', 's');
    for (const atMs of [Number.NaN, 1.5, Number.POSITIVE_INFINITY]) {
      let error: unknown;
      try {
        timers.set('log', 'k', atMs);
      } catch (caught) {
        error = caught;
      }
      expect(isPipelineError(error, 'LOGIC_FAILED')).toBe(true);
      expect(String(error)).toContain(
        `p.s: expected whole milliseconds as the time of a timer, found ${atMs}`,
      );
    }
    expect(queue.all()).toEqual([]);
  });

  test('the key of a timer with half of a surrogate pair is the same before and after a restart', () => {
    const { queue } = open();
    queue.timers('p', 's').set('log', 'a\ud800', 5);
    expect(queue.timers('p', 's').get('log', 'a\udfff')).toBe(5);
    const [entry] = queue.capture();
    expect(entry?.key).toBe(`${TIMER_PREFIX}p\u001fs\u001flog\u001fa\ufffd`);
    expect(nameOf(queue.takeLog())).toBe('5 p.s a\ufffd');
  });

  test('a timer that is moved a hundred thousand times still fires once, in its place', () => {
    const { queue, journal } = open();
    const timers = queue.timers('p', 's');
    for (let count = 0; count < 100_000; count += 1) {
      timers.set('log', `k${count % 10}`, 1_000_000 + count);
      journal.length = 0;
    }
    timers.set('log', 'between', 1_099_995);
    expect(drainLog(queue)).toEqual([
      ...[0, 1, 2, 3, 4].map((digit) => `${1_099_990 + digit} p.s k${digit}`),
      '1099995 p.s between',
      ...[5, 6, 7, 8, 9].map((digit) => `${1_099_990 + digit} p.s k${digit}`),
    ]);
  });

  test('behave like a sorted list through moves, rollbacks and restarts', () => {
    fc.assert(
      fc.property(fc.array(commands, { maxLength: 120 }), (script) => play(script)),
      { numRuns: 300 },
    );
  });
});

const id = fc.record({
  processor: fc.constantFrom('p', 'q'),
  store: fc.constantFrom('s', 't'),
  time: fc.constantFrom<TimerTime>('log', 'event'),
  // With the separator of the entries in it.
  key: fc.constantFrom('', 'a', 'b\u001fc', '\ue000', '\u{1f40b}'),
});
type Id = { processor: string; store: string; time: TimerTime; key: string };
type Command =
  | { readonly kind: 'set'; readonly id: Id; readonly atMs: number }
  | { readonly kind: 'cancel'; readonly id: Id }
  | { readonly kind: 'takeEvent'; readonly processor: string; readonly atMs: number }
  | { readonly kind: 'takeLog' | 'mark' | 'rollback' | 'commit' | 'restart' };
const commands: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({ kind: fc.constant('set' as const), id, atMs: fc.integer({ min: -3, max: 8 }) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('cancel' as const), id }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('takeEvent' as const),
      processor: fc.constantFrom('p', 'q'),
      atMs: fc.integer({ min: -3, max: 8 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'takeLog' as const,
        'takeLog' as const,
        'mark' as const,
        'rollback' as const,
        'commit' as const,
        'restart' as const,
      ),
    }),
  },
);

const compareBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
const byCodeUnits = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const sorted = (timers: readonly DueTimer[]): DueTimer[] =>
  [...timers].sort(
    (a, b) =>
      a.atMs - b.atMs ||
      byCodeUnits(a.processor, b.processor) ||
      compareBytes(a.key, b.key) ||
      byCodeUnits(a.store, b.store) ||
      byCodeUnits(a.time, b.time),
  );

/** A timer queue beside a plain list; a restart loads what checkpoints wrote. */
function play(script: readonly Command[]): void {
  let run = open();
  let list: DueTimer[] = [];
  let marks: { readonly at: number; readonly list: readonly DueTimer[] }[] = [];
  const entries = new Map<string, string>();
  const same = (a: Id, b: Id) =>
    a.processor === b.processor && a.store === b.store && a.time === b.time && a.key === b.key;
  const without = (one: Id): DueTimer[] => list.filter((timer) => !same(timer, one));
  const take = (found: DueTimer | null, expected: DueTimer | undefined): void => {
    expect(nameOf(found)).toBe(nameOf(expected ?? null));
    if (expected !== undefined) list = without(expected);
  };
  for (const command of script) {
    switch (command.kind) {
      case 'set': {
        const { processor, store, time, key } = command.id;
        run.queue.timers(processor, store).set(time, key, command.atMs);
        list = [...without(command.id), { processor, store, time, key, atMs: command.atMs }];
        break;
      }
      case 'cancel': {
        const { processor, store, time, key } = command.id;
        run.queue.timers(processor, store).cancel(time, key);
        list = without(command.id);
        break;
      }
      case 'takeLog':
        take(
          run.queue.takeLog(),
          sorted(list).find(({ time }) => time === 'log'),
        );
        break;
      case 'takeEvent':
        take(
          run.queue.takeEvent(command.processor, command.atMs),
          sorted(list).find(
            ({ time, processor, atMs }) =>
              time === 'event' && processor === command.processor && atMs <= command.atMs,
          ),
        );
        break;
      case 'mark':
        marks.push({ at: run.journal.length, list });
        break;
      case 'rollback': {
        const mark = marks.pop() ?? null;
        if (mark === null) break;
        run.rollback(mark.at);
        list = [...mark.list];
        break;
      }
      case 'commit':
        run.journal.length = 0;
        marks = [];
        break;
      case 'restart': {
        run.journal.length = 0;
        marks = [];
        for (const { key, value } of run.queue.capture()) {
          if (value === null) entries.delete(key);
          else entries.set(key, value);
        }
        run = open();
        const byBytes = [...entries].sort(([a], [b]) => compareBytes(a, b));
        for (const [key, text] of byBytes) run.queue.load(key, text);
        break;
      }
    }
    const log = sorted(list).find(({ time }) => time === 'log');
    expect(run.queue.nextLogMs).toBe(log?.atMs ?? Number.POSITIVE_INFINITY);
  }
  const plain = ({ processor, store, time, key, atMs }: DueTimer) => ({ processor, store, time, key, atMs });
  expect(sorted(run.queue.all()).map(plain)).toEqual(sorted(list));
}
