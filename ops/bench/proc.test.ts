import { expect, test } from 'vitest';
import { cpuSeconds, peaksByMinute, residentMemory, slopePerMinute, totalOf } from './proc.ts';

const PAGE = `# HELP baleen_produced_records_total records written by tasks
# TYPE baleen_produced_records_total counter
baleen_produced_records_total{topic="market.trades.v1"} 120
baleen_produced_records_total{topic="chain.transfers.v1"} 30
baleen_produced_records_total{topic="chain.transfers.v1",place="x"} 5
baleen_lag_records 7
`;

test('series of a metric are added up, those of one label alone when it is asked for', () => {
  expect(totalOf(PAGE, 'baleen_produced_records_total')).toBe(155);
  expect(totalOf(PAGE, 'baleen_produced_records_total', { topic: 'chain.transfers.v1' })).toBe(35);
  expect(totalOf(PAGE, 'baleen_lag_records')).toBe(7);
  expect(totalOf(PAGE, 'baleen_lag')).toBe(0);
});

test('a process sees its own CPU and memory', () => {
  expect(cpuSeconds(process.pid)).toBeGreaterThan(0);
  const { mib, ownMiB } = residentMemory(process.pid);
  expect(ownMiB).toBeGreaterThan(10);
  expect(mib).toBeGreaterThan(ownMiB);
  expect(() => cpuSeconds(2 ** 30)).toThrow();
});

test('the slope of memory is that of the line through its samples', () => {
  const at = (minute: number, mib: number) => ({ minute, mib });
  expect(slopePerMinute([at(0, 300), at(1, 302), at(2, 304)])).toBeCloseTo(2);
  expect(slopePerMinute([at(0, 300), at(1, 310), at(2, 300)])).toBeCloseTo(0);
  expect(slopePerMinute([at(0, 300)])).toBe(0);
});

test('the course of memory is the peak of each minute', () => {
  const points = [0, 0.5, 0.9, 1.1, 1.9, 2].map((minute) => ({ minute, mib: 300 - minute * 10 }));
  expect(peaksByMinute(points)).toEqual([300, 289, 280]);
});
