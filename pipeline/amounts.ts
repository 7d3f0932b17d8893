/**
 * Exact amounts: raw integers of the smallest unit, and decimal text. All arithmetic is on bigint.
 *
 * Decimal text has an optional sign, an integer part and an optional fraction; no exponent. What these functions
 * return is canonical: no trailing zeros in the fraction, no leading zeros, no "-0" (analytics, section 1).
 */

/** Longer text is refused unread: uint256 with 255 decimals times a price stays below it. */
const MAX_LENGTH = 400;
/** ERC-20 stores decimals in a uint8. */
const MAX_DECIMALS = 255;

const ZERO = 48;
const NINE = 57;
const DOT = 46;
const MINUS = 45;

interface Scaled {
  readonly digits: bigint;
  /** value = digits / 10^scale */
  readonly scale: number;
}

const TEN: readonly bigint[] = Array.from({ length: 64 }, (_, n) => 10n ** BigInt(n));
const ZEROS: readonly string[] = TEN.map((_, n) => '0'.repeat(n));
const powerOfTen = (exponent: number): bigint => TEN[exponent] ?? 10n ** BigInt(exponent);

function scan(text: string): Scaled | null {
  if (text.length === 0 || text.length > MAX_LENGTH) return null;
  const start = text.charCodeAt(0) === MINUS ? 1 : 0;
  let dot = -1;
  for (let i = start; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= ZERO && code <= NINE) continue;
    // A dot needs a digit on both sides.
    if (code !== DOT || dot !== -1 || i === start || i === text.length - 1) return null;
    dot = i;
  }
  if (start === text.length) return null;
  if (dot === -1) return { digits: BigInt(text), scale: 0 };
  return { digits: BigInt(text.slice(0, dot) + text.slice(dot + 1)), scale: text.length - 1 - dot };
}

function scaled(text: string): Scaled {
  const value = scan(text);
  if (value === null) {
    throw new RangeError(`expected decimal text such as 12.5, found ${JSON.stringify(text.slice(0, 40))}`);
  }
  return value;
}

function write({ digits, scale }: Scaled): string {
  return digits < 0n ? `-${placePoint((-digits).toString(), scale)}` : placePoint(digits.toString(), scale);
}

/**
 * `digits` / 10^decimals as decimal text, exact, without making a number of them: `('1500000', 6)` is `"1.5"`. Digits
 * alone, without leading zeros; decimals not negative.
 */
export function placePoint(digits: string, decimals: number): string {
  const { length } = digits;
  let end = length;
  const point = length - decimals;
  const firstDigit = Math.max(point, 0);
  while (end > firstDigit && digits.charCodeAt(end - 1) === ZERO) end--;
  if (point > 0)
    return end === point ? digits.slice(0, point) : `${digits.slice(0, point)}.${digits.slice(point, end)}`;
  return end === 0 ? '0' : `0.${ZEROS[-point] ?? '0'.repeat(-point)}${digits.slice(0, end)}`;
}

/** Is this decimal text (any sign, no exponent, at most 400 characters)? */
export const isDecimalText = (text: string): boolean => scan(text) !== null;

/** Is this a whole number of decimals that a token can have, 0..255? */
export const isDecimals = (decimals: number): boolean =>
  Number.isInteger(decimals) && decimals >= 0 && decimals <= MAX_DECIMALS;

/** A raw amount in whole units, exact: `(1500000n, 6)` is `"1.5"`. Throws RangeError on decimals outside 0..255. */
export function toDecimalText(raw: bigint, decimals: number): string {
  if (!isDecimals(decimals))
    throw new RangeError(`expected decimals from 0 to ${MAX_DECIMALS}, found ${decimals}`);
  return write({ digits: raw, scale: decimals });
}

/** The raw amount of decimal text, the inverse of `toDecimalText`; null when it is finer than the smallest unit. */
export function toRawAmount(text: string, decimals: number): bigint | null {
  if (!isDecimals(decimals))
    throw new RangeError(`expected decimals from 0 to ${MAX_DECIMALS}, found ${decimals}`);
  const { digits, scale } = scaled(text);
  if (scale <= decimals) return digits * powerOfTen(decimals - scale);
  const divisor = powerOfTen(scale - decimals);
  return digits % divisor === 0n ? digits / divisor : null;
}

/** Exact product of two decimal texts. Throws RangeError when one is not decimal text. */
export function multiplyDecimals(a: string, b: string): string {
  const left = scaled(a);
  const right = scaled(b);
  return write({ digits: left.digits * right.digits, scale: left.scale + right.scale });
}

/** Negative, zero or positive, as `a` is less than, equal to or greater than `b`. Throws RangeError. */
export function compareDecimals(a: string, b: string): -1 | 0 | 1 {
  const left = scaled(a);
  const right = scaled(b);
  const scale = Math.max(left.scale, right.scale);
  const x = left.digits * powerOfTen(scale - left.scale);
  const y = right.digits * powerOfTen(scale - right.scale);
  return x < y ? -1 : x > y ? 1 : 0;
}

/** Rounded half to even, with exactly `places` digits of fraction: for people, never for tests. Throws RangeError. */
export function roundHalfEven(text: string, places: number): string {
  const { digits, scale } = scaled(text);
  let rounded = digits * powerOfTen(Math.max(0, places - scale));
  if (scale > places) {
    const divisor = powerOfTen(scale - places);
    const magnitude = digits < 0n ? -digits : digits;
    const twice = (magnitude % divisor) * 2n;
    let quotient = magnitude / divisor;
    if (twice > divisor || (twice === divisor && quotient % 2n === 1n)) quotient += 1n;
    rounded = digits < 0n ? -quotient : quotient;
  }
  const isNegative = rounded < 0n;
  const padded = (isNegative ? -rounded : rounded).toString().padStart(places + 1, '0');
  const point = padded.length - places;
  return (isNegative ? '-' : '') + padded.slice(0, point) + (places === 0 ? '' : `.${padded.slice(point)}`);
}

/** Decimal text with commas between thousands, for people. Throws RangeError. */
export function groupThousands(text: string): string {
  scaled(text);
  const start = text.charCodeAt(0) === MINUS ? 1 : 0;
  const dot = text.indexOf('.');
  let end = dot === -1 ? text.length : dot;
  let grouped = text.slice(end);
  for (; end - start > 3; end -= 3) grouped = `,${text.slice(end - 3, end)}${grouped}`;
  return text.slice(0, end) + grouped;
}

/** The shortest decimal text of a double, without exponent; null when it is not finite. */
export function numberToDecimalText(value: number): string | null {
  if (!Number.isFinite(value)) return null;
  const text = String(value);
  const e = text.indexOf('e');
  if (e === -1) return text;
  const exponent = Number(text.slice(e + 1));
  const { digits, scale } = scaled(text.slice(0, e));
  const places = scale - exponent;
  return places >= 0
    ? write({ digits, scale: places })
    : write({ digits: digits * powerOfTen(-places), scale: 0 });
}
