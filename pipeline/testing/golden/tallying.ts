/**
 * Golden case: how many lines the other cases write of each key in 50 ms of log time. Through Kafka, so that windows in log
 * time close by what the writers of derived topics promise.
 */
import { count } from '#pipeline/aggregates/count.ts';
import { defineProcessor, keyed, type ProcessorDefinition } from '#pipeline/processor.ts';
import { tumbling } from '#pipeline/windows/shapes.ts';
import { windows } from '#pipeline/windows/windows.ts';
import { type LineTopic, lineTopic } from './case.ts';

/** What `tallying` writes. */
export const tallies = lineTopic('tallying');

const stores = {
  lines: windows({
    of: { fifty: tumbling({ sizeMs: 50 }) },
    aggregate: count(),
    graceMs: 0,
    emit: 'on-close',
    // A line has no time of its own: its event time is its log time.
    close: { by: 'log-time', delayMs: 0 },
    changed: ({ key, startMs, endMs, result }, { emit }) =>
      emit(tallies, key, { text: `${result} lines in ${startMs}-${endMs}` }),
  }),
};

/** Counts the lines of these topics. */
export const tallying = (topics: readonly LineTopic[]): ProcessorDefinition<typeof stores> =>
  defineProcessor({
    name: 'tallying',
    summary: 'How many lines there are of each key',
    stores,
    inputs: topics.map((topic) =>
      keyed<LineTopic['schema'], typeof stores>(topic, ({ key, eventTimeMs }, context) =>
        context.stores.lines.add(key, eventTimeMs, null),
      ),
    ),
    outputs: [tallies],
  });

/**
 * Of a: closing 25, updating 20, counting 8, matching 16, rating 11. Of b: 11, 4, matching 5. Of k and g: visiting. Of d:
 * updating 4, matching 2, rating 1. By partition: a, b and k; then d and g.
 */
export const expectedTallies: readonly string[] = [
  '150 a: 80 lines in 100-150',
  '150 b: 20 lines in 100-150',
  '150 k: 19 lines in 100-150',
  '150 d: 7 lines in 100-150',
  '150 g: 2 lines in 100-150',
  '200 a: 3 lines in 150-200',
  '200 k: 1 lines in 150-200',
  '200 d: 1 lines in 150-200',
  '250 a: 4 lines in 200-250',
  '300 a: 1 lines in 250-300',
];
