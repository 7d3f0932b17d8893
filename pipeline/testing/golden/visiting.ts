/**
 * Golden case: sessions that grow, merge, are split by a retraction, are corrected and come late; read by another key, so
 * through an internal topic of two writers.
 *
 * Gap 10, grace 5: a session that ends at 100 closes when the stream time has come to 100 + 10 + 1 + 5 = 116. Of `closed`
 * the log time closes it too, 20 later: at 136. Numbers are milliseconds.
 */
import { compose } from '#pipeline/aggregates/compose.ts';
import { count } from '#pipeline/aggregates/count.ts';
import { sum } from '#pipeline/aggregates/sum.ts';
import { defineProcessor, type InputRecord, type ProcessContext, rekeyed } from '#pipeline/processor.ts';
import { jsonCodec } from '#pipeline/state/store.ts';
import { sessions } from '#pipeline/windows/sessions.ts';
import { asserted, type GoldenCase, inputTopic, lineTopic, type Move, retracted } from './case.ts';

type Input = { readonly id: string; readonly amount: number };

const moves = inputTopic('visiting');
const lines = lineTopic('visiting');

const common = { gapMs: 10, graceMs: 5, retracts: true, inputCodec: jsonCodec<Input>() } as const;

const stores = {
  closed: sessions({
    ...common,
    aggregate: compose({ n: count(), total: sum(({ amount }: Input) => BigInt(amount)) }),
    emit: 'on-close',
    close: { by: 'either', delayMs: 20 },
    retentionMs: 30,
    changed: ({ key, startMs, endMs, result, phase, revision }, { emit }) => {
      const what = result === null ? 'none' : `n ${result.n}, sum ${result.total}`;
      emit(lines, key, { text: `closed ${startMs}-${endMs}: ${what}, ${phase} ${revision}` });
    },
    late: ({ key, input, isRetraction }, { emit }) =>
      emit(lines, key, { text: `closed, late: ${isRetraction ? 'retraction of ' : ''}${input.id}` }),
  }),
  open: sessions({
    ...common,
    aggregate: count(),
    emit: 'on-update',
    close: { by: 'event-time' },
    changed: ({ key, startMs, endMs, result, phase, revision }, { emit }) => {
      const what = result === null ? 'none' : `n ${result}`;
      emit(lines, key, { text: `open ${startMs}-${endMs}: ${what}, ${phase} ${revision}` });
    },
    late: ({ key, input, isRetraction }, { emit }) =>
      emit(lines, key, { text: `open, late: ${isRetraction ? 'retraction of ' : ''}${input.id}` }),
  }),
};

function take({ key, eventTimeMs, value }: InputRecord<Move>, context: ProcessContext<typeof stores>): void {
  if (value === null) return;
  const { op, id, amount } = value;
  for (const store of [context.stores.closed, context.stores.open]) {
    if (op === 'assert') store.add(key, eventTimeMs, { id, amount });
    else store.remove(key, eventTimeMs, { id, amount });
  }
}

const s1 = { id: 's1', eventTimeMs: 100, amount: 1, group: 'k' };
const s3 = { id: 's3', eventTimeMs: 108, amount: 4, group: 'k' };

const records: GoldenCase['records'] = [
  asserted(moves, 100, 'a', s1),
  // 15 after s1: another session. Stream time 115: the first one is open for one ms more.
  asserted(moves, 101, 'd', { id: 's2', eventTimeMs: 115, amount: 2, group: 'k' }),
  asserted(moves, 102, 'a', s3), // 8 after the one, 7 before the other: both become one
  asserted(moves, 103, 'd', { id: 's4', eventTimeMs: 125, amount: 8, group: 'k' }), // just the gap: joins
  // What is left is s1, and 15 later s2 and s4. Stream time 125 has closed what ended by 109: s1.
  retracted(moves, 104, 'a', s3),
  asserted(moves, 105, 'a', { id: 't1', eventTimeMs: 105, amount: 16, group: 'g' }), // the other partition: quiet
  retracted(moves, 110, 'd', s1), // its session has closed: corrected by `closed`, late for `open`, which keeps none
  asserted(moves, 111, 'a', { id: 's5', eventTimeMs: 103, amount: 1, group: 'k' }), // late: 12 before the open session
  asserted(moves, 112, 'a', { id: 's6', eventTimeMs: 106, amount: 32, group: 'k' }), // as old, yet it joins
  // Stream time 141 = 125 + 16 closes before it is taken: a session of its own.
  asserted(moves, 113, 'd', { id: 's7', eventTimeMs: 141, amount: 64, group: 'k' }),
];

const expected: GoldenCase['expected'] = [
  '100 k: open 100-100: n 1, update 0',
  '101 k: open 115-115: n 1, update 0',
  // First what is no more, by start.
  '102 k: open 100-100: none, update 1',
  '102 k: open 115-115: none, update 1',
  '102 k: open 100-115: n 3, update 1',
  '103 k: open 100-115: none, update 2',
  '103 k: open 100-125: n 4, update 2',
  '104 k: closed 100-100: n 1, sum 1, final 0',
  '104 k: open 100-125: none, update 3',
  '104 k: open 100-100: n 1, update 3',
  '104 k: open 115-125: n 2, update 3',
  '105 g: open 105-105: n 1, update 0',
  '110 k: closed 100-100: none, correction 1',
  '110 k: open, late: retraction of s1',
  '111 k: closed, late: s5',
  '111 k: open, late: s5',
  '112 k: open 115-125: none, update 4',
  '112 k: open 106-125: n 3, update 4',
  // s2 + s4 + s6 = 42
  '113 k: closed 106-125: n 3, sum 42, final 0',
  '113 k: open 141-141: n 1, update 0',
  // 105 + 36 and 141 + 36: nothing comes after them, so log time closes them.
  '141 g: closed 105-105: n 1, sum 16, final 0',
  '177 k: closed 141-141: n 1, sum 64, final 0',
];

/** Late: one for `closed`, two for `open`, the lines above. */
export const visiting: GoldenCase = {
  lines,
  records,
  expected,
  processor: defineProcessor({
    name: 'visiting',
    summary: 'Sessions of groups',
    stores,
    inputs: [rekeyed(moves, ({ group }) => group, take)],
    outputs: [lines],
  }),
};
