/**
 * Golden case: tumbling and hopping windows that are emitted when event time closes them: bounds, grace, late and partly
 * late records, retractions on open and closed windows.
 *
 * Windows `ten` [0, 10), [10, 20), ... and `twenty` [0, 20), [10, 30), ...; grace 5, so what ends at 110 closes when the
 * stream time has come to 115. Closed windows are corrected for 20 ms more. Numbers are milliseconds.
 */
import { compose } from '#pipeline/aggregates/compose.ts';
import { count } from '#pipeline/aggregates/count.ts';
import { sum } from '#pipeline/aggregates/sum.ts';
import { defineProcessor, type InputRecord, keyed, type ProcessContext } from '#pipeline/processor.ts';
import { jsonCodec } from '#pipeline/state/store.ts';
import { hopping, tumbling } from '#pipeline/windows/shapes.ts';
import { windows } from '#pipeline/windows/windows.ts';
import { asserted, type GoldenCase, inputTopic, lineTopic, type Move, retracted } from './case.ts';

type Input = { readonly id: string; readonly amount: number };

const moves = inputTopic('closing');
const lines = lineTopic('closing');

const stores = {
  sums: windows({
    of: { ten: tumbling({ sizeMs: 10 }), twenty: hopping({ sizeMs: 20, advanceMs: 10 }) },
    aggregate: compose({ n: count(), total: sum(({ amount }: Input) => BigInt(amount)) }),
    graceMs: 5,
    emit: 'on-close',
    close: { by: 'event-time' },
    retentionMs: 20,
    retracts: true,
    inputCodec: jsonCodec<Input>(),
    changed: ({ name, key, startMs, endMs, result, phase, revision }, { emit }) => {
      const what = result === null ? 'none' : `n ${result.n}, sum ${result.total}`;
      emit(lines, key, { text: `${name} ${startMs}-${endMs}: ${what}, ${phase} ${revision}` });
    },
    late: ({ name, key, startMs, endMs, input, isRetraction }, { emit }) =>
      emit(lines, key, {
        text: `late for ${name} ${startMs}-${endMs}: ${isRetraction ? 'retraction of ' : ''}${input.id}`,
      }),
  }),
};

function take({ key, eventTimeMs, value }: InputRecord<Move>, context: ProcessContext<typeof stores>): void {
  if (value === null) return;
  const { op, id, amount } = value;
  const { sums } = context.stores;
  if (op === 'assert') sums.add(key, eventTimeMs, { id, amount });
  else sums.remove(key, eventTimeMs, { id, amount });
}

/** Amounts are powers of two: a sum says what is in it. */
const x1 = { id: 'x1', eventTimeMs: 100, amount: 1 };
const y1 = { id: 'y1', eventTimeMs: 109, amount: 2 };
const x2 = { id: 'x2', eventTimeMs: 110, amount: 4 };
const x3 = { id: 'x3', eventTimeMs: 114, amount: 8 };
const x4 = { id: 'x4', eventTimeMs: 109, amount: 16 };
const y2 = { id: 'y2', eventTimeMs: 115, amount: 32 };
const x5 = { id: 'x5', eventTimeMs: 108, amount: 64 };
const x6 = { id: 'x6', eventTimeMs: 107, amount: 128 };
const x7 = { id: 'x7', eventTimeMs: 125, amount: 256 };
const z1 = { id: 'z1', eventTimeMs: 100, amount: 512 };
const x8 = { id: 'x8', eventTimeMs: 135, amount: 1_024 };
const x9 = { id: 'x9', eventTimeMs: 145, amount: 2_048 };

