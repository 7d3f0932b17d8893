/** Readers of option values. What they refuse is an error of usage. */
import { InvalidArgumentError } from 'commander';

/** A whole number within limits, both included. */
export const wholeNumber =
  (least: number, most: number = Number.MAX_SAFE_INTEGER) =>
  (text: string): number => {
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new InvalidArgumentError(
      `Expected a whole number ${most === Number.MAX_SAFE_INTEGER ? `from ${least} on` : `from ${least} to ${most}`}.`,
    );
  };

/** A positive factor, or `max`. */
export function speed(text: string): number | 'max' {
  if (text === 'max') return 'max';
  const value = /^\d{1,6}(\.\d{1,6})?$/.test(text) ? Number(text) : Number.NaN;
  if (value > 0) return value;
  throw new InvalidArgumentError('Expected a positive number such as 1 or 10, or max.');
}

/** Options that may be given again. */
export const collect = (text: string, before: readonly string[]): readonly string[] => [...before, text];
