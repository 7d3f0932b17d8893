/** All golden cases as one topology, with one list of input records and what must come out. */
import type { ProcessorDefinition } from '#pipeline/processor.ts';
import type { DeadLetter } from '#schemas/dead-letter.ts';
import type { GoldenCase, GoldenRecord, LineTopic } from './case.ts';
import { closing } from './closing.ts';
import { counting } from './counting.ts';
import { matching } from './matching.ts';
import { rating } from './rating.ts';
import { expectedTallies, tallies, tallying } from './tallying.ts';
import { updating } from './updating.ts';
import { visiting } from './visiting.ts';

const cases: readonly GoldenCase[] = [closing, updating, visiting, counting, matching, rating];

/** Those of the cases, and the one that counts their lines. */
export const processors: readonly ProcessorDefinition[] = [
  ...cases.map(({ processor }) => processor),
  tallying(cases.map(({ lines }) => lines)),
];

const records: readonly GoldenRecord[] = cases.flatMap((one) => one.records).sort((a, b) => a.atMs - b.atMs);

/** Input of a span of log time, from and until: by log time, those of one topic and log time in their order. */
export const recordsBetween = (fromMs: number, untilMs: number): readonly GoldenRecord[] =>
  records.filter(({ atMs }) => fromMs <= atMs && atMs < untilMs);

/**
 * Log times at which every partition shows by a tick how far it has come: between them a run can be broken off. A record of
 * that time comes after it. The last one is past everything that is due.
 */
export const CUTS_MS: readonly number[] = [105, 112, 200, 310];

/** Topics of lines with the lines. */
export const expectedLines: readonly (readonly [LineTopic, readonly string[]])[] = [
  ...cases.map(({ lines, expected }) => [lines, expected] as const),
  [tallies, expectedTallies],
];

/** `<log time> <component>: <code> of <place>` */
export const letterOf = ({ eventTimeMs, component, code, place }: DeadLetter): string =>
  `${eventTimeMs} ${component}: ${code} of ${place}`;

/** The record of `updating` that is too far ahead; before it in its partition: seven records and two ticks. */
export const expectedLetters: readonly string[] = ['120 updating: EVENT_TIME_AHEAD of golden.updating/0/9'];

/** Counters of the engine, by name and store. */
export const expectedCounts: readonly (readonly [
  name: 'late_records_total' | 'dropped_records_total',
  processor: string,
  store: string,
  count: number,
])[] = [
  ['late_records_total', 'closing', 'sums', 13],
  ['late_records_total', 'updating', 'best', 4],
  ['late_records_total', 'updating', 'seen', 1],
  ['late_records_total', 'visiting', 'closed', 1],
  ['late_records_total', 'visiting', 'open', 2],
  ['late_records_total', 'matching', 'inner', 2],
  ['late_records_total', 'matching', 'left', 2],
  ['late_records_total', 'matching', 'outer', 0],
  ['late_records_total', 'rating', 'rates', 2],
  ['dropped_records_total', 'closing', 'sums', 1],
  ['dropped_records_total', 'matching', 'left', 1],
];
