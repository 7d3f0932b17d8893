/** Refuses wrong declarations of aggregates when they are made, not at the first record. */
import { PipelineError } from '#pipeline/errors.ts';

/** One wrong setting. */
export interface Problem {
  /** Such as `distinct.precision`. */
  readonly path: string;
  readonly found: string;
  readonly expected: string;
  readonly hint: string;
}

/** Throws GRAPH_INVALID with every problem; nothing when there is none. */
export function refuse(problems: readonly Problem[]): void {
  if (problems.length === 0) return;
  const lines = problems.map(
    ({ path, found, expected, hint }) => `${path}: found ${found}, expected ${expected}; ${hint}`,
  );
  throw new PipelineError('GRAPH_INVALID', lines.join('; '));
}

/** The problem of a setting that must be a whole number from `min` to `max`: none, or one. */
export function wholeNumber(options: {
  path: string;
  value: number;
  min: number;
  max: number;
  hint: string;
}): readonly Problem[] {
  const { path, value, min, max, hint } = options;
  if (Number.isInteger(value) && value >= min && value <= max) return [];
  return [{ path, found: String(value), expected: `a whole number from ${min} to ${max}`, hint }];
}
