/** Sorted lists of text. */

/** Where `text` is in a list sorted by code units, or where it belongs: the first place with nothing less than it. */
export function placeOf(list: readonly string[], text: string): number {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((list[middle] ?? '') < text) low = middle + 1;
    else high = middle;
  }
  return low;
}
