import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Entry } from '#pipeline/kafka/types.ts';
import { closingEntry } from '#pipeline/state/changelog.ts';
import { createMemoryBackend } from '#pipeline/state/memory.ts';
import { META_KEY } from '#pipeline/state/task-state.ts';
import { encode, openChangelog, shared, stateAt, TOPIC } from '#pipeline/testing/changelog-run.ts';
import type { SmallKafka } from '#pipeline/testing/small-kafka.ts';
import type { ChangelogWriter } from './checkpoint.ts';
import { LOCAL_PREFIX, restore } from './restore.ts';
import { writeSnapshot } from './snapshot.ts';
import type { Task } from './task.ts';

/** A live copy of the task: a disk, and a checkpoint that may be on its way to the log. */
interface Copy {
  readonly disk: Map<string, string>;
  readonly log: ChangelogWriter;
  waiting: Entry[];
  /** Of the group on its way; its disk follows. */
  next: number;
}

async function startCopy(kafka: SmallKafka, instance: string): Promise<Copy> {
  const disk = new Map<string, string>();
  const backend = createMemoryBackend(disk);
  await restore({ kafka, topic: TOPIC, partition: 0, backend, fingerprint: 'one' });
  const { step } = JSON.parse(disk.get(META_KEY) ?? '{"step":0}') as { step: number };
  return {
    disk,
    log: {
      topic: TOPIC,
      producer: kafka.producer(),
      instance,
      lastStep: step,
      groups: 0,
      bytesSinceSnapshot: 1,
      maxRecordBytes: 30,
    },
    waiting: [],
    next: step,
  };
}

/** Begins a checkpoint some steps on. */
function begin(copy: Copy, steps: number): void {
  copy.log.groups += 1;
  copy.next = copy.log.lastStep + steps;
  const { instance, groups: number, lastStep: from } = copy.log;
  copy.waiting = [...encode({ instance, number, from, to: copy.next })];
}

/** Sends records of it; with the last its disk follows. */
function send(kafka: SmallKafka, copy: Copy, count: number): void {
  if (copy.waiting.length === 0) return;
  for (const entry of copy.waiting.splice(0, count)) kafka.append(TOPIC, 0, entry);
  if (copy.waiting.length > 0) return;
  copy.log.lastStep = copy.next;
  for (const [key, value] of stateAt(copy.next)) copy.disk.set(key, value);
  for (const key of copy.disk.keys())
    if (!key.startsWith(LOCAL_PREFIX) && !stateAt(copy.next).has(key)) copy.disk.delete(key);
}

const snapshot = (kafka: SmallKafka, { disk, log }: Copy): Promise<number> =>
  writeSnapshot({
    // All that it uses of a task.
    task: { id: { subTopology: 'p', partition: 0 }, logTimeMs: 7 } as Task,
    backend: createMemoryBackend(disk),
    log,
    topic: TOPIC,
    kafka,
    producer: kafka.producer(),
  });

