/** Turns announced heads into the numbers to fetch, in order. */
import type { BlockFetcher } from './blocks.ts';
import type { Queue } from './queue.ts';
import type { Head } from './wire.ts';

/**
 * `number`: fetch it; `isTip` when the node may still lag behind its own announcement.
 * `hole`: known not to exist at the node. `announced`: a hash at a height that was planned before.
 */
export type Step =
  | { readonly kind: 'number'; readonly number: number; readonly isTip: boolean }
  | { readonly kind: 'hole'; readonly first: number; readonly last: number }
  | { readonly kind: 'announced'; readonly number: number; readonly hash: string };

/** How many numbers below a head a load-balanced node may lag: only these are asked for again. */
const LAG_BLOCKS = 3;
/** Probes at either end of a large hole. */
const PROBES_AT_END = 3;

/**
 * Never ends by itself: rejects when the queue of heads is aborted. `after` is the last number already settled; null
 * starts at the first head. The head stays in its queue until its steps are taken, so that an empty queue means idle.
 */
export async function* planSteps(parts: {
  heads: Queue<Head>;
  blocks: BlockFetcher;
  after: number | null;
  maxProbe: number;
}): AsyncGenerator<Step, never> {
  const { heads, blocks, maxProbe } = parts;
  let planned = parts.after;
  for (;;) {
    const head = await heads.first();
    planned ??= head.number - 1;
    if (head.number > planned) {
      yield* stepsTo(head.number, planned + 1);
      planned = head.number;
    } else if (head.hash !== null) {
      yield { kind: 'announced', number: head.number, hash: head.hash };
    }
    heads.shift();
  }

  async function* stepsTo(head: number, from: number): AsyncGenerator<Step> {
    if (head - from > maxProbe && !(await hasBlocks(from, head - 1))) {
      yield { kind: 'hole', first: from, last: head - 1 };
      from = head;
    }
    for (let number = from; number <= head; number += 1) {
      yield { kind: 'number', number, isTip: number > head - LAG_BLOCKS };
    }
  }

  /**
   * Some sources (archives, recordings) have holes of millions of numbers; asking for each would never end. A node
   * that follows a chain has all numbers of a stretch or, when it is pruned, none at its old end. So a few numbers
   * from both ends of a large hole are asked for, once each: if none exists, the whole hole is missing; if any
   * exists, every number is fetched. A lagging node lacks the upper ones only, so it is not taken for a hole.
   */
  async function hasBlocks(first: number, last: number): Promise<boolean> {
    const ends = Array.from({ length: PROBES_AT_END }, (_, index) => [first + index, last - index]);
    const found = await Promise.all(ends.flat().map((number) => blocks.exists(number)));
    return found.includes(true);
  }
}
