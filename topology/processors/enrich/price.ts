/** Prices as of a time: what a source had stated by then, never the latest. */
import type { KeyValueStore } from '#pipeline/state/key-value.ts';

/** A price older than this says nothing about the moment of the transfer. */
export const PRICE_MAX_AGE_MS = 10 * 60_000;

const MINUTE_MS = 60_000;

/** Time in epoch milliseconds, USD as decimal text, source. */
export type PricePoint = readonly [timeMs: number, usd: string, source: string];

/** The points of one asset in one minute of event time, by time, then source. Key: `<asset>:<minute>`. */
export type PriceStore = KeyValueStore<readonly PricePoint[]>;

const keyOf = (asset: string, timeMs: number): string => `${asset}:${Math.floor(timeMs / MINUTE_MS)}`;

const isBefore = (a: PricePoint, b: PricePoint): boolean => a[0] < b[0] || (a[0] === b[0] && a[2] < b[2]);

/** Keeps a price. False when this source had already stated one for that time: the first one stays. */
export function addPrice(store: PriceStore, asset: string, point: PricePoint): boolean {
  const key = keyOf(asset, point[0]);
  const points = store.get(key) ?? [];
  if (points.some((known) => known[0] === point[0] && known[2] === point[2])) return false;
  const at = points.findIndex((known) => isBefore(point, known));
  const index = at === -1 ? points.length : at;
  // The text of its record hangs on the source that was read from it: one of a minute is enough to keep.
  const source = points.find((known) => known[2] === point[2])?.[2] ?? point[2];
  store.put(key, [...points.slice(0, index), [point[0], point[1], source], ...points.slice(index)]);
  return true;
}

/** Forgets a price that its source took back. */
export function removePrice(store: PriceStore, asset: string, timeMs: number, source: string): void {
  const key = keyOf(asset, timeMs);
  const points = store.get(key) ?? [];
  const kept = points.filter((known) => known[0] !== timeMs || known[2] !== source);
  if (kept.length === 0) store.delete(key);
  else store.put(key, kept);
}

/**
 * The last price at or before `timeMs`, at most ten minutes older; null: unknown. Of several sources at one time the
 * first by name is taken.
 */
export function priceAsOf(store: PriceStore, asset: string, timeMs: number): PricePoint | null {
  const oldestMs = timeMs - PRICE_MAX_AGE_MS;
  const firstMinute = Math.floor(oldestMs / MINUTE_MS);
  for (let minute = Math.floor(timeMs / MINUTE_MS); minute >= firstMinute; minute--) {
    let found: PricePoint | null = null;
    for (const point of store.get(`${asset}:${minute}`) ?? []) {
      if (point[0] > timeMs) break;
      if (point[0] >= oldestMs && (found === null || point[0] > found[0])) found = point;
    }
    if (found !== null) return found;
  }
  return null;
}
