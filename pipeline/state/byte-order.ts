/** Text as the bytes of keys: its order, and what has no bytes. */

/** For names. Not `localeCompare`: the order must not depend on the machine's language. */
export const byCodeUnits = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Half of a surrogate pair has no bytes: the same replacement wherever a key is kept. */
export const wellFormed = (key: string): string => (key.isWellFormed() ? key : key.toWellFormed());

const isSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdfff;

/**
 * Compares well-formed text by its UTF-8 bytes. Code units have the same order, but for surrogates: they stand for code
 * points above all others.
 */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const unit = a.charCodeAt(at);
    const other = b.charCodeAt(at);
    if (unit === other) continue;
    if (isSurrogate(unit) === isSurrogate(other)) return unit - other;
    return isSurrogate(unit) ? 1 : -1;
  }
  return a.length - b.length;
}

/** From here on the order of code units and that of UTF-8 bytes part: surrogates stand for code points above all others. */
const HIGH = /[\ud800-\uffff]/;

/** Sorts in place and takes out repetitions. */
export function sortKeys(keys: string[]): void {
  // The built-in order is that of code units and needs no callback.
  if (keys.some((key) => HIGH.test(key))) keys.sort(compareUtf8);
  else keys.sort();
  let kept = 0;
  for (const key of keys) {
    if (kept > 0 && keys[kept - 1] === key) continue;
    keys[kept] = key;
    kept += 1;
  }
  keys.length = kept;
}
