/** Checks of the durations in a declaration, for kinds of store. */
import { PipelineError } from '#pipeline/errors.ts';

/** 2^50, about 35,000 years: sums of a few stay exact. */
const MOST_MS = 1_125_899_906_842_624;

/** One line for a duration that is not a whole number of milliseconds of at least `leastMs`; null when it is. */
export const durationProblem = (
  path: string,
  valueMs: number,
  leastMs: number,
  hint: string,
): string | null =>
  Number.isInteger(valueMs) && valueMs >= leastMs && valueMs <= MOST_MS
    ? null
    : `${path}: found ${valueMs}, expected whole milliseconds from ${leastMs} to ${MOST_MS}; ${hint}`;

/** Throws GRAPH_INVALID with all problems; nulls are none. */
export function refuseProblems(problems: readonly (string | null)[]): void {
  const found = problems.filter((problem) => problem !== null);
  if (found.length > 0) throw new PipelineError('GRAPH_INVALID', found.join('; '));
}
