/** Virtual time and a seeded order of everything that happens. One schedule is a function of its seed. */
import type { Clock } from '#pipeline/clock.ts';

/** mulberry32: small, seeded, good enough to choose. */
export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }
  /** In [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }
  /** In [0, below). */
  below(below: number): number {
    return Math.floor(this.next() * below);
  }
  /** In [from, to], whole numbers. */
  between(from: number, to: number): number {
    return from + this.below(to - from + 1);
  }
  chance(probability: number): boolean {
    return this.next() < probability;
  }
  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error('nothing to pick from');
    return item;
  }
}

/** Whose event it is: events of the dead never happen, those of the paused wait. */
export interface Owner {
  isDead: boolean;
  isPaused: boolean;
}

interface Event {
  readonly dueMs: number;
  readonly owner: Owner;
  readonly run: () => void;
}

export const WORLD: Owner = { isDead: false, isPaused: false };

export class Scheduler {
  readonly random: Random;
  nowMs: number;
  /** Whose event runs; null: none. */
  present: Owner | null = null;
  /** Due by now, in no order. */
  #ready: Event[] = [];
  /** Of later times: a heap by due time. */
  #later: Event[] = [];
  /** Events of paused owners. */
  #held: Event[] = [];

  constructor(seed: number, nowMs: number) {
    this.random = new Random(seed);
    this.nowMs = nowMs;
  }

  after(delayMs: number, owner: Owner, run: () => void): void {
    const event = { dueMs: this.nowMs + delayMs, owner, run };
    if (delayMs <= 0) this.#ready.push(event);
    else this.#push(event);
  }

  /** Lets time pass. */
  advance(ms: number): void {
    this.nowMs += ms;
    this.#collect();
  }

  /** What was held back of an owner that is no longer paused. */
  release(): void {
    const held = this.#held;
    this.#held = [];
    this.#ready.push(...held);
  }

  /** Runs one event, chosen among those that are due; jumps in time when none is. False: nothing is left to happen. */
  async step(): Promise<boolean> {
    for (;;) {
      if (this.#ready.length === 0) {
        const next = this.#later[0];
        if (next === undefined) return false;
        this.nowMs = Math.max(this.nowMs, next.dueMs);
        this.#collect();
      }
      const at = this.random.below(this.#ready.length);
      const event = this.#ready[at];
      const last = this.#ready.pop();
      if (event === undefined || last === undefined) continue;
      if (event !== last) this.#ready[at] = last;
      if (event.owner.isDead) continue;
      if (event.owner.isPaused) {
        this.#held.push(event);
        continue;
      }
      this.present = event.owner;
      event.run();
      await settle();
      this.present = null;
      return true;
    }
  }

  #collect(): void {
    for (let next = this.#later[0]; next !== undefined && next.dueMs <= this.nowMs; next = this.#later[0]) {
      this.#pop();
      this.#ready.push(next);
    }
  }

  #push(event: Event): void {
    const heap = this.#later;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || above.dueMs <= event.dueMs) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#later;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      const [left, right] = [heap[child], heap[child + 1]];
      if (left === undefined) break;
      let least = left;
      if (right !== undefined && right.dueMs < left.dueMs) {
        least = right;
        child += 1;
      }
      if (last.dueMs <= least.dueMs) break;
      heap[at] = least;
      at = child;
    }
    heap[at] = last;
  }
}

/**
 * What hangs on resolved promises goes on. Longer chains go on with the next events: their order is that of the queue of
 * promises, which is the same in every run. (A turn of the event loop would drain it, at thrice the cost.)
 */
async function settle(): Promise<void> {
  await null;
  await null;
  await null;
  await null;
}

/** The clock of one process: everything it waits for is an event of its own. */
export function simulatedClock(scheduler: Scheduler, owner: Owner, skewMs: number): Clock {
  return {
    nowMs: () => scheduler.nowMs + skewMs,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted === true) return resolve();
        scheduler.after(Math.max(0, ms), owner, resolve);
        signal?.addEventListener('abort', () => resolve(), { once: true });
      }),
    every: (ms, tick) => {
      let isOn = true;
      const again = (): void => {
        scheduler.after(ms, owner, () => {
          if (!isOn) return;
          tick();
          again();
        });
      };
      again();
      return () => {
        isOn = false;
      };
    },
    soon: (work) => scheduler.after(0, owner, work),
  };
}
