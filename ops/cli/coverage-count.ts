import type { Coverage } from '#schemas/coverage.ts';

export interface CoverageCount {
  /** Distinct numbers seen. */
  readonly seen: number;
  /** Numbers known to be missing and not repaired. */
  readonly missing: number;
  readonly repaired: number;
  /** Runs of missing numbers. */
  readonly holes: number;
}

/** Counts a ledger by `source`, receipts apart as `source:receipts`; entries repeated after a crash count once. */
export function countCoverage(entries: readonly Coverage[]): Record<string, CoverageCount> {
  const groups = Map.groupBy(entries, ({ source, what }) =>
    what === 'receipts' ? `${source}:receipts` : source,
  );
  return Object.fromEntries(
    [...groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, group]) => [name, count(group)]),
  );
}

function count(entries: readonly Coverage[]): CoverageCount {
  const distinct = (...states: readonly Coverage['state'][]) => {
    const chosen = entries.filter(({ state }) => states.includes(state));
    return [...new Map(chosen.map((entry) => [`${entry.first}-${entry.last}`, entry])).values()];
  };
  const size = (ranges: readonly Coverage[]) =>
    ranges.reduce((sum, { first, last }) => sum + Number(last - first + 1n), 0);
  const repaired = size(distinct('repaired'));
  const missing = distinct('missing', 'unavailable');
  return { seen: size(distinct('seen')), missing: size(missing) - repaired, repaired, holes: missing.length };
}
