/**
 * Golden case: windows over the last three records of a key, in the order of the log, whatever their event times.
 *
 * `best` forgets a key after 50 ms of log time without a record, `sums` never. Numbers are milliseconds.
 */
import { max } from '#pipeline/aggregates/extremes.ts';
import { sum } from '#pipeline/aggregates/sum.ts';
import { defineProcessor, type InputRecord, keyed, type ProcessContext } from '#pipeline/processor.ts';
import { jsonCodec } from '#pipeline/state/store.ts';
import { slidingCount } from '#pipeline/windows/sliding-count.ts';
import { asserted, type GoldenCase, inputTopic, lineTopic, type Move } from './case.ts';

const moves = inputTopic('counting');
const lines = lineTopic('counting');

const stores = {
  /** The greatest cannot be taken back: what is left is computed anew. */
  best: slidingCount({
    count: 3,
    aggregate: max((amount: number) => amount),
    emit: 'always',
    inputCodec: jsonCodec<number>(),
    retentionMs: 50,
    changed: ({ key, result, records, revision }, { emit }) =>
      emit(lines, key, { text: `greatest ${result} of ${records}, revision ${revision}` }),
  }),
  sums: slidingCount({
    count: 3,
    aggregate: sum((amount: number) => BigInt(amount)),
    emit: 'when-full',
    inputCodec: jsonCodec<number>(),
    changed: ({ key, result, records, revision }, { emit }) =>
      emit(lines, key, { text: `sum ${result} of ${records}, revision ${revision}` }),
  }),
};

function take({ key, value }: InputRecord<Move>, context: ProcessContext<typeof stores>): void {
  if (value === null) return;
  context.stores.best.add(key, value.amount);
  context.stores.sums.add(key, value.amount);
}

const records: GoldenCase['records'] = [
  asserted(moves, 100, 'a', { id: 'c1', eventTimeMs: 100, amount: 5 }),
  asserted(moves, 101, 'a', { id: 'c2', eventTimeMs: 101, amount: 9 }),
  asserted(moves, 102, 'a', { id: 'c3', eventTimeMs: 102, amount: 2 }),
  asserted(moves, 103, 'a', { id: 'c4', eventTimeMs: 90, amount: 4 }), // the oldest by event time: no matter
  asserted(moves, 104, 'a', { id: 'c5', eventTimeMs: 104, amount: 1 }),
  asserted(moves, 154, 'a', { id: 'c6', eventTimeMs: 154, amount: 3 }), // 50 after c5: still known
  asserted(moves, 205, 'a', { id: 'c7', eventTimeMs: 205, amount: 6 }), // 51 after c6: forgotten
];

const expected: GoldenCase['expected'] = [
  '100 a: greatest 5 of 1, revision 0',
  '101 a: greatest 9 of 2, revision 1',
  '102 a: greatest 9 of 3, revision 2', // 5 9 2
  '102 a: sum 16 of 3, revision 2',
  '103 a: greatest 9 of 3, revision 3', // 9 2 4
  '103 a: sum 15 of 3, revision 3',
  '104 a: greatest 4 of 3, revision 4', // 2 4 1
  '104 a: sum 7 of 3, revision 4',
  '154 a: greatest 4 of 3, revision 5', // 4 1 3
  '154 a: sum 8 of 3, revision 5',
  '205 a: greatest 6 of 1, revision 0',
  '205 a: sum 10 of 3, revision 6', // 1 3 6
];

/** Nothing is late: windows by count know no event time. */
export const counting: GoldenCase = {
  lines,
  records,
  expected,
  processor: defineProcessor({
    name: 'counting',
    summary: 'The greatest and the sum of the last three',
    stores,
    inputs: [keyed(moves, take)],
    outputs: [lines],
  }),
};
