/**
 * Golden case: windows that are emitted with each update, and windows that log time closes, also of a quiet key and in a
 * quiet partition.
 *
 * Of `best`, what ends at 110 is closed when the stream time has come to 115 or the log time to 118, whichever is first;
 * nothing is emitted then. Of `seen`, it closes at log time 118. Numbers are milliseconds.
 */
import { compose } from '#pipeline/aggregates/compose.ts';
import { count } from '#pipeline/aggregates/count.ts';
import { max } from '#pipeline/aggregates/extremes.ts';
import {
  defineProcessor,
  type InputRecord,
  keyed,
  MAX_AHEAD_MS,
  type ProcessContext,
} from '#pipeline/processor.ts';
import { jsonCodec } from '#pipeline/state/store.ts';
import { hopping, tumbling } from '#pipeline/windows/shapes.ts';
import { windows } from '#pipeline/windows/windows.ts';
import { asserted, type GoldenCase, inputTopic, lineTopic, type Move, retracted } from './case.ts';

type Input = { readonly id: string; readonly amount: number };

const moves = inputTopic('updating');
const lines = lineTopic('updating');

const ten = tumbling({ sizeMs: 10 });

const stores = {
  /** The greatest cannot be taken back from a state: inputs are kept. */
  best: windows({
    of: { ten, twenty: hopping({ sizeMs: 20, advanceMs: 10 }) },
    aggregate: compose({ n: count(), greatest: max(({ amount }: Input) => amount) }),
    graceMs: 5,
    emit: 'on-update',
    close: { by: 'either', delayMs: 3 },
    retracts: true,
    inputCodec: jsonCodec<Input>(),
    changed: ({ name, key, startMs, endMs, result, phase, revision }, { emit }) => {
      const what = result === null ? 'none' : `n ${result.n}, greatest ${result.greatest}`;
      emit(lines, key, { text: `${name} ${startMs}-${endMs}: ${what}, ${phase} ${revision}` });
    },
    late: ({ name, key, startMs, endMs, input, isRetraction }, { emit }) =>
      emit(lines, key, {
        text: `late for ${name} ${startMs}-${endMs}: ${isRetraction ? 'retraction of ' : ''}${input.id}`,
      }),
  }),
  seen: windows({
    of: { ten },
    aggregate: count(),
    graceMs: 5,
    emit: 'on-close',
    close: { by: 'log-time', delayMs: 3 },
    changed: ({ key, startMs, endMs, result, phase }, { emit }) =>
      emit(lines, key, { text: `seen ${startMs}-${endMs}: n ${result}, ${phase}` }),
  }),
};

function take({ key, eventTimeMs, value }: InputRecord<Move>, context: ProcessContext<typeof stores>): void {
  if (value === null) return;
  const { op, id, amount } = value;
  const { best, seen } = context.stores;
  if (op === 'retract') {
    best.remove(key, eventTimeMs, { id, amount });
    return;
  }
  best.add(key, eventTimeMs, { id, amount });
  seen.add(key, eventTimeMs, null);
}

const u1 = { id: 'u1', eventTimeMs: 100, amount: 5 };
const u2 = { id: 'u2', eventTimeMs: 104, amount: 3 };

const records: GoldenCase['records'] = [
  asserted(moves, 100, 'a', u1),
  asserted(moves, 103, 'a', u2),
  asserted(moves, 104, 'd', { id: 'v1', eventTimeMs: 104, amount: 7 }), // the other partition: quiet from here on
  asserted(moves, 105, 'b', { id: 'w1', eventTimeMs: 109, amount: 2 }), // a key that is quiet from here on
  asserted(moves, 112, 'a', { id: 'u3', eventTimeMs: 112, amount: 4 }),
  retracted(moves, 113, 'a', u1), // all its windows are open
  // Stream time is 112, so it is log time that has closed what ends at 110.
  asserted(moves, 118, 'a', { id: 'u4', eventTimeMs: 109, amount: 9 }),
  retracted(moves, 119, 'a', u2),
  // One ms too far ahead: put aside, and stream time does not move.
  asserted(moves, 120, 'a', { id: 'u5', eventTimeMs: 120 + MAX_AHEAD_MS + 1, amount: 1 }),
];

const expected: GoldenCase['expected'] = [
  // By start of the window, then name.
  '100 a: twenty 90-110: n 1, greatest 5, update 0',
  '100 a: ten 100-110: n 1, greatest 5, update 0',
  '100 a: twenty 100-120: n 1, greatest 5, update 0',
  '103 a: twenty 90-110: n 2, greatest 5, update 1',
  '103 a: ten 100-110: n 2, greatest 5, update 1',
  '103 a: twenty 100-120: n 2, greatest 5, update 1',
  '104 d: twenty 90-110: n 1, greatest 7, update 0',
  '104 d: ten 100-110: n 1, greatest 7, update 0',
  '104 d: twenty 100-120: n 1, greatest 7, update 0',
  '105 b: twenty 90-110: n 1, greatest 2, update 0',
  '105 b: ten 100-110: n 1, greatest 2, update 0',
  '105 b: twenty 100-120: n 1, greatest 2, update 0',
  '112 a: twenty 100-120: n 3, greatest 5, update 2',
  '112 a: ten 110-120: n 1, greatest 4, update 0',
  '112 a: twenty 110-130: n 1, greatest 4, update 0',
  // u2 = 3 is left; in 100-120 there is u3 = 4.
  '113 a: twenty 90-110: n 1, greatest 3, update 2',
  '113 a: ten 100-110: n 1, greatest 3, update 2',
  '113 a: twenty 100-120: n 2, greatest 4, update 3',
  // The timer of `seen` comes before the record of its time. It knows no retractions: u1, u2.
  '118 a: seen 100-110: n 2, final',
  '118 b: seen 100-110: n 1, final',
  '118 a: late for twenty 90-110: u4',
  '118 a: late for ten 100-110: u4',
  '118 a: twenty 100-120: n 3, greatest 9, update 4',
  '118 d: seen 100-110: n 1, final',
  // Closed windows are not kept: the retraction is late for them.
  '119 a: late for twenty 90-110: retraction of u2',
  '119 a: late for ten 100-110: retraction of u2',
  '119 a: twenty 100-120: n 2, greatest 9, update 5',
  // u3: nothing comes after it that would move event time.
  '128 a: seen 110-120: n 1, final',
];

/** `best` has 4 late pairs, the lines above; `seen` one: u4. */
export const updating: GoldenCase = {
  lines,
  records,
  expected,
  processor: defineProcessor({
    name: 'updating',
    summary: 'The greatest of windows with each update, and counts when log time closes them',
    stores,
    inputs: [keyed(moves, take)],
    outputs: [lines],
  }),
};
