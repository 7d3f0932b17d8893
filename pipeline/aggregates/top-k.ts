/** The most frequent values. */
import type { Aggregate } from './aggregate.ts';
import { refuse, wholeNumber } from './declaration.ts';
import { placeOf } from './sorted.ts';

export interface HeavyHitter {
  readonly item: string;
  /** At least the true count. */
  readonly count: number;
  /** The true count is at least `count - overcount`; at most inputs / counters. */
  readonly overcount: number;
}

/** Sorted by item, by code units. */
interface Counters {
  readonly items: readonly string[];
  readonly hitters: readonly HeavyHitter[];
}

export interface TopKOptions {
  /** How many are shown. */
  readonly k: number;
  /** How many are counted: the more, the more exact; at least `k`, at most 10,000. */
  readonly counters: number;
}

/**
 * The `k` most frequent texts `of(input)` with their counts, the most frequent first, ties by code units: space-saving
 * (Metwally, Agrawal, El Abbadi, ICDT 2005). No count is too low; none is too high by more than inputs / counters, and no
 * text that came more often than that is missing among the counters, also after merges (Cafaro, Pulimeno, Tempesta,
 * Information Sciences 329, 2016).
 *
 * Unlike that of the other aggregates, the result may depend on the order of inputs and merges once there are more
 * different texts than counters; in one order it is always the same. Cannot be undone.
 */
export function topK<In>(
  of: (input: In) => string,
  { k, counters }: TopKOptions,
): Aggregate<In, Counters, readonly HeavyHitter[]> {
  refuse([
    ...wholeNumber({ path: 'topK.k', value: k, min: 1, max: 10_000, hint: 'say how many to show' }),
    ...wholeNumber({
      path: 'topK.counters',
      value: counters,
      min: Math.max(1, k),
      max: 10_000,
      hint: 'ten times k is usual; each state keeps so many texts',
    }),
  ]);
  return {
    name: `topK(${k},${counters})`,
    zero: { items: [], hitters: [] },
    add: (state, input) => {
      const item = of(input);
      const { items, hitters } = state;
      const place = placeOf(items, item);
      const present = hitters[place];
      if (present?.item === item) {
        const next = hitters.slice();
        next[place] = { item, count: present.count + 1, overcount: present.overcount };
        return { items, hitters: next };
      }
      if (items.length < counters) return inserted(state, { item, count: 1, overcount: 0 });
      const least = leastOf(hitters);
      const overcount = hitters[least]?.count ?? 0;
      const left = { items: items.toSpliced(least, 1), hitters: hitters.toSpliced(least, 1) };
      return inserted(left, { item, count: overcount + 1, overcount });
    },
    merge: (a, b) => mergeCounters(a, b, counters),
    remove: null,
    result: ({ hitters }) => hitters.toSorted(byCount).slice(0, k),
    codec: {
      encode: ({ hitters }) =>
        JSON.stringify(hitters.map(({ item, count, overcount }) => [item, count, overcount])),
      decode: (text) => {
        // Written by `encode`.
        const rows = JSON.parse(text) as readonly (readonly [string, number, number])[];
        return sortedByItem(rows.map(([item, count, overcount]) => ({ item, count, overcount })));
      },
    },
  };
}

/** The most frequent first, ties by item. */
const byCount = (a: HeavyHitter, b: HeavyHitter): number => b.count - a.count || (a.item < b.item ? -1 : 1);

const sortedByItem = (hitters: readonly HeavyHitter[]): Counters => {
  const sorted = hitters.toSorted((a, b) => (a.item < b.item ? -1 : 1));
  return { items: sorted.map(({ item }) => item), hitters: sorted };
};

const inserted = ({ items, hitters }: Counters, hitter: HeavyHitter): Counters => {
  const place = placeOf(items, hitter.item);
  return { items: items.toSpliced(place, 0, hitter.item), hitters: hitters.toSpliced(place, 0, hitter) };
};

/** The place of the one that gives way: the last by `byCount`. */
function leastOf(hitters: readonly HeavyHitter[]): number {
  let least = 0;
  // Of equal counts the later item goes, and they are sorted by item.
  hitters.forEach(({ count }, place) => {
    if (count <= (hitters[least]?.count ?? 0)) least = place;
  });
  return least;
}

/** What a full state has forgotten of an item is at most its least count. */
function mergeCounters(a: Counters, b: Counters, counters: number): Counters {
  const forgotten = ({ hitters }: Counters): number =>
    hitters.length < counters ? 0 : (hitters[leastOf(hitters)]?.count ?? 0);
  const [forgottenByA, forgottenByB] = [forgotten(a), forgotten(b)];
  const find = ({ items, hitters }: Counters, item: string): HeavyHitter | null => {
    const found = hitters[placeOf(items, item)];
    return found?.item === item ? found : null;
  };
  const both = a.hitters.map(({ item, count, overcount }) => {
    const other = find(b, item);
    return {
      item,
      count: count + (other?.count ?? forgottenByB),
      overcount: overcount + (other?.overcount ?? forgottenByB),
    };
  });
  for (const { item, count, overcount } of b.hitters) {
    if (find(a, item) !== null) continue;
    both.push({ item, count: count + forgottenByA, overcount: overcount + forgottenByA });
  }
  return sortedByItem(both.toSorted(byCount).slice(0, counters));
}