const records: GoldenCase['records'] = [
  asserted(moves, 100, 'a', x1), // the first ms of 100-110
  asserted(moves, 101, 'b', y1), // its last ms
  asserted(moves, 102, 'a', x2), // the first ms after it
  asserted(moves, 103, 'a', x3), // stream time 114: 100-110 is open for one ms more
  asserted(moves, 104, 'a', x4), // so this one is in time
  retracted(moves, 105, 'a', x1), // an open window forgets it
  asserted(moves, 106, 'b', y2), // stream time 115 closes what ends at 110, for all keys of the partition
  asserted(moves, 107, 'a', x5), // partly late: twenty 100-120 takes it
  retracted(moves, 108, 'a', x4), // it was in windows that have closed: corrections
  asserted(moves, 109, 'a', x6), // partly late, and taken back from the one window that had it, which is open
  retracted(moves, 110, 'a', x6),
  asserted(moves, 111, 'a', x7), // stream time 125 closes what ends at 120
  asserted(moves, 112, 'd', z1), // in the other partition stream time is 100: nothing is late, and nothing ever closes
  retracted(moves, 113, 'b', y1), // corrects three closed windows
  asserted(moves, 115, 'a', x8), // stream time 135 closes what ends at 130
  retracted(moves, 116, 'a', x3),
  retracted(moves, 117, 'a', x5), // counted in one window alone; late for those that it was late for
  retracted(moves, 118, 'b', y1), // is not there any more: dropped, and counted so
  asserted(moves, 119, 'a', x9), // stream time 145 closes what ends at 140; what ended by 120 is past its retention
  retracted(moves, 120, 'a', x2), // late for the windows to 120, a correction for twenty 110-130
  retracted(moves, 121, 'b', y1), // late for all
];

const expected: GoldenCase['expected'] = [
  // x1 was taken back, x4 is left. By end, name, key.
  '106 a: ten 100-110: n 1, sum 16, final 0',
  '106 b: ten 100-110: n 1, sum 2, final 0',
  '106 a: twenty 90-110: n 1, sum 16, final 0',
  '106 b: twenty 90-110: n 1, sum 2, final 0',
  // By start of the window.
  '107 a: late for twenty 90-110: x5',
  '107 a: late for ten 100-110: x5',
  // Without x4 nothing was in time for them: x5 does not count here.
  '108 a: twenty 90-110: none, correction 1',
  '108 a: ten 100-110: none, correction 1',
  '109 a: late for twenty 90-110: x6',
  '109 a: late for ten 100-110: x6',
  '110 a: late for twenty 90-110: retraction of x6',
  '110 a: late for ten 100-110: retraction of x6',
  // x2 + x3 = 12; with x5 76; y2 = 32, with y1 34.
  '111 a: ten 110-120: n 2, sum 12, final 0',
  '111 b: ten 110-120: n 1, sum 32, final 0',
  '111 a: twenty 100-120: n 3, sum 76, final 0',
  '111 b: twenty 100-120: n 2, sum 34, final 0',
  '113 b: twenty 90-110: none, correction 1',
  '113 b: ten 100-110: none, correction 1',
  '113 b: twenty 100-120: n 1, sum 32, correction 1',
  // x7 = 256, with x2 and x3 268.
  '115 a: ten 120-130: n 1, sum 256, final 0',
  '115 a: twenty 110-130: n 3, sum 268, final 0',
  '115 b: twenty 110-130: n 1, sum 32, final 0',
  // Without x3: x2 + x5 = 68, x2 = 4, x2 + x7 = 260.
  '116 a: twenty 100-120: n 2, sum 68, correction 1',
  '116 a: ten 110-120: n 1, sum 4, correction 1',
  '116 a: twenty 110-130: n 2, sum 260, correction 1',
  '117 a: late for twenty 90-110: retraction of x5',
  '117 a: late for ten 100-110: retraction of x5',
  '117 a: twenty 100-120: n 1, sum 4, correction 2',
  '119 a: ten 130-140: n 1, sum 1024, final 0',
  '119 a: twenty 120-140: n 2, sum 1280, final 0',
  '120 a: late for twenty 100-120: retraction of x2',
  '120 a: late for ten 110-120: retraction of x2',
  '120 a: twenty 110-130: n 1, sum 256, correction 2',
  '121 b: late for twenty 90-110: retraction of y1',
  '121 b: late for ten 100-110: retraction of y1',
  '121 b: late for twenty 100-120: retraction of y1',
];

/** 13 pairs of record and window are late: the lines above. One retraction is dropped. */
export const closing: GoldenCase = {
  lines,
  records,
  expected,
  processor: defineProcessor({
    name: 'closing',
    summary: 'Sums of windows when they close',
    stores,
    inputs: [keyed(moves, take)],
    outputs: [lines],
  }),
};
