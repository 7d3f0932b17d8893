/**
 * Shapes of windows over event time, and the slices that they share.
 *
 * A window is `[start, end)`, aligned to 1970-01-01T00:00Z. All windows of a store are cut at multiples of one length, the
 * greatest common divisor of their sizes and advances: a record goes into one slice, a window is the sum of its slices.
 */
import { durationProblem } from '#pipeline/state/durations.ts';

/** Windows of `sizeMs` that start at every multiple of `advanceMs`. */
export interface WindowShape {
  readonly sizeMs: number;
  readonly advanceMs: number;
}

/** Windows side by side: each time lies in one. */
export const tumbling = ({ sizeMs }: { readonly sizeMs: number }): WindowShape => ({
  sizeMs,
  advanceMs: sizeMs,
});

/** Windows that overlap: each time lies in about `sizeMs / advanceMs` of them. */
export const hopping = ({ sizeMs, advanceMs }: WindowShape): WindowShape => ({ sizeMs, advanceMs });

/** One window of a named shape; `endMs` is exclusive. */
export interface Span<Name extends string = string> {
  readonly name: Name;
  readonly startMs: number;
  readonly endMs: number;
}

/** Where slices and windows lie. Slices are named by their start. */
export interface Grid<Name extends string = string> {
  readonly sliceMs: number;
  /** Some slice lies in more than one window. */
  readonly overlaps: boolean;
  /** Start of the slice that holds this time. */
  sliceOf(timeMs: number): number;
  /** Least and greatest end of the windows with this slice. */
  firstEndOf(sliceMs: number): number;
  lastEndOf(sliceMs: number): number;
  /** Windows with this slice, by start, then name. */
  spansOf(sliceMs: number): readonly Span<Name>[];
  /** Windows that end at this time, by name. */
  spansEndingAt(endMs: number): readonly Span<Name>[];
  /** Undefined when no window of this name starts there. */
  spanAt(name: Name, startMs: number): Span<Name> | undefined;
  /** The first slice with a window that ends after this time. */
  firstSliceEndingAfter(timeMs: number): number;
}

/** A week of minutes. A window looks at each of its slices when it closes. */
const MAX_SLICES = 10_080;
/** About 300 years; sums of a few with a time stay exact. */
export const MAX_DURATION_MS = 10_000_000_000_000;

const NAME = /^[A-Za-z][A-Za-z0-9_-]*$/;

/** One line for each thing that is wrong. */
export function shapeProblems(path: string, of: Readonly<Record<string, WindowShape>>): string[] {
  const problems: (string | null)[] = [];
  const shapes = Object.entries(of);
  if (shapes.length === 0) {
    problems.push(
      `${path}: found no windows, expected at least one; add one, such as minute: tumbling({ sizeMs: 60_000 })`,
    );
  }
  for (const [name, { sizeMs, advanceMs }] of shapes) {
    const at = `${path}.${name}`;
    if (!NAME.test(name)) {
      problems.push(`${at}: found a name outside ${NAME.source}, expected one like fiveMinutes; rename it`);
    }
    problems.push(lengthProblem(`${at}.sizeMs`, sizeMs, 1, 'a window needs a length'));
    problems.push(lengthProblem(`${at}.advanceMs`, advanceMs, 1, 'windows must start at different times'));
    if (advanceMs > sizeMs) {
      problems.push(
        `${at}.advanceMs: found ${advanceMs}, expected at most sizeMs (${sizeMs}); records between two windows would be in none`,
      );
    }
  }
  if (!problems.some((problem) => problem !== null)) {
    const sliceMs = commonDivisor(of);
    for (const [name, { sizeMs }] of shapes) {
      if (sizeMs / sliceMs <= MAX_SLICES) continue;
      problems.push(
        `${path}.${name}: found ${sizeMs / sliceMs} slices of ${sliceMs} ms, expected at most ${MAX_SLICES}; choose sizes and advances with a larger common divisor, or declare a second store`,
      );
    }
  }
  return problems.filter((problem) => problem !== null);
}

