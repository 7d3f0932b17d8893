/**
 * What a process leaves for its next start, in case it dies: how often tasks were opened at the same step, and what was about
 * to be folded. Plain writes: it must outlive the process, not the machine.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Mark } from './gate.ts';

/** A few texts by name. What is written is there when the call returns, or it is as if it were not: then nothing is concluded. */
export interface Notes {
  read(name: NoteName): string | null;
  write(name: NoteName, text: string): void;
  remove(name: NoteName): void;
}

export type NoteName = 'starts' | 'mark';

/** In a folder of one process, or of one thread of it. `failed`: a note could not be written, as on a full disk. */
export function openNotes(folder: string, failed: (error: unknown) => void): Notes {
  const pathOf = (name: NoteName): string => join(folder, `${name}.json`);
  mkdirSync(folder, { recursive: true });
  return {
    read: (name) => {
      try {
        return readFileSync(pathOf(name), 'utf8');
      } catch {
        return null;
      }
    },
    write: (name, text) => {
      try {
        writeFileSync(pathOf(name), text);
      } catch (error) {
        rmSync(pathOf(name), { force: true });
        failed(error);
      }
    },
    remove: (name) => rmSync(pathOf(name), { force: true }),
  };
}

/** What is noted of a task. */
export interface TaskNote {
  /** At which it was opened. */
  readonly step: number;
  /** Starts in a row that opened it there and did not end in order, the present one included. */
  readonly starts: number;
  /** What was about to be folded when a start died that searched it; null: nothing, or it was folded since. */
  readonly suspect: Mark | null;
  /** How often in a row. */
  readonly deaths: number;
}

const markSchema = z.object({
  writer: z.string(),
  processor: z.string(),
  place: z.string(),
  step: z.int(),
  logTimeMs: z.number(),
  digest: z.string(),
  sequences: z.record(z.string(), z.int()),
});
const startsSchema = z.record(
  z.string(),
  z.object({ step: z.int(), starts: z.int(), suspect: markSchema.nullable(), deaths: z.int() }),
);

/** By writer. Null: there is none, or it was cut short. */
export const readStarts = (notes: Pick<Notes, 'read'>): Map<string, TaskNote> =>
  new Map(Object.entries(parsed(startsSchema, notes.read('starts')) ?? {}));

export const writeStarts = (notes: Notes, starts: ReadonlyMap<string, TaskNote>): void => {
  if (starts.size === 0) notes.remove('starts');
  else notes.write('starts', JSON.stringify(Object.fromEntries(starts)));
};

/** Null: nothing was about to be folded, or the note was cut short. */
export const readMark = (notes: Pick<Notes, 'read'>): Mark | null => parsed(markSchema, notes.read('mark'));

function parsed<T>(schema: z.ZodType<T>, text: string | null): T | null {
  try {
    return schema.parse(JSON.parse(text ?? ''));
  } catch {
    return null;
  }
}
