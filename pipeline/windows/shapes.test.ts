import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createGrid, hopping, tumbling, type WindowShape } from './shapes.ts';

const MINUTE = 60_000;

test('a grid of a minute and five minutes by one has slices of a minute', () => {
  const grid = createGrid({
    minute: tumbling({ sizeMs: MINUTE }),
    five: hopping({ sizeMs: 5 * MINUTE, advanceMs: MINUTE }),
  });
  expect(grid.sliceMs).toBe(MINUTE);
  expect(grid.spansOf(10 * MINUTE).map(({ name, startMs }) => `${name} ${startMs / MINUTE}`)).toEqual([
    'five 6',
    'five 7',
    'five 8',
    'five 9',
    'five 10',
    'minute 10',
  ]);
  expect([grid.firstEndOf(10 * MINUTE), grid.lastEndOf(10 * MINUTE)]).toEqual([11 * MINUTE, 15 * MINUTE]);
  expect(grid.spansEndingAt(11 * MINUTE)).toEqual([
    { name: 'five', startMs: 6 * MINUTE, endMs: 11 * MINUTE },
    { name: 'minute', startMs: 10 * MINUTE, endMs: 11 * MINUTE },
  ]);
});

describe('a grid', () => {
  const shape: fc.Arbitrary<WindowShape> = fc
    .record({ sizeMs: fc.integer({ min: 1, max: 60 }), by: fc.integer({ min: 1, max: 60 }) })
    .map(({ sizeMs, by }) => ({ sizeMs, advanceMs: Math.min(sizeMs, by) }));
  const shapes = fc.record({ a: shape, b: shape });

  test('finds every window that holds a time, and only those', () => {
    fc.assert(
      fc.property(shapes, fc.integer({ min: -500, max: 500 }), (of, timeMs) => {
        const grid = createGrid(of);
        const slice = grid.sliceOf(timeMs);
        expect(slice <= timeMs && timeMs < slice + grid.sliceMs).toBe(true);
        const expected: string[] = [];
        for (let startMs = timeMs - 60; startMs <= timeMs; startMs++) {
          for (const name of ['a', 'b'] as const) {
            const { sizeMs, advanceMs } = of[name];
            if (startMs % advanceMs === 0 && timeMs < startMs + sizeMs) expected.push(`${name} ${startMs}`);
          }
        }
        const spans = grid.spansOf(slice);
        expect(spans.map(({ name, startMs }) => `${name} ${startMs}`)).toEqual(expected);
        const ends = spans.map(({ endMs }) => endMs);
        if (ends.length > 0) {
          expect([grid.firstEndOf(slice), grid.lastEndOf(slice)]).toEqual([
            Math.min(...ends),
            Math.max(...ends),
          ]);
        }
        for (const span of spans) {
          expect(grid.spansEndingAt(span.endMs)).toContainEqual(span);
          expect(grid.spanAt(span.name, span.startMs)).toEqual(span);
        }
      }),
    );
  });

  test('knows the first slice that is still needed', () => {
    fc.assert(
      fc.property(shapes, fc.integer({ min: -500, max: 500 }), (of, timeMs) => {
        const grid = createGrid(of);
        const first = grid.firstSliceEndingAfter(timeMs);
        expect(grid.lastEndOf(first)).toBeGreaterThan(timeMs);
        expect(grid.lastEndOf(first - grid.sliceMs)).toBeLessThanOrEqual(timeMs);
      }),
    );
  });
});