describe('a snapshot', () => {
  const restored = async (kafka: SmallKafka): Promise<ReadonlyMap<string, string>> =>
    shared((await startCopy(kafka, 'reader')).disk);

  test('holds the whole state, and what lies before it is deleted', async () => {
    const { kafka } = openChangelog();
    const copy = await startCopy(kafka, 'one');
    begin(copy, 20);
    send(kafka, copy, 99);
    const before = kafka.records(TOPIC, 0).length;
    const bytes = await snapshot(kafka, copy);
    kafka.executeDeletions();
    const left = kafka.records(TOPIC, 0);
    expect(left[0]?.offset).toBe(before);
    expect(left.reduce((sum, { value }) => sum + (value?.length ?? 0), 0)).toBe(bytes);
    expect(left.some(({ value }) => value?.includes(`${LOCAL_PREFIX}changelog`))).toBe(false);
    expect(copy.log.bytesSinceSnapshot).toBe(0);
    expect(await restored(kafka)).toEqual(stateAt(20));
    begin(copy, 3);
    send(kafka, copy, 99);
    expect(await restored(kafka)).toEqual(stateAt(23));
  });

  test('of a version that the changelog is closed for deletes nothing', async () => {
    const { kafka } = openChangelog();
    const copy = await startCopy(kafka, 'one');
    begin(copy, 20);
    send(kafka, copy, 99);
    kafka.append(TOPIC, 0, closingEntry(2, 'force', 7));
    const before = kafka.records(TOPIC, 0).length;
    begin(copy, 10);
    send(kafka, copy, 99);
    await snapshot(kafka, copy);
    kafka.executeDeletions();
    expect(kafka.records(TOPIC, 0).length).toBeGreaterThan(before);
    expect(kafka.records(TOPIC, 0)[0]?.offset).toBe(0);
    expect(await restored(kafka)).toEqual(stateAt(20));
  });

  test('of a task without a checkpoint is none', async () => {
    const { kafka } = openChangelog();
    expect(await snapshot(kafka, await startCopy(kafka, 'one'))).toBe(0);
    expect(kafka.records(TOPIC, 0)).toEqual([]);
  });

  test('of a slow copy deletes nothing that the others rest on', async () => {
    const { kafka } = openChangelog();
    const [slow, fast] = [await startCopy(kafka, 'slow'), await startCopy(kafka, 'fast')];
    begin(slow, 4);
    send(kafka, slow, 99);
    begin(fast, 20);
    send(kafka, fast, 99);
    await snapshot(kafka, slow);
    kafka.executeDeletions();
    expect(kafka.records(TOPIC, 0)[0]?.offset).toBe(0);
    expect(await restored(kafka)).toEqual(stateAt(20));
  });

  test('waits with the deletion for a group that a faster copy is in the midst of', async () => {
    const { kafka } = openChangelog();
    const [one, other] = [await startCopy(kafka, 'one'), await startCopy(kafka, 'other')];
    begin(other, 20);
    send(kafka, other, 1);
    begin(one, 4);
    send(kafka, one, 99);
    await snapshot(kafka, one);
    kafka.executeDeletions();
    // `one` is lost now, and the other goes on alone.
    send(kafka, other, 99);
    begin(other, 5);
    send(kafka, other, 99);
    expect(await restored(kafka)).toEqual(stateAt(25));
    // The next one may delete.
    await snapshot(kafka, other);
    kafka.executeDeletions();
    expect(kafka.records(TOPIC, 0)[0]?.offset).toBeGreaterThan(0);
    expect(await restored(kafka)).toEqual(stateAt(25));
  });

  type Event =
    | { readonly kind: 'begin' | 'send'; readonly copy: number; readonly count: number }
    | { readonly kind: 'snapshot' | 'start'; readonly copy: number }
    | { readonly kind: 'delete' };
  const copy = fc.nat(1);
  const events: fc.Arbitrary<Event> = fc.oneof(
    {
      weight: 10,
      arbitrary: fc.record({
        kind: fc.constantFrom('begin' as const, 'send' as const, 'send' as const),
        copy,
        count: fc.integer({ min: 1, max: 7 }),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constantFrom('snapshot' as const, 'snapshot' as const, 'start' as const),
        copy,
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('delete' as const) }) },
  );

  test('and deletions of copies never lose the highest step that the log had, whenever they are executed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(events, { minLength: 10, maxLength: 40, size: 'max' }), async (script) => {
        const { kafka, run } = openChangelog();
        const copies = [await startCopy(kafka, 'a'), await startCopy(kafka, 'b')];
        const old = new Map<string, string>();
        let highest = 0;
        for (const [at, event] of script.entries()) {
          if (event.kind === 'delete') kafka.executeDeletions();
          else {
            const one = copies[event.copy] as Copy;
            if (event.kind === 'begin' && one.waiting.length === 0) begin(one, event.count);
            if (event.kind === 'send') send(kafka, one, event.count);
            if (event.kind === 'snapshot' && one.waiting.length === 0) await snapshot(kafka, one);
            if (event.kind === 'start') copies[event.copy] = await startCopy(kafka, `start-${at}`);
            highest = Math.max(highest, one.log.lastStep);
          }
          if (at % 7 === 0) await run(old);
        }
        expect(await restored(kafka)).toEqual(stateAt(highest));
        // A disk that was brought up now and then comes to the same.
        await run(old);
        expect(shared(old)).toEqual(stateAt(highest));
      }),
      { numRuns: 400 },
    );
  });
});
