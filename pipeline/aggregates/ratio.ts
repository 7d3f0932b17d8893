/** From exact numbers to doubles and back, by stated rules. */
import { numberToDecimalText, roundHalfEven, toRawAmount } from '#pipeline/amounts.ts';

/**
 * The double nearest to `numerator / denominator`, ties to even; the denominator is positive, and the ratio 0 or above
 * 1e-290 in magnitude. Null when it is beyond the range of doubles.
 */
export function ratioToNumber(numerator: bigint, denominator: bigint): number | null {
  if (numerator === 0n) return 0;
  const magnitude = numerator < 0n ? -numerator : numerator;
  // Shifted so that the quotient has at least 60 bits. Its last bit also stands for all bits below it: with 54 or more
  // above, `Number` then rounds as if it saw them.
  const shift = 64 + bitLength(denominator) - bitLength(magnitude);
  const dividend = shift > 0 ? magnitude << BigInt(shift) : magnitude;
  const divisor = shift < 0 ? denominator << BigInt(-shift) : denominator;
  let quotient = dividend / divisor;
  if (quotient * divisor !== dividend) quotient |= 1n;
  const value = timesPowerOfTwo(Number(quotient), -shift);
  if (value === Number.POSITIVE_INFINITY) return null;
  return numerator < 0n ? -value : value;
}

/** Of a positive number; up to 3 too many. */
const bitLength = (value: bigint): number => value.toString(16).length * 4;

/** Steps that are exact, unlike `2 ** exponent` whose rounding the language leaves open. */
function timesPowerOfTwo(value: number, exponent: number): number {
  const step = 1 << 30;
  let [result, left] = [value, exponent];
  for (; left >= 30; left -= 30) result *= step;
  for (; left <= -30; left += 30) result /= step;
  return left >= 0 ? result * (1 << left) : result / (1 << -left);
}

/** Powers of ten up to this one are exact doubles. */
const MAX_EXACT_POWER = 22;
/** Decimals of so many digits differ as doubles too. */
const FIFTEEN_DIGITS = 1e15;

/**
 * Makes whole numbers of units of 10^-scale: the value as decimal text (of a double the shortest that reads back as it),
 * rounded half to even. Throws RangeError on what is no number, such as NaN or other text.
 */
export function quantiser(scale: number): (value: number | bigint | string) => bigint {
  const units = 10n ** BigInt(scale);
  const factor = scale <= MAX_EXACT_POWER ? Number(units) : null;
  return (value) => {
    if (typeof value === 'bigint') return value * units;
    if (typeof value === 'string') return fromText(value, scale);
    if (factor !== null) {
      const candidate = Math.round(value * factor);
      // Then candidate / factor is a decimal of at most 15 digits that reads as `value`, thus the shortest one.
      if (candidate / factor === value && Math.abs(candidate) < FIFTEEN_DIGITS) return BigInt(candidate);
    }
    const text = numberToDecimalText(value);
    if (text === null) throw new RangeError(`expected a finite number, found ${value}`);
    return fromText(text, scale);
  };
}

function fromText(text: string, scale: number): bigint {
  const exact = toRawAmount(text, scale);
  if (exact !== null) return exact;
  return BigInt(roundHalfEven(text, scale).replace('.', ''));
}
