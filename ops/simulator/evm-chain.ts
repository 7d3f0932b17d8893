/** What the JSON-RPC server needs to know of a chain, recorded or generated. */

/** A block as announced: `header` is the JSON text of `newHeads`. */
export interface ChainHead {
  readonly number: number;
  readonly hash: string;
  readonly header: string;
}

/** Blocks are known by their place (from 0) in the order of announcement. */
export interface EvmChain {
  readonly chainId: number;
  /** Number of blocks; null for a chain without end. */
  readonly total: number | null;
  /** Time between two announcements at speed 1. */
  readonly intervalMs: number;
  /** Null past the end. */
  head(index: number): ChainHead | null;
  indexOfHash(hash: string): number | null;
  /** Places of the blocks with that number; several where branches were recorded. */
  indexesOfNumber(number: number): readonly number[];
  /** JSON text of the block with full transactions, as recorded. */
  block(index: number): Buffer;
  /** Hash of a number for which there are blocks, receipts or logs; null when there is nothing. */
  hashOfNumber(number: number): string | null;
  /** JSON text of the array of receipts; null when not known. */
  receipts(hash: string): Buffer | null;
  /** Hash of the block whose receipts hold that transaction; null when not known. */
  blockOfTransaction(hash: string): string | null;
  /** JSON text of an array of logs known of that block; null when none are known. */
  logs(hash: string): Buffer | null;
  /** Hashes of blocks in [from, to] whose logs are known, in order of number. */
  hashesWithLogs(from: number, to: number): readonly string[];
}

/** JSON text of the `newHeads` fields: what a node leaves out of a block there is left out. */
export function headerText(block: Readonly<Record<string, unknown>>): string {
  const { transactions: _1, uncles: _2, withdrawals: _3, size: _4, totalDifficulty: _5, ...header } = block;
  return JSON.stringify(header);
}

/** A number of a JSON-RPC quantity ("0x10"); null when it is none or too large to be exact. */
export function quantity(value: unknown): number | null {
  if (typeof value !== 'string' || !/^0x[0-9a-fA-F]{1,13}$/.test(value)) return null;
  return Number.parseInt(value, 16);
}

/** A 32-byte hash in lower case; null when it is none. */
export const hash32 = (value: unknown): string | null =>
  typeof value === 'string' && /^0x[0-9a-fA-F]{64}$/.test(value) ? value.toLowerCase() : null;
