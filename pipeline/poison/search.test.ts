import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { silentLog } from '#pipeline/telemetry/log.ts';
import type { Mark, Marker } from './gate.ts';
import { type NoteName, type Notes, openNotes, readMark, readStarts } from './notes.ts';
import { createSearch, DEATHS_TO_SEARCH } from './search.ts';

const markAt = (step: number): Mark => ({
  ...{ writer: 'count-0', processor: 'count', place: `in/0/${step}`, step, logTimeMs: 100 + step },
  ...{ digest: '0000002a', sequences: { 'out/0': 7 } },
});

/** Starts of one process, one after the other; `die` is what they all do that are not ended. */
function createWorld() {
  const texts = new Map<NoteName, string>();
  const notes: Notes = {
    read: (name) => texts.get(name) ?? null,
    write: (name, text) => void texts.set(name, text),
    remove: (name) => void texts.delete(name),
  };
  let nowMs = 0;
  const clock = { nowMs: () => nowMs, sleep: async () => {}, every: () => () => {}, soon: () => {} };
  const start = (step: number) => {
    const search = createSearch({ notes, clock, log: silentLog, searchMs: 1_000 });
    let marker: Marker | null = null;
    const task = {
      writer: 'count-0',
      step,
      mark: (given: Marker | null) => {
        marker = given;
      },
    };
    const called = search.opened(task);
    return {
      search,
      task,
      called,
      get isSearched() {
        return marker !== null && search.isSearched('count-0');
      },
      /** Folds steps, and dies in the last of them. */
      dieAt: (...steps: readonly number[]) => {
        for (const [index, at] of steps.entries()) {
          marker?.before(markAt(at));
          if (index < steps.length - 1) marker?.after();
        }
      },
      fold: (at: number) => {
        marker?.before(markAt(at));
        marker?.after();
      },
    };
  };
  return {
    notes,
    start,
    wait: (ms: number) => {
      nowMs += ms;
    },
    /** Until the next start will search. */
    dieOften: (step: number) => {
      for (let deaths = 0; deaths < DEATHS_TO_SEARCH; deaths += 1)
        expect(start(step).isSearched, `after ${deaths} deaths`).toBe(false);
    },
  };
}

describe('the search for a record that ends the process', () => {
  test('begins after a few deaths at one step, and not where a checkpoint came further in between', () => {
    const { start, dieOften } = createWorld();
    dieOften(10);
    expect(start(10).isSearched).toBe(true);
    expect(start(11).isSearched).toBe(false);
  });

  test('does not count starts that end in order, nor those that leave the task to another process', () => {
    const { start } = createWorld();
    for (let starts = 0; starts < 10; starts += 1) {
      const { search, isSearched } = start(10);
      expect(isSearched).toBe(false);
      search.ended(['count-0']);
    }
  });

  test('names what the process dies at twice in a row', () => {
    const { start, dieOften } = createWorld();
    dieOften(10);
    start(10).dieAt(10, 11, 12);
    const second = start(10);
    expect(second.called).toBeNull();
    expect(second.isSearched).toBe(true);
    // It came further this time before it took a checkpoint.
    second.dieAt(11, 12);
    expect(start(11).called).toEqual(markAt(12));
  });

  test('names nothing when the process dies elsewhere, or is killed between two records', () => {
    const { start, dieOften } = createWorld();
    dieOften(10);
    start(10).dieAt(12);
    start(10).dieAt(11);
    start(10).dieAt(12);
    for (let kills = 0; kills < 5; kills += 1) {
      const { called, fold } = start(10);
      expect(called).toBeNull();
      fold(10);
    }
  });

  test('acquits a record that was folded after all, or that another process got past', () => {
    const { start, dieOften } = createWorld();
    dieOften(10);
    start(10).dieAt(12);
    start(10).fold(12);
    start(10).dieAt(12);
    expect(start(10).called).toBeNull();
    start(10).dieAt(12);
    expect(start(13).called).toBeNull();
    expect(start(13).isSearched).toBe(false);
  });

  test('goes on after a skip, so that the next one is found sooner', () => {
    const { start, dieOften } = createWorld();
    dieOften(10);
    start(10).dieAt(10);
    start(10).dieAt(10);
    const third = start(10);
    third.search.settled(markAt(10));
    third.dieAt(11);
    start(10).dieAt(11);
    expect(start(10).called).toEqual(markAt(11));
  });

  test('ends once a checkpoint is past what was searched for, and a while has gone by', () => {
    const { start, dieOften, wait } = createWorld();
    dieOften(10);
    const searching = start(10);
    expect(searching.search.committed(searching.task, 11)).toBe(false);
    wait(1_000);
    expect(searching.search.committed(searching.task, 10)).toBe(false);
    expect(searching.search.committed(searching.task, 11)).toBe(true);
    expect(searching.isSearched).toBe(false);
    expect(searching.search.count).toBe(0);
  });
});

describe('notes on a disk', () => {
  const openFolder = () => {
    const folder = mkdtempSync(join(tmpdir(), 'baleen-notes-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    return folder;
  };

  test('are there for the next start, and one that was cut short is none', () => {
    const folder = openFolder();
    const failures: unknown[] = [];
    openNotes(folder, (error) => failures.push(error)).write('mark', JSON.stringify(markAt(3)));
    const notes = openNotes(folder, (error) => failures.push(error));
    expect(readMark(notes)).toEqual(markAt(3));
    writeFileSync(join(folder, 'mark.json'), JSON.stringify(markAt(3)).slice(0, 20));
    writeFileSync(join(folder, 'starts.json'), '');
    expect(readMark(notes)).toBeNull();
    expect(readStarts(notes).size).toBe(0);
    expect(failures).toEqual([]);
  });

  test('that cannot be written are said, and nothing is concluded from an older one', () => {
    const folder = openFolder();
    const failures: unknown[] = [];
    const notes = openNotes(folder, (error) => failures.push(error));
    notes.write('mark', JSON.stringify(markAt(3)));
    rmSync(folder, { recursive: true });
    notes.write('mark', JSON.stringify(markAt(4)));
    expect(failures).toHaveLength(1);
    expect(readMark(notes)).toBeNull();
  });
});
