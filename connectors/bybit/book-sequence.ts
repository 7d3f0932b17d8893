/** Update ids of one order book: which updates are missing, and when a snapshot has made up for them. Pure. */

/** Update ids, both included. */
export interface UpdateRange {
  readonly first: number;
  readonly last: number;
}

export interface BookSequence {
  /** Takes a snapshot: it replaces the book, so every range missing so far is repaired. */
  snapshot(updateId: number): {
    /** The first of this connection. */
    readonly isFirst: boolean;
    /** Updates between the last one known and the snapshot; null when there are none. */
    readonly missing: UpdateRange | null;
    /** Includes `missing`. */
    readonly repaired: readonly UpdateRange[];
  };
  /** Takes a delta; a range when updates before it are missing. */
  delta(updateId: number): UpdateRange | null;
  /** The next snapshot is the first of a new connection. What was last known stays known. */
  reconnect(): void;
}

/**
 * `u` rises by exactly 1 with every delta in all recordings. A lower or equal one is old news and is let pass; deltas
 * before any snapshot cannot be judged and are let pass too. A snapshot may start anywhere (service restart: 1).
 */
export function createBookSequence(): BookSequence {
  let expected: number | null = null;
  let hasSnapshot = false;
  let awaiting: UpdateRange[] = [];

  const missingBefore = (updateId: number): UpdateRange | null => {
    if (expected === null || updateId <= expected) return null;
    const range = { first: expected, last: updateId - 1 };
    awaiting.push(range);
    return range;
  };

  return {
    snapshot(updateId) {
      const isFirst = !hasSnapshot;
      const missing = missingBefore(updateId);
      const repaired = awaiting;
      awaiting = [];
      hasSnapshot = true;
      expected = updateId + 1;
      return { isFirst, missing, repaired };
    },
    delta(updateId) {
      if (!hasSnapshot || expected === null || updateId < expected) return null;
      const missing = missingBefore(updateId);
      expected = updateId + 1;
      return missing;
    },
    reconnect() {
      hasSnapshot = false;
    },
  };
}
