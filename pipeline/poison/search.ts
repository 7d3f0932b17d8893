/**
 * Finds the record that kills the process. Tasks that were opened at the same step by several starts, none of which ended in
 * order or got past it, are searched: without the hop in memory, one record in a turn, a mark before each. What the process
 * dies at twice in a row, with its mark set, is the one. Everything else that ends a process, from outside or in an orderly
 * way, leaves no mark: it is never called poison. Tasks that run as they should pay nothing for it.
 */
import type { Clock } from '#pipeline/clock.ts';
import type { Log } from '#pipeline/telemetry/log.ts';
import type { Mark, Marker } from './gate.ts';
import { type Notes, readMark, readStarts, type TaskNote, writeStarts } from './notes.ts';
import { skipName } from './skips.ts';

/** Deaths in a row without progress, after which a task is searched. */
export const DEATHS_TO_SEARCH = 3;
/** Deaths at one mark, after which it is passed over. */
export const DEATHS_AT_MARK = 2;
/** Of a task, what the search needs. */
export interface SearchedTask {
  readonly writer: string;
  readonly step: number;
  mark(marker: Marker | null): void;
}

export interface Search {
  /** A task is open, with its state. Returns what the process died at, again and again; null: nothing is known. */
  opened(task: SearchedTask): Mark | null;
  /** What becomes of it is decided: it is not looked for any more. Others after it are. */
  settled(mark: Mark): void;
  /** Tasks that are searched. */
  readonly count: number;
  isSearched(writer: string): boolean;
  /** A checkpoint is safe. True: the search of the task has ended with it. */
  committed(task: SearchedTask, step: number): boolean;
  /** Tasks that end in order, as this start or the work of this process on them does. */
  ended(writers: readonly string[]): void;
}

export function createSearch(options: {
  readonly notes: Notes;
  readonly clock: Clock;
  readonly log: Log;
  /** A search goes on for as long at least, and until a checkpoint is past what was searched for. */
  readonly searchMs: number;
}): Search {
  const { notes, clock, log, searchMs } = options;
  const starts = readStarts(notes);
  /** Writer -> wall clock at which its search began. */
  const searched = new Map<string, number>();
  const save = (): void => writeStarts(notes, starts);

  const last = readMark(notes);
  if (last !== null) {
    const note = starts.get(last.writer) ?? { step: last.step, starts: 1, suspect: null, deaths: 0 };
    const isSame = note.suspect !== null && skipName(note.suspect) === skipName(last);
    starts.set(last.writer, { ...note, suspect: last, deaths: isSame ? note.deaths + 1 : 1 });
    // The mark first: a death between the two is forgotten, not counted twice.
    notes.remove('mark');
    save();
    log.error(`the process died while ${last.writer} folded ${last.place}; looking at it again`, {
      mark: last,
    });
  }

  /** One thread folds one step after the other. */
  let present: Mark | null = null;
  const marker: Marker = {
    before: (mark) => {
      present = mark;
      notes.write('mark', JSON.stringify(mark));
    },
    after: () => {
      notes.remove('mark');
      if (present !== null) acquit(present.writer, present.step);
      present = null;
    },
  };

  /** A step was folded: whatever ended the process before was not this, nor anything before it. */
  const acquit = (writer: string, step: number): void => {
    const note = starts.get(writer);
    if (note === undefined || note.suspect === null || note.suspect.step > step) return;
    starts.set(writer, { ...note, suspect: null, deaths: 0 });
    save();
  };

  return {
    opened: (task) => {
      const { writer, step } = task;
      acquit(writer, step - 1);
      const before = starts.get(writer);
      const isStuck = before !== undefined && before.step === step;
      const note: TaskNote = {
        step,
        starts: isStuck ? before.starts + 1 : 1,
        suspect: before?.suspect ?? null,
        deaths: before?.deaths ?? 0,
      };
      starts.set(writer, note);
      save();
      if (note.suspect === null && note.starts <= DEATHS_TO_SEARCH) return null;
      log.warn(
        `${writer} stands at step ${step}, and starts before this one died there; looking for a record that ends the process`,
      );
      searched.set(writer, clock.nowMs());
      task.mark(marker);
      return note.deaths >= DEATHS_AT_MARK ? note.suspect : null;
    },
    settled: ({ writer }) => {
      const note = starts.get(writer);
      if (note !== undefined) starts.set(writer, { ...note, starts: 1, suspect: null, deaths: 0 });
      save();
    },
    get count() {
      return searched.size;
    },
    isSearched: (writer) => searched.has(writer),
    committed: (task, step) => {
      const { writer } = task;
      const sinceMs = searched.get(writer);
      const note = starts.get(writer);
      if (sinceMs === undefined || note === undefined) return false;
      const isPast = step > Math.max(note.step, note.suspect?.step ?? 0);
      if (!isPast || clock.nowMs() - sinceMs < searchMs) return false;
      searched.delete(writer);
      task.mark(null);
      starts.set(writer, { step, starts: 1, suspect: null, deaths: 0 });
      save();
      log.info(`${writer} is past where it died: nothing was found`);
      return true;
    },
    ended: (writers) => {
      for (const writer of writers) {
        const note = starts.get(writer);
        searched.delete(writer);
        if (note === undefined) continue;
        if (note.starts <= 1 && note.suspect === null) starts.delete(writer);
        else starts.set(writer, { ...note, starts: note.starts - 1 });
      }
      if (writers.length > 0) save();
    },
  };
}
