/**
 * Golden case: a stream beside a table of versions and a table of last values, both read in every task; and a timer in log
 * time for keys that fall silent.
 *
 * A rate holds from its event time on, for 20 ms; history reaches back 60 ms of log time. A key is silent 50 ms after its
 * last trade. Numbers are milliseconds.
 */
import { asOfTable, broadcastTable } from '#pipeline/joins/tables.ts';
import { defineProcessor, type InputRecord, keyed, type ProcessContext } from '#pipeline/processor.ts';
import { keyValue } from '#pipeline/state/key-value.ts';
import { logTimer } from '#pipeline/state/timer.ts';
import { versioned } from '#pipeline/state/versioned.ts';
import { asserted, type GoldenCase, inputTopic, lineTopic, type Move, retracted } from './case.ts';

const names = inputTopic('names');
const rates = inputTopic('rates');
const trades = inputTopic('trades');
const lines = lineTopic('rating');

const SILENT_MS = 50;
const ASSET = 'x';

const stores = {
  /** By key of the trade. */
  names: keyValue<string>(),
  /** By asset, of which there is one. */
  rates: versioned<number>({ retentionMs: 60, maxAgeMs: 20, sameTime: 'last' }),
  silence: logTimer(),
};

function rate(
  { key, value, logTimeMs }: InputRecord<Move>,
  { stores: { names: known, rates: versions, silence }, emit }: ProcessContext<typeof stores>,
): void {
  if (value === null) return;
  const version = versions.asOf(ASSET, value.eventTimeMs);
  const found = version === undefined ? 'no rate' : `${version.value} since ${version.timeMs}`;
  emit(lines, key, { text: `${value.id} of ${known.get(key) ?? 'nobody'}: ${found}` });
  silence.set(key, logTimeMs + SILENT_MS);
}

const aRate = (atMs: number, eventTimeMs: number, amount: number) =>
  asserted(rates, atMs, ASSET, { id: 'rate', eventTimeMs, amount });
const aTrade = (atMs: number, key: string, id: string, eventTimeMs: number) =>
  asserted(trades, atMs, key, { id, eventTimeMs });

const records: GoldenCase['records'] = [
  // Of one log time the tables come first, though they are written last: topics go by name.
  aTrade(100, 'a', 'T1', 100),
  aRate(100, 100, 10),
  asserted(names, 100, 'a', { id: 'Anna', eventTimeMs: 100 }),
  aTrade(101, 'a', 'T2', 99), // before the first rate
  aRate(102, 110, 11),
  aTrade(103, 'a', 'T3', 105), // not the latest: what held then
  aTrade(104, 'a', 'T4', 110), // from its very time on
  aRate(105, 105, 12), // comes late, between the two
  aTrade(106, 'a', 'T5', 106),
  aTrade(106, 'a', 'T6', 104),
  aRate(107, 105, 13), // of a time that has one: the later one holds
  aTrade(108, 'a', 'T7', 105),
  retracted(rates, 109, ASSET, { id: 'rate', eventTimeMs: 110 }), // from 110 on nothing holds
  aTrade(110, 'a', 'T8', 112),
  aRate(111, 112, 14),
  aTrade(112, 'a', 'T9', 132), // 20 old
  aTrade(113, 'a', 'T10', 133), // 21 old: says nothing
  { topic: names, atMs: 114, key: 'a', value: null },
  aTrade(115, 'a', 'T11', 115),
  aTrade(116, 'd', 'D1', 116), // the other task has the table too; its partition is quiet from here on
  // The horizon is 140: what holds there, the rate of 112, is kept; what came before is forgotten.
  aTrade(200, 'a', 'T12', 112),
  aTrade(201, 'a', 'T13', 107),
  aRate(202, 104, 15), // late, in both tasks: another one followed before the horizon
];

const expected: GoldenCase['expected'] = [
  '100 a: T1 of Anna: 10 since 100',
  '101 a: T2 of Anna: no rate',
  '103 a: T3 of Anna: 10 since 100',
  '104 a: T4 of Anna: 11 since 110',
  '106 a: T5 of Anna: 12 since 105',
  '106 a: T6 of Anna: 10 since 100',
  '108 a: T7 of Anna: 13 since 105',
  '110 a: T8 of Anna: no rate',
  '112 a: T9 of Anna: 14 since 112',
  '113 a: T10 of Anna: no rate',
  '115 a: T11 of nobody: 14 since 112',
  '116 d: D1 of nobody: 14 since 112',
  // 115 + 50, and 116 + 50.
  '165 a: silent',
  '166 d: silent',
  '200 a: T12 of nobody: 14 since 112',
  '201 a: T13 of nobody: no rate',
  '251 a: silent',
];

/** The last rate is late twice, once in each task. */
export const rating: GoldenCase = {
  lines,
  records,
  expected,
  processor: defineProcessor({
    name: 'rating',
    summary: 'Trades with the rate and the name of their time',
    stores,
    inputs: [
      keyed(trades, rate),
      broadcastTable(names, 'names', ({ id }) => id),
      asOfTable(rates, 'rates', 'broadcast', ({ op, amount }) => (op === 'retract' ? null : amount)),
    ],
    onTimer: { silence: ({ key }, { emit }) => emit(lines, key, { text: 'silent' }) },
    outputs: [lines],
  }),
};
