import { describe, expect, test } from 'vitest';
import { createModel, type Expected } from './model.ts';

const settings = { windowMs: 1_000, graceMs: 100, silenceMs: 700, partitions: 1, partitionOf: () => 0 };

/** Readings as (partition, log time, sensor, value, event time), numbered in their order. */
function run(
  readings: readonly (readonly [number, number, string, number, number])[],
  boundMs: number,
): readonly Expected[] {
  const model = createModel(settings);
  for (const [number, [partition, logTimeMs, sensor, value, eventTimeMs]] of readings.entries())
    model.add({ partition, offset: number, logTimeMs, number, sensor, value, eventTimeMs });
  return model.advance(boundMs);
}

const of = (outputs: readonly Expected[], topic: string): readonly unknown[] =>
  outputs
    .filter(({ stream }) => stream.startsWith(`${topic}/`))
    .map(({ logTimeMs, key, fields }) => [logTimeMs, key, ...fields]);

describe('what the campaign expects', () => {
  test('is in the order of log time and then partition, however it was read', () => {
    const outputs = run(
      [
        [1, 20, 'b1', 2, 20],
        [0, 20, 'a1', 1, 20],
        [0, 10, 'b2', 3, 10],
      ],
      1_000,
    );
    expect(of(outputs, 'scaled').map((line) => String(line))).toEqual([
      '10,b2,2,b2,9,10',
      '20,a1,1,a1,3,20',
      '20,b1,0,b1,6,20',
    ]);
    expect(of(outputs, 'totals')).toEqual([
      [10, 'b', 2, 1, 9],
      [20, 'a', 1, 1, 3],
      [20, 'b', 0, 2, 15],
    ]);
  });

  test('closes windows by the greatest event time, in the order of keys, and tells what came late', () => {
    const outputs = run(
      [
        [0, 10, 'b1', 1, 500],
        [0, 20, 'a1', 2, 900],
        [0, 30, 'a1', 4, 1_100],
        [0, 40, 'a1', 5, 999],
      ],
      1_000,
    );
    expect(of(outputs, 'tallies')).toEqual([
      [30, 'a1', 0, 1, 6],
      [30, 'b1', 0, 1, 3],
      [40, 'a1', 0, 0, 15],
    ]);
  });

  test('fires timers at their time, and before what happens then', () => {
    expect(of(run([[0, 10, 'a1', 1, 10]], 711), 'hushes')).toEqual([[710, 'a1', 1]]);
    expect(of(run([[0, 10, 'a1', 1, 10]], 710), 'hushes')).toEqual([]);
    const outputs = run(
      [
        [0, 10, 'a1', 1, 10],
        [0, 709, 'a1', 1, 10],
        [0, 1_409, 'a1', 1, 10],
      ],
      1_410,
    );
    expect(of(outputs, 'hushes')).toEqual([[1_409, 'a1', 2]]);
  });
});
