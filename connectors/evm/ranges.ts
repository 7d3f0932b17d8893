/** A set of whole numbers kept as sorted ranges: a chain seen without holes is one range, however long. */
export interface Range {
  readonly first: number;
  /** Included. */
  readonly last: number;
}

export interface RangeSet {
  /** Takes in a range; neighbours are merged. */
  add(first: number, last: number): void;
  remove(first: number, last: number): void;
  /** In ascending order. */
  readonly ranges: readonly Range[];
  /** How many numbers are in the set. */
  readonly size: number;
}

export function createRangeSet(): RangeSet {
  const ranges: Range[] = [];
  let size = 0;

  /** Index of the first range that ends at `number` or later. */
  const indexOf = (number: number): number => {
    let low = 0;
    let high = ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((ranges[middle]?.last ?? 0) < number) low = middle + 1;
      else high = middle;
    }
    return low;
  };

  /** Takes out the ranges that meet `first..last`. */
  const cut = (first: number, last: number) => {
    const from = indexOf(first);
    let to = from;
    while (to < ranges.length && (ranges[to]?.first ?? 0) <= last) to += 1;
    const met = ranges.splice(from, to - from);
    for (const range of met) size -= range.last - range.first + 1;
    return { from, met };
  };

  const insert = (at: number, parts: readonly Range[]) => {
    ranges.splice(at, 0, ...parts);
    for (const range of parts) size += range.last - range.first + 1;
  };

  return {
    add(first, last) {
      // One wider on both sides, so that neighbours are met too.
      const { from, met } = cut(first - 1, last + 1);
      insert(from, [
        { first: Math.min(first, met[0]?.first ?? first), last: Math.max(last, met.at(-1)?.last ?? last) },
      ]);
    },
    remove(first, last) {
      const { from, met } = cut(first, last);
      const left = { first: met[0]?.first ?? first, last: first - 1 };
      const right = { first: last + 1, last: met.at(-1)?.last ?? last };
      insert(
        from,
        [left, right].filter((range) => range.first <= range.last),
      );
    },
    ranges,
    get size() {
      return size;
    },
  };
}
