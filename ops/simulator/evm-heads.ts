/** Announces blocks, one after the other, to each subscriber and to clients that poll; knows what was asked for. */
import { type Clock, untilAborted } from '#pipeline/clock.ts';
import type { ChainHead, EvmChain } from './evm-chain.ts';
import type { Speed } from './speed.ts';

/** Without pauses a subscriber is at most this many blocks ahead of what was fetched... */
const WINDOW = 8;
/** ...unless nothing was fetched for so long: a client that knows a block already never asks for it. */
const STALL_MS = 200;
/** A client that asked for some receipts has left the others aside when it asked for nothing for so long. */
const QUIET_MS = 500;

interface Subscriber {
  readonly outstanding: Set<number>;
  /** Wakes the announcer that waits for room. */
  wake(): void;
}

export interface Heads {
  /** Ends the hold; without one it changes nothing. */
  release(): void;
  /** Announces from the first block (a chain without end: from the present one) until aborted or at the end. */
  announce(send: (head: ChainHead) => void, signal: AbortSignal): Promise<void>;
  /** `eth_blockNumber`: place of the highest announced block, null before any. Moves a polling client on. */
  poll(): number | null;
  /** Place of the highest announced block, null before any. */
  latest(): number | null;
  /** Somebody asked for a block. */
  fetched(index: number): void;
  /** Somebody asked for the receipts or logs of a block. */
  receiptsAsked(index: number): void;
  /** Blocks fetched after they were announced. */
  fetchedCount(): number;
  /** All blocks were fetched, and their receipts asked for or left aside. False for a chain without end. */
  isDone(): boolean;
}

/** `isHeld`: nothing is announced before `release`. */
export function createHeads(options: {
  chain: EvmChain;
  speed: Speed;
  clock: Clock;
  isHeld?: boolean;
}): Heads {
  const { chain, speed, clock } = options;
  const held = new AbortController();
  if (options.isHeld !== true) held.abort();
  const intervalMs = speed === 'max' ? null : chain.intervalMs / speed;
  const subscribers = new Set<Subscriber>();
  const announced = new Set<number>();
  const fetched = new Set<number>();
  const withoutReceipts = new Set<number>();
  let highest: number | null = null;
  let startMs: number | null = null;
  let pollStartMs: number | null = null;
  let lastRequestMs = 0;
  let areReceiptsUsed = false;
  /** When a subscriber had heard of every block; null before. */
  let playedOutMs: number | null = null;

  const note = (index: number): void => {
    announced.add(index);
    if (highest === null || index > highest) highest = index;
  };
  /** A chain without end moves on whether anybody listens or not, from its first listener on. */
  const presentIndex = (): number => {
    startMs ??= clock.nowMs();
    return chain.total === null && intervalMs !== null
      ? Math.floor((clock.nowMs() - startMs) / intervalMs)
      : 0;
  };
  const room = async (subscriber: Subscriber, signal: AbortSignal): Promise<void> => {
    if (subscriber.outstanding.size < WINDOW) return;
    const woken = new AbortController();
    subscriber.wake = () => woken.abort();
    await clock.sleep(STALL_MS, AbortSignal.any([signal, woken.signal]));
    if (subscriber.outstanding.size >= WINDOW) subscriber.outstanding.clear();
  };

  return {
    release: () => held.abort(),
    announce: async (send, signal) => {
      await untilAborted(AbortSignal.any([held.signal, signal]));
      const subscriber: Subscriber = { outstanding: new Set(), wake: () => {} };
      subscribers.add(subscriber);
      const first = presentIndex();
      const firstMs =
        chain.total === null && intervalMs !== null ? startMs! + first * intervalMs : clock.nowMs();
      try {
        for (let index = first; !signal.aborted; index += 1) {
          const head = chain.head(index);
          if (head === null) {
            playedOutMs = clock.nowMs();
            return;
          }
          if (intervalMs === null) await room(subscriber, signal);
          else {
            const waitMs = firstMs + (index - first) * intervalMs - clock.nowMs();
            if (waitMs > 0) await clock.sleep(waitMs, signal);
          }
          if (signal.aborted) return;
          note(index);
          subscriber.outstanding.add(index);
          send(head);
        }
      } finally {
        subscribers.delete(subscriber);
      }
    },
    poll: () => {
      if (!held.signal.aborted || subscribers.size > 0 || chain.total === 0) return highest;
      const last = chain.total === null ? Number.MAX_SAFE_INTEGER : chain.total - 1;
      const now = clock.nowMs();
      if (chain.total === null && intervalMs !== null) note(presentIndex());
      else if (highest === null) note(0);
      else if (intervalMs === null) {
        // One at a time: a poller that sees a higher number cannot know which numbers below it exist.
        if (fetched.has(highest)) note(Math.min(last, highest + 1));
      } else if (now - (pollStartMs ?? now) >= intervalMs) {
        note(Math.min(last, highest + 1));
        pollStartMs = now;
      }
      pollStartMs ??= now;
      return highest;
    },
    latest: () => highest,
    fetched: (index) => {
      lastRequestMs = clock.nowMs();
      if (announced.has(index)) {
        if (chain.total !== null && !fetched.has(index)) withoutReceipts.add(index);
        if (chain.total !== null) fetched.add(index);
      }
      for (const subscriber of subscribers) if (subscriber.outstanding.delete(index)) subscriber.wake();
      // Without an end nothing is ever asked of these.
      if (chain.total === null) forgetOld(announced, highest ?? 0);
    },
    receiptsAsked: (index) => {
      lastRequestMs = clock.nowMs();
      areReceiptsUsed = true;
      withoutReceipts.delete(index);
    },
    fetchedCount: () => fetched.size,
    isDone: () => {
      if (chain.total === null) return false;
      // A client that was here before has heard of all and asks only for what it lacks.
      const isHeard =
        playedOutMs !== null && clock.nowMs() - Math.max(playedOutMs, lastRequestMs) >= 2 * QUIET_MS;
      if (fetched.size < chain.total) return isHeard;
      // A client that never asks for receipts is not waited for; one that asks for some may still be at it.
      if (!areReceiptsUsed || withoutReceipts.size === 0) return true;
      return clock.nowMs() - lastRequestMs >= QUIET_MS;
    },
  };
}

function forgetOld(announced: Set<number>, highest: number): void {
  for (const index of announced) {
    if (index > highest - 1_000) break;
    announced.delete(index);
  }
}
