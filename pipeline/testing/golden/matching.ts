/**
 * Golden case: two streams joined by key, inner, left and outer, each closed in another way.
 *
 * A right record belongs to a left one when it lies at most 5 before and 10 after it. Grace 2: the window of a left record
 * closes at its time + 10 + 1 + 2 = + 13, of a right one at + 5 + 1 + 2 = + 8. `inner` closes by stream time; `left` by
 * stream time, or by log time 20 later; `outer` by log time, 4 later. Numbers are milliseconds.
 */

import { joinWindow } from '#pipeline/joins/join-window.ts';
import type { JoinStore } from '#pipeline/joins/joined.ts';
import { defineProcessor, type InputRecord, keyed, type ProcessContext } from '#pipeline/processor.ts';
import { asserted, type GoldenCase, inputTopic, lineTopic, type Move, retracted } from './case.ts';

const orders = inputTopic('orders');
const payments = inputTopic('payments');
const lines = lineTopic('matching');

const common = { beforeMs: 5, afterMs: 10, graceMs: 2 } as const;

/** Sides show their ids; null is `none`. */
type Shown = {
  readonly left: { readonly value: string } | null;
  readonly right: { readonly value: string } | null;
  readonly timeMs: number;
  readonly isRetraction: boolean;
};
const textOf = (kind: string, { left, right, timeMs, isRetraction }: Shown): string =>
  `${kind} ${left?.value ?? 'none'} + ${right?.value ?? 'none'} at ${timeMs}${isRetraction ? ', taken back' : ''}`;

const stores = {
  inner: joinWindow<string, string>({
    ...common,
    kind: 'inner',
    close: { by: 'event-time' },
    joined: (pair, { emit }) => emit(lines, pair.key, { text: textOf('inner', pair) }),
  }),
  left: joinWindow<string, string>({
    ...common,
    kind: 'left',
    close: { by: 'either', delayMs: 20 },
    retentionMs: 50,
    joined: (pair, { emit }) => emit(lines, pair.key, { text: textOf('left', pair) }),
  }),
  outer: joinWindow<string, string>({
    ...common,
    kind: 'outer',
    close: { by: 'log-time', delayMs: 4 },
    retentionMs: 50,
    joined: (pair, { emit }) => emit(lines, pair.key, { text: textOf('outer', pair) }),
  }),
};

type Context = ProcessContext<typeof stores>;

/** Removals go to the joins that take them. */
const joinsFor = (
  { stores: { inner, left, outer } }: Context,
  { op }: Move,
): readonly JoinStore<string, string>[] => (op === 'assert' ? [inner, left, outer] : [left, outer]);

function takeOrder({ key, eventTimeMs, value }: InputRecord<Move>, context: Context): void {
  if (value === null) return;
  const { op, id } = value;
  for (const join of joinsFor(context, value)) {
    if (op === 'assert') join.left(key, eventTimeMs, id, id);
    else join.removeLeft(key, eventTimeMs, id);
  }
}

function takePayment({ key, eventTimeMs, value }: InputRecord<Move>, context: Context): void {
  if (value === null) return;
  const { op, id } = value;
  for (const join of joinsFor(context, value)) {
    if (op === 'assert') join.right(key, eventTimeMs, id, id);
    else join.removeRight(key, eventTimeMs, id);
  }
}

const R1 = { id: 'R1', eventTimeMs: 110 };
const R3 = { id: 'R3', eventTimeMs: 95 };
const L2 = { id: 'L2', eventTimeMs: 104 };

const records: GoldenCase['records'] = [
  asserted(orders, 100, 'a', { id: 'L1', eventTimeMs: 100 }),
  asserted(payments, 101, 'a', R1), // just 10 after it: a pair. Stream time 110.
  // 6 before L1: no pair. Its window closes at 102: late by stream time; by log time, 102 - 4, it is open.
  asserted(payments, 102, 'a', { id: 'R2', eventTimeMs: 94 }),
  asserted(payments, 103, 'a', R3), // just 5 before L1, closes at 103: late but for `outer`
  asserted(orders, 104, 'b', L2),
  asserted(payments, 105, 'b', { id: 'R4', eventTimeMs: 120 }), // 16 after L2: no pair. Stream time 120.
  // L1 has no other pair in `left`, and its window, to 113, is closed; in `outer` it has R3.
  retracted(payments, 107, 'a', R1),
  // In `left` it never was: dropped. In `outer` L1 is alone now, and its window is open: until log time 113 + 4.
  retracted(payments, 108, 'a', R3),
  asserted(orders, 109, 'd', { id: 'L3', eventTimeMs: 109 }), // the other partition: quiet from here on
  retracted(orders, 130, 'b', L2), // had been passed on alone
  asserted(payments, 131, 'a', { id: 'R5', eventTimeMs: 131 }),
  asserted(payments, 132, 'a', { id: 'R6', eventTimeMs: 129 }),
  asserted(orders, 133, 'a', { id: 'L4', eventTimeMs: 130 }), // two pairs, by the time of the partner
];

const expected: GoldenCase['expected'] = [
  '101 a: inner L1 + R1 at 110',
  '101 a: left L1 + R1 at 110',
  '101 a: outer L1 + R1 at 110',
  '103 a: outer L1 + R3 at 100',
  // Stream time 120 has closed L2, at 117.
  '105 b: left L2 + none at 104',
  // R2: 94 + 8, and 4 of log time.
  '106 a: outer none + R2 at 94',
  '107 a: left L1 + R1 at 110, taken back',
  '107 a: left L1 + none at 100',
  '107 a: outer L1 + R1 at 110, taken back',
  '108 a: outer L1 + R3 at 100, taken back',
  '117 a: outer L1 + none at 100',
  // 104 + 13 + 4, and 109 + 13 + 4: log time closes them in both partitions.
  '121 b: outer L2 + none at 104',
  '126 d: outer L3 + none at 109',
  '130 b: left L2 + none at 104, taken back',
  '130 b: outer L2 + none at 104, taken back',
  // 120 + 8 + 4
  '132 b: outer none + R4 at 120',
  '133 a: inner L4 + R6 at 130',
  '133 a: inner L4 + R5 at 131',
  '133 a: left L4 + R6 at 130',
  '133 a: left L4 + R5 at 131',
  '133 a: outer L4 + R6 at 130',
  '133 a: outer L4 + R5 at 131',
  // 109 + 13 + 20: stream time stands still there.
  '142 d: left L3 + none at 109',
];

/** Late: R2 and R3 for `inner` and for `left`. One removal is dropped by `left`. */
export const matching: GoldenCase = {
  lines,
  records,
  expected,
  processor: defineProcessor({
    name: 'matching',
    summary: 'Orders with their payments',
    stores,
    inputs: [keyed(orders, takeOrder), keyed(payments, takePayment)],
    outputs: [lines],
  }),
};