/** Null when the duration is a whole number of milliseconds from `leastMs` to 300 years. */
export const lengthProblem = (path: string, valueMs: number, leastMs: number, hint: string): string | null =>
  valueMs > MAX_DURATION_MS
    ? `${path}: found ${valueMs}, expected at most ${MAX_DURATION_MS} ms; is it in milliseconds?`
    : durationProblem(path, valueMs, leastMs, hint);

/** `of` must be without problems. */
export function createGrid<Name extends string>(of: Readonly<Record<Name, WindowShape>>): Grid<Name> {
  // Names are plain ASCII: code units are bytes.
  const names = (Object.keys(of) as Name[]).sort();
  const shapes = names.map((name) => ({ name, ...of[name] }));
  const sliceMs = commonDivisor(of);

  /** Start of the first window of a shape that holds the slice. */
  const firstStart = (slice: number, { sizeMs, advanceMs }: WindowShape): number =>
    // Plus 0: no -0.
    Math.ceil((slice + sliceMs - sizeMs) / advanceMs) * advanceMs + 0;
  const lastStart = (slice: number, { advanceMs }: WindowShape): number =>
    Math.floor(slice / advanceMs) * advanceMs;
  const lastEndOf = (slice: number): number => {
    let lastMs = Number.NEGATIVE_INFINITY;
    for (const shape of shapes) lastMs = Math.max(lastMs, lastStart(slice, shape) + shape.sizeMs);
    return lastMs;
  };
  const longestMs = Math.max(...shapes.map(({ sizeMs }) => sizeMs));

  return {
    sliceMs,
    overlaps: shapes.length > 1 || shapes.some(({ sizeMs, advanceMs }) => advanceMs < sizeMs),
    sliceOf: (timeMs) => Math.floor(timeMs / sliceMs) * sliceMs,
    firstEndOf: (slice) => {
      let firstMs = Number.POSITIVE_INFINITY;
      for (const shape of shapes) firstMs = Math.min(firstMs, firstStart(slice, shape) + shape.sizeMs);
      return firstMs;
    },
    lastEndOf,
    spansOf: (slice) => {
      const spans: Span<Name>[] = [];
      for (const shape of shapes) {
        const { name, sizeMs, advanceMs } = shape;
        const lastMs = lastStart(slice, shape);
        for (let startMs = firstStart(slice, shape); startMs <= lastMs; startMs += advanceMs) {
          spans.push({ name, startMs, endMs: startMs + sizeMs });
        }
      }
      // Stable: names stay in order.
      return shapes.length === 1 ? spans : spans.sort((a, b) => a.startMs - b.startMs);
    },
    spansEndingAt: (endMs) => {
      const spans: Span<Name>[] = [];
      for (const { name, sizeMs, advanceMs } of shapes) {
        const startMs = endMs - sizeMs;
        if (isMultiple(startMs, advanceMs)) spans.push({ name, startMs, endMs });
      }
      return spans;
    },
    spanAt: (name, startMs) => {
      const { sizeMs, advanceMs } = of[name];
      return isMultiple(startMs, advanceMs) ? { name, startMs, endMs: startMs + sizeMs } : undefined;
    },
    firstSliceEndingAfter: (timeMs) => {
      // No window ends later than `longestMs` after the start of one of its slices.
      let slice = Math.floor((timeMs - longestMs) / sliceMs) * sliceMs;
      while (lastEndOf(slice) <= timeMs) slice += sliceMs;
      return slice;
    },
  };
}

const isMultiple = (value: number, of: number): boolean => value % of === 0;

function commonDivisor(of: Readonly<Record<string, WindowShape>>): number {
  let divisor = 0;
  for (const { sizeMs, advanceMs } of Object.values(of)) divisor = gcd(gcd(divisor, sizeMs), advanceMs);
  return divisor;
}

function gcd(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y !== 0) [x, y] = [y, x % y];
  return x;
}
