/** The log of a campaign: JSON lines that can be played again, and lines for people. */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import type { Fault } from './schedule.ts';

export interface Journal {
  /** `data` goes to the file, `line` to people. */
  note(type: string, data: object, line: string): void;
  close(): void;
}

export function openJournal(options: { path: string; say: (line: string) => void }): Journal {
  const file = openSync(options.path, 'w');
  const startedMs = performance.now();
  return {
    note: (type, data, line) => {
      const sinceMs = Math.round(performance.now() - startedMs);
      writeSync(file, `${JSON.stringify({ type, at: new Date().toISOString(), sinceMs, ...data })}\n`);
      options.say(`${(sinceMs / 1_000).toFixed(1).padStart(7)} s  ${line}`);
    },
    close: () => closeSync(file),
  };
}

/** What is needed to play a campaign again. */
export interface Recorded {
  readonly seed: number;
  readonly rounds: readonly (readonly Fault[])[];
}

/** Throws when the file is no such log. */
export function readJournal(path: string): Recorded {
  const lines = readFileSync(path, 'utf8').trim().split('\n');
  const entries = lines.map((line) => JSON.parse(line) as { type?: string; seed?: number; faults?: Fault[] });
  const seed = entries.find(({ type }) => type === 'start')?.seed;
  if (seed === undefined)
    throw new Error(`${path}: expected the log of a campaign, found no line of type start`);
  return {
    seed,
    rounds: entries.filter(({ type }) => type === 'round').map(({ faults = [] }) => faults),
  };
}
