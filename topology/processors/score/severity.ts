/** The arithmetic of an alert score (analytics, section 18): log-odds, probability, 0..100. */
import type { Component } from '#schemas/score.ts';

/** What goes in; `value` null: unknown, contributes nothing. */
export type ComponentInput = Pick<Component, 'name' | 'value' | 'sources'>;

export interface Weights {
  readonly bias: number;
  readonly byName: Readonly<Record<string, number>>;
}

export interface Severity {
  /** Sorted by name. */
  readonly components: readonly Component[];
  readonly logOdds: number;
  /** 0..1, rounded to 6 decimals. */
  readonly probability: number;
  /** 0..100 */
  readonly severity: number;
}

/** Rounds to 6 decimals, as all published ratios and probabilities (analytics, section 0). Never -0. */
export const round6 = (value: number): number => Math.round(value * 1_000_000) / 1_000_000 + 0;

/** Sums over sorted names, so that the result does not depend on the order of arrival. Throws RangeError on a name without weight. */
export function severityOf(inputs: readonly ComponentInput[], weights: Weights): Severity {
  const sorted = [...inputs].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const components = sorted.map(({ name, value, sources }) => {
    const weight = Object.hasOwn(weights.byName, name) ? weights.byName[name] : undefined;
    if (weight === undefined) throw new RangeError(`expected a weight for component ${name}, found none`);
    // `+ 0` turns -0, which JSON loses, into 0.
    return { name, value, weight, contribution: value === null ? 0 : weight * value + 0, sources };
  });
  const logOdds = components.reduce((sum, { contribution }) => sum + contribution, weights.bias);
  const probability = round6(1 / (1 + Math.exp(-logOdds)));
  return { components, logOdds, probability, severity: Math.floor(100 * probability + 0.5) };
}
