/** What is known to be seen or missing: kept in memory, written to `ledger.coverage`, rebuilt from there on start. */
import type { ConnectorContext } from '#pipeline/rooms.ts';
import type { Coverage } from '#schemas/coverage.ts';
import { ledgerCoverage } from '#schemas/topics.ts';
import { createRangeSet, type Range } from './ranges.ts';

/** Hashes older than this many blocks are forgotten: a reorganisation that deep is not followed. */
const HASHES_KEPT = 256;

export interface SeenBlock {
  readonly number: number;
  readonly hash: string;
}

export interface Ledger {
  /** Highest number that is seen or missing; null when the ledger is empty. */
  readonly position: number | null;
  readonly seenCount: number;
  readonly missing: readonly Range[];
  /** Hash of the block last seen at this number; undefined when missing, unknown or forgotten. */
  hashOf(number: number): string | undefined;
  /** The block was emitted. Its entry is written after `acknowledged`, so a crash between repeats it, never skips it. */
  see(block: SeenBlock, state: 'seen' | 'repaired', acknowledged: Promise<void>): void;
  /** Numbers without a block. Neighbours become one entry, written when a block or a pause ends the run. */
  miss(first: number, last: number): void;
  /** Ends the run of missing numbers, if there is one. */
  endRun(): void;
  /** The block went on without receipts. */
  missReceipts(block: SeenBlock, state: 'missing' | 'unavailable', acknowledged: Promise<void>): void;
  /** Entries not yet acknowledged. */
  readonly pendingCount: number;
  /** Resolves when all entries are acknowledged; rejects when one failed. */
  settled(): Promise<void>;
}

/** Reads back the entries of `source`. `onFailure` is called when an entry or its block cannot be written. */
export async function openLedger(options: {
  context: ConnectorContext;
  source: string;
  onFailure: (error: unknown) => void;
}): Promise<Ledger> {
  const { context, source, onFailure } = options;
  const seen = createRangeSet();
  const missing = createRangeSet();
  const hashes = new Map<number, string>();
  const writes = new Set<Promise<void>>();
  let run: Range | null = null;
  let position: number | null = null;
  let queuedCount = 0;
  let queue: Promise<void> = Promise.resolve();

  const know = (entry: Pick<Coverage, 'state' | 'what' | 'hash'>, first: number, last: number): void => {
    if (entry.what !== 'blocks') return;
    position = Math.max(position ?? last, last);
    if (entry.state === 'missing' || entry.state === 'unavailable') {
      missing.add(first, last);
      return;
    }
    seen.add(first, last);
    missing.remove(first, last);
    if (entry.hash === null) return;
    hashes.delete(last);
    hashes.set(last, entry.hash);
    for (const oldest of hashes.keys()) {
      if (hashes.size <= HASHES_KEPT) break;
      hashes.delete(oldest);
    }
  };

  const write = (
    entry: Pick<Coverage, 'state' | 'what' | 'hash'>,
    { first, last }: Range,
    acknowledged: Promise<void> = Promise.resolve(),
  ): void => {
    queuedCount += 1;
    // Each entry waits for its block and for its turn, but not for the entry before it to be acknowledged.
    queue = queue.then(async () => {
      await acknowledged;
      const value = {
        ...entry,
        source,
        first: BigInt(first),
        last: BigInt(last),
        atMs: context.clock.nowMs(),
      };
      const written = context.emit(ledgerCoverage, source, value);
      writes.add(written);
      queuedCount -= 1;
      written.then(() => writes.delete(written), onFailure);
    });
    queue.catch(onFailure);
  };

  const endRun = (): void => {
    if (run === null) return;
    write({ state: 'missing', what: 'blocks', hash: null }, run);
    run = null;
  };

  for await (const { value } of context.read(ledgerCoverage)) {
    if (value?.source === source) know(value, Number(value.first), Number(value.last));
  }

  return {
    get position() {
      return position;
    },
    get seenCount() {
      return seen.size;
    },
    get missing() {
      return missing.ranges;
    },
    get pendingCount() {
      return queuedCount + writes.size;
    },
    hashOf: (number) => hashes.get(number),
    see({ number, hash }, state, acknowledged) {
      endRun();
      const entry = { state, what: 'blocks', hash };
      know(entry, number, number);
      write(entry, { first: number, last: number }, acknowledged);
    },
    miss(first, last) {
      if (run !== null && run.last + 1 !== first) endRun();
      run = { first: run?.first ?? first, last };
      know({ state: 'missing', what: 'blocks', hash: null }, first, last);
    },
    endRun,
    missReceipts({ number, hash }, state, acknowledged) {
      write({ state, what: 'receipts', hash }, { first: number, last: number }, acknowledged);
    },
    async settled() {
      await queue;
      await Promise.all(writes);
    },
  };
}
