/** Decimal logarithm of doubles, the same on every machine and every version of Node. `Math.log10` promises neither. */

/** 2 artanh(s) = 2 (s + s^3/3 + s^5/5 + ...); with s up to 0.172 what is left out is below 1e-18 of the sum. */
const COEFFICIENTS = Array.from({ length: 12 }, (_, index) => 1 / (2 * index + 1)).reverse();
const LOG10_OF_2 = Math.LOG10E * Math.LN2;
const EXPONENT_BIAS = 1_023;
const MANTISSA_BITS = 0xf_ffff;

const bits = new DataView(new ArrayBuffer(8));

/**
 * Made of additions, multiplications and divisions alone, which IEEE 754 rounds in one way. Within a few units in the
 * last place. RangeError for what is not a finite number of at least 2^-1022.
 */
export function log10(x: number): number {
  if (!(x >= 2 ** -1_022 && x < Number.POSITIVE_INFINITY))
    throw new RangeError(`expected a finite number above 0, found ${x}`);
  bits.setFloat64(0, x);
  const high = bits.getUint32(0);
  let exponent = (high >>> 20) - EXPONENT_BIAS;
  bits.setUint32(0, ((EXPONENT_BIAS << 20) | (high & MANTISSA_BITS)) >>> 0);
  let mantissa = bits.getFloat64(0);
  if (mantissa > Math.SQRT2) {
    mantissa /= 2;
    exponent += 1;
  }
  const s = (mantissa - 1) / (mantissa + 1);
  const square = s * s;
  let sum = 0;
  for (const coefficient of COEFFICIENTS) sum = sum * square + coefficient;
  return exponent * LOG10_OF_2 + 2 * s * sum * Math.LOG10E;
}
