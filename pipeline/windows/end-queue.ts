/** Which key has something to close next. In memory; rebuilt from the entries. */
import { compareUtf8 } from '#pipeline/state/byte-order.ts';

export interface KeyEnd {
  readonly key: string;
  readonly endMs: number;
}

/** At most one end for each key, by (end, bytes of the key). */
export interface EndQueue {
  get(key: string): number | undefined;
  set(key: string, endMs: number): void;
  delete(key: string): void;
  first(): KeyEnd | undefined;
}

/** `undo` as in StoreAccess. */
export function createEndQueue(undo: (restore: () => void) => void): EndQueue {
  const ends = new Map<string, number>();
  // What no longer agrees with `ends` is passed over, so that moving and undoing need not search.
  const heap: KeyEnd[] = [];
  const put = (key: string, endMs: number | undefined): void => {
    if (endMs === undefined) {
      ends.delete(key);
      return;
    }
    ends.set(key, endMs);
    push(heap, { key, endMs });
  };
  const change = (key: string, endMs: number | undefined): void => {
    const before = ends.get(key);
    if (before === endMs) return;
    put(key, endMs);
    undo(() => put(key, before));
  };
  return {
    get: (key) => ends.get(key),
    set: change,
    delete: (key) => change(key, undefined),
    first: () => {
      for (let first = heap[0]; first !== undefined; first = heap[0]) {
        if (ends.get(first.key) === first.endMs) return first;
        pop(heap);
      }
      return undefined;
    },
  };
}

const isBefore = (a: KeyEnd, b: KeyEnd): boolean =>
  a.endMs === b.endMs ? compareUtf8(a.key, b.key) < 0 : a.endMs < b.endMs;

function push(heap: KeyEnd[], end: KeyEnd): void {
  let at = heap.length;
  heap.push(end);
  while (at > 0) {
    const above = (at - 1) >> 1;
    const parent = heap[above];
    if (parent === undefined || !isBefore(end, parent)) break;
    heap[at] = parent;
    at = above;
  }
  heap[at] = end;
}

function pop(heap: KeyEnd[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let at = 0;
  for (;;) {
    let below = 2 * at + 1;
    let child = heap[below];
    if (child === undefined) break;
    const right = heap[below + 1];
    if (right !== undefined && isBefore(right, child)) {
      below += 1;
      child = right;
    }
    if (!isBefore(child, last)) break;
    heap[at] = child;
    at = below;
  }
  heap[at] = last;
}
