import { describe, expect, test } from 'vitest';
import { isPipelineError } from '#pipeline/errors.ts';
import type { WriteOperation } from '#pipeline/state/backend.ts';
import { closingEntry } from '#pipeline/state/changelog.ts';
import { createMemoryBackend } from '#pipeline/state/memory.ts';
import { META_KEY } from '#pipeline/state/task-state.ts';
import {
  allAt,
  encode,
  metaOf,
  openChangelog,
  shared,
  stateAt,
  TOPIC,
  writesOf,
} from '#pipeline/testing/changelog-run.ts';
import { type RestoreProgress, restore } from './restore.ts';

const codeOf = async (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => null,
    (error: unknown) => (isPipelineError(error) ? error.code : error),
  );

describe('a restore', () => {
  test('of a new task does nothing', async () => {
    const { run } = openChangelog();
    const disk = new Map<string, string>();
    expect(await run(disk)).toEqual({ remaining: 0, entries: 0, bytes: 0 });
    expect(shared(disk)).toEqual(new Map());
  });

  test('makes a deleted folder anew, and says how far it is', async () => {
    const { append, run } = openChangelog();
    append(encode({ to: 4 }));
    append(encode({ number: 2, from: 4, to: 13 }));
    const disk = new Map<string, string>();
    const seen: RestoreProgress[] = [];
    const done = await run(disk, (progress) => seen.push(progress));
    expect(shared(disk)).toEqual(stateAt(13));
    expect(done).toMatchObject({ remaining: 0, entries: 9 });
    expect(seen.map(({ remaining }) => remaining)).toEqual(
      seen.map(({ remaining }) => remaining).toSorted((a, b) => b - a),
    );
    expect(seen.at(-1)).toEqual(done);
  });

  test('passes over pieces of a state that was never finished', async () => {
    const { append, run } = openChangelog();
    append(encode({ to: 4 }));
    const disk = new Map([['p.s\u001fleft over', '1']]);
    await run(disk);
    expect(shared(disk)).toEqual(stateAt(4));
  });

  test('takes what is on the disk, and reads only what it has not read', async () => {
    const { kafka, append, run } = openChangelog();
    append(encode({ to: 40 }));
    const disk = new Map<string, string>();
    await run(disk);
    const fetched = kafka.fetched;
    await run(disk);
    expect(kafka.fetched).toBe(fetched);
    append(encode({ number: 2, from: 40, to: 41 }));
    await run(disk);
    expect(kafka.fetched - fetched).toBe(encode({ to: 1 }).length);
    expect(shared(disk)).toEqual(stateAt(41));
  });

  test('passes over what an earlier version wrote after the changelog was closed for it', async () => {
    const { append, run } = openChangelog();
    append(encode({ to: 4 }));
    append(encode({ instance: 'slow', to: 6 }).slice(0, 1));
    append([closingEntry(2, 'force', 7)]);
    append(encode({ number: 2, from: 4, to: 9 }));
    append(encode({ instance: 'slow', to: 6 }));
    append(encode({ number: 3, from: 9, to: 9, kind: 'snapshot' }, allAt(9)));
    const disk = new Map<string, string>();
    await run(disk);
    expect(shared(disk)).toEqual(stateAt(4));
    append(encode({ instance: 'decree', to: 30, from: 30, kind: 'snapshot', epoch: 2 }, allAt(4)));
    append(encode({ number: 4, from: 9, to: 40 }));
    await run(disk);
    expect(disk.get(META_KEY)).toBe(metaOf(30, 'one', 2));
  });

  test('does not trust a folder that an earlier version went on with after the changelog was closed', async () => {
    const { append, run } = openChangelog();
    append(encode({ to: 4 }));
    const disk = new Map<string, string>();
    await run(disk);
    append([closingEntry(2, 'force', 7)]);
    append(encode({ number: 2, from: 4, to: 9 }));
    for (const [key, value] of stateAt(9)) disk.set(key, value);
    await run(disk);
    expect(shared(disk)).toEqual(stateAt(4));
    // It has read past the closing, and must still see it.
    for (const [key, value] of stateAt(9)) disk.set(key, value);
    append(encode({ number: 3, from: 9, to: 10 }));
    await run(disk);
    expect(shared(disk)).toEqual(stateAt(4));
  });

  test('leaves a disk alone that is ahead of what it reads', async () => {
    const { append, run } = openChangelog();
    append(encode({ to: 4 }));
    const disk = new Map(stateAt(9));
    await run(disk);
    expect(shared(disk)).toEqual(stateAt(9));
  });

  test('brings an older disk up by what copies wrote meanwhile', async () => {
    const { append, run } = openChangelog();
    append(encode({ to: 4 }));
    const disk = new Map<string, string>();
    await run(disk);
    append(encode({ instance: 'copy', from: 2, to: 7 }));
    append(encode({ instance: 'slow', from: 1, to: 3 }));
    append(encode({ instance: 'copy', number: 2, from: 7, to: 8 }));
    await run(disk);
    expect(shared(disk)).toEqual(stateAt(8));
  });

  test('has all of a group that was under way as it last read', async () => {
    const { append, run } = openChangelog();
    append(encode({ to: 4 }));
    const copy = encode({ instance: 'copy', from: 4, to: 9 });
    append(copy.slice(0, 1));
    const disk = new Map<string, string>();
    await run(disk);
    expect(shared(disk)).toEqual(stateAt(4));
    append(copy.slice(1));
    await run(disk);
    expect(shared(disk)).toEqual(stateAt(9));
  });

  test('does not take state or groups of another version', async () => {
    const { append, run } = openChangelog();
    expect(await codeOf(run(new Map([[META_KEY, metaOf(3, 'two')]])))).toBe('FINGERPRINT_CHANGED');
    append(encode({ to: 4 }, writesOf(0, 4), 'two'));
    expect(await codeOf(run(new Map()))).toBe('FINGERPRINT_CHANGED');
  });

  test('refuses a changelog with a hole, and says what to do', async () => {
    const { append, run } = openChangelog();
    append(encode({ to: 4 }));
    append(encode({ number: 2, from: 5, to: 9 }));
    await expect(run(new Map())).rejects.toThrow(
      'changelog.p.v1/0: expected groups that lead to its highest step',
    );
    expect(await codeOf(run(new Map()))).toBe('CHANGELOG_BROKEN');
  });

  test('a snapshot replaces everything, also what is not in it', async () => {
    const { append, run } = openChangelog();
    append(encode({ to: 4 }));
    const disk = new Map<string, string>();
    await run(disk);
    disk.set('p.s\u001fleft over', '1');
    const all = allAt(30);
    append(encode({ instance: 'copy', from: 30, to: 30, kind: 'snapshot' }, all));
    await run(disk);
    expect(shared(disk)).toEqual(stateAt(30));
  });

  test('that meets a deletion on its way starts again, empty, from the new start', async () => {
    const { kafka, append, run } = openChangelog();
    append(encode({ to: 40 }));
    const first = kafka.records(TOPIC, 0).length;
    expect(first).toBeGreaterThan(3);
    const all = allAt(40);
    append(encode({ number: 2, from: 40, to: 40, kind: 'snapshot' }, all));
    append(encode({ number: 3, from: 40, to: 43 }));
    kafka.onChunk = (offset) => {
      if (offset < 3) return;
      kafka.onChunk = () => {};
      void kafka.admin().deleteRecords(TOPIC, 0, first);
      kafka.executeDeletions();
    };
    const disk = new Map<string, string>([['p.s\u001fof before', '1']]);
    await run(disk);
    expect(shared(disk)).toEqual(stateAt(43));
  });

  test('that is interrupted ends well the next time', async () => {
    const { append, kafka, run } = openChangelog();
    append(encode({ to: 4 }));
    const all = allAt(9);
    append(encode({ number: 2, from: 9, to: 9, kind: 'snapshot' }, all));
    append(encode({ number: 3, from: 9, to: 12 }));
    for (let writes = 0; writes < 4; writes += 1) {
      const disk = new Map<string, string>(stateAt(2));
      const backend = createMemoryBackend(disk);
      let left = writes;
      const failing = {
        ...backend,
        write: async (operations: readonly WriteOperation[]) => {
          if (left === 0) throw new Error('the power is gone');
          left -= 1;
          await backend.write(operations);
        },
      };
      const options = { kafka, topic: TOPIC, partition: 0, fingerprint: 'one' };
      await restore({ ...options, backend: failing }).catch(() => {});
      await run(disk);
      expect(shared(disk)).toEqual(stateAt(12));
    }
  });
});
