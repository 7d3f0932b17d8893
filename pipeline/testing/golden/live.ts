/**
 * Golden case on live topics, where the broker gives the log time: what is expected is relative to it. After its two records
 * nothing more comes, and into `still` nothing at all: that log time has passed is shown by the ticks of readers alone.
 */
import { count } from '#pipeline/aggregates/count.ts';
import { defineProcessor, type InputRecord, keyed, type ProcessContext } from '#pipeline/processor.ts';
import { logTimer } from '#pipeline/state/timer.ts';
import { sessions } from '#pipeline/windows/sessions.ts';
import type { ValueOf } from '#schemas/avro.ts';
import { type LineTopic, type line, lineTopic } from './case.ts';

/** Where the records go. They have no time of their own: event time is log time. */
export const lives: LineTopic = { ...lineTopic('live'), name: 'golden.live', layer: 'raw' };
/** Where nothing goes. */
export const still: LineTopic = { ...lives, name: 'golden.still' };
/** What comes out. */
export const liveLines = lineTopic('live');

const stores = {
  /** Closes at last record + gap + 1 + grace = + 26. */
  visits: sessions({
    gapMs: 20,
    graceMs: 5,
    aggregate: count(),
    emit: 'on-close',
    close: { by: 'log-time', delayMs: 0 },
    changed: ({ key, result }, { emit }) => emit(liveLines, key, { text: `a visit of ${result}` }),
  }),
  silence: logTimer(),
};

function visit(
  { key, eventTimeMs, logTimeMs }: InputRecord<ValueOf<typeof line>>,
  { stores: { visits, silence } }: ProcessContext<typeof stores>,
): void {
  visits.add(key, eventTimeMs, null);
  silence.set(key, logTimeMs + 40);
}

/** Reads both topics. */
export const live = defineProcessor({
  name: 'live',
  summary: 'Visits, and who is silent',
  stores,
  inputs: [keyed(lives, visit), keyed(still, visit)],
  onTimer: { silence: ({ key }, { emit }) => emit(liveLines, key, { text: 'silent' }) },
  outputs: [liveLines],
});

/** Keys of the two records, one for each partition. */
export const LIVE_KEYS: readonly string[] = ['a', 'd'];

/** The lines of a key whose record the log got at this time. */
export const expectedLive = (key: string, atMs: number): readonly string[] => [
  `${atMs + 26} ${key}: a visit of 1`,
  `${atMs + 40} ${key}: silent`,
];
