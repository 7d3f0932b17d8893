import { expect, test } from 'vitest';
import { emptyRegisters, estimate, markOf } from './hyperloglog.ts';

const registersOf = (from: number, to: number, precision: number): Uint8Array => {
  const registers = emptyRegisters(precision);
  for (let n = from; n < to; n++) {
    const { index, rank } = markOf(`wallet-${n}`, precision);
    registers[index] = Math.max(registers[index] ?? 0, rank);
  }
  return registers;
};

test('nothing is estimated as 0', () => {
  expect(estimate(emptyRegisters(12), 12)).toBe(0);
});

test('full registers give a number', () => {
  expect(estimate(emptyRegisters(4).fill(61), 4)).toBe(Number.POSITIVE_INFINITY);
  expect(Number.isFinite(estimate(emptyRegisters(4).fill(60), 4))).toBe(true);
});

test.each([4, 8, 12, 14])(
  'at precision %d estimates are within four standard errors at any size',
  (precision) => {
    const tolerance = (4 * 1.04) / Math.sqrt(2 ** precision);
    for (const size of [10, 100, 1_000, 5_000, 20_000, 100_000]) {
      const found = estimate(registersOf(0, size, precision), precision);
      expect(Math.abs(found / size - 1), `${size}`).toBeLessThan(tolerance);
    }
  },
);

test('over many sets the error is as promised, and without bias', () => {
  const errors = Array.from({ length: 60 }, (_, set) => {
    const from = set * 4_000;
    return estimate(registersOf(from, from + 4_000, 10), 10) / 4_000 - 1;
  });
  const mean = errors.reduce((a, b) => a + b, 0) / errors.length;
  const rms = Math.sqrt(errors.reduce((a, b) => a + b * b, 0) / errors.length);
  // 1.04 / sqrt(2^10) is 3.25 %.
  expect(rms).toBeGreaterThan(0.02);
  expect(rms).toBeLessThan(0.042);
  expect(Math.abs(mean)).toBeLessThan(0.013);
});
