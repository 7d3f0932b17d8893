/** A recorded chain in memory: texts are kept compressed, because a folder may hold a hundred megabytes of blocks. */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { Log } from '#pipeline/telemetry/log.ts';
import { type EvmChain, hash32, headerText, quantity } from './evm-chain.ts';
import { asObject, readJsonLines, valueBytes } from './lines.ts';
import type { EvmStream } from './manifest.ts';

const INTERVAL_MS = 12_000;
const UNPACKED_KEPT = 4;

interface Packed {
  readonly number: number;
  readonly hash: string;
  readonly packed: Buffer;
}
interface PackedBlock extends Packed {
  readonly header: string;
}
interface PackedReceipts extends Packed {
  readonly count: number;
}

/** Loads the streams of one chain. Lines that hold no block, receipts or logs are skipped, counted and logged. */
export async function loadRecordedChain(options: {
  root: string;
  chainId: number;
  streams: readonly EvmStream[];
  log: Log;
}): Promise<{ chain: EvmChain; skipped: number }> {
  const { root, log } = options;
  const skipped = { count: 0 };
  const filesOf = (kind: EvmStream['kind']) =>
    options.streams.filter((stream) => stream.kind === kind).flatMap((stream) => stream.files);
  const read = (kind: EvmStream['kind']) => readJsonLines({ root, files: filesOf(kind), log, skipped });
  const skip = (kind: string, line: { path: string; line: number }) => {
    skipped.count += 1;
    log.warn('a recorded line does not hold what its stream says and was skipped', {
      kind,
      file: line.path,
      line: line.line,
    });
  };

  const blocks = new Map<string, PackedBlock>();
  for await (const line of read('blocks')) {
    const found = parseBlock(line.bytes, line.value);
    if (found === null) skip('blocks', line);
    else if (!blocks.has(found.hash)) blocks.set(found.hash, found);
  }

  const receipts = new Map<string, PackedReceipts>();
  const blockOfTransaction = new Map<string, string>();
  for await (const line of read('receipts')) {
    const { bytes, value } = resultOf(line.bytes, line.value);
    const first = Array.isArray(value) ? asObject(value[0]) : null;
    const hash = hash32(first?.blockHash);
    const number = quantity(first?.blockNumber);
    if (!Array.isArray(value) || hash === null || number === null) {
      // An empty array says nothing of which block it is.
      if (!Array.isArray(value) || value.length > 0) skip('receipts', line);
      continue;
    }
    // A block may be recorded twice, once in part.
    if (value.length <= (receipts.get(hash)?.count ?? 0)) continue;
    receipts.set(hash, { number, hash, packed: pack(bytes), count: value.length });
    for (const receipt of value) {
      const transaction = hash32(asObject(receipt)?.transactionHash);
      if (transaction !== null) blockOfTransaction.set(transaction, hash);
    }
  }

  const loose = new Map<string, { number: number; logs: Map<string, unknown> }>();
  for await (const line of read('logs')) {
    const { value } = resultOf(line.bytes, line.value);
    if (!Array.isArray(value)) {
      skip('logs', line);
      continue;
    }
    for (const entry of value) addLog(loose, entry);
  }
  const logs = new Map<string, Packed>();
  for (const [hash, entry] of loose) {
    const sorted = [...entry.logs].sort(([a], [b]) => Number(a) - Number(b)).map(([, log]) => log);
    logs.set(hash, { number: entry.number, hash, packed: pack(Buffer.from(JSON.stringify(sorted))) });
  }
  const chain = chainOf({
    chainId: options.chainId,
    blocks: [...blocks.values()],
    receipts,
    logs,
    blockOfTransaction,
  });
  return { chain, skipped: skipped.count };
}

function chainOf(content: {
  chainId: number;
  blocks: readonly PackedBlock[];
  receipts: ReadonlyMap<string, PackedReceipts>;
  logs: ReadonlyMap<string, Packed>;
  blockOfTransaction: ReadonlyMap<string, string>;
}): EvmChain {
  const { receipts, logs } = content;
  const order = content.blocks.toSorted((a, b) => a.number - b.number);
  const places = new Map(order.map((block, index) => [block.hash, index]));
  const numbers = new Map<number, number[]>();
  for (const [index, block] of order.entries())
    numbers.set(block.number, [...(numbers.get(block.number) ?? []), index]);
  const unpacked = new Map<number, Buffer>();
  const hashes = new Map(
    [...logs.values(), ...receipts.values(), ...order].map(({ number, hash }) => [number, hash]),
  );
  const logsOfReceipts = (packed: Buffer): Buffer => {
    const parsed: unknown = JSON.parse(unpack(packed).toString('utf8'));
    const list = Array.isArray(parsed) ? parsed : [];
    return Buffer.from(JSON.stringify(list.flatMap((receipt) => asObject(receipt)?.logs ?? [])));
  };
  return {
    chainId: content.chainId,
    total: order.length,
    intervalMs: INTERVAL_MS,
    head: (index) => order[index] ?? null,
    indexOfHash: (hash) => places.get(hash) ?? null,
    indexesOfNumber: (number) => numbers.get(number) ?? [],
    block: (index) => {
      const kept = unpacked.get(index);
      const text = kept ?? unpack(order[index]!.packed);
      unpacked.delete(index);
      unpacked.set(index, text);
      if (unpacked.size > UNPACKED_KEPT) unpacked.delete(unpacked.keys().next().value!);
      return text;
    },
    hashOfNumber: (number) => hashes.get(number) ?? null,
    receipts: (hash) => {
      const found = receipts.get(hash);
      return found === undefined ? null : unpack(found.packed);
    },
    blockOfTransaction: (hash) => content.blockOfTransaction.get(hash) ?? null,
    logs: (hash) => {
      const whole = receipts.get(hash);
      if (whole !== undefined) return logsOfReceipts(whole.packed);
      const found = logs.get(hash);
      return found === undefined ? null : unpack(found.packed);
    },
    hashesWithLogs: (from, to) => {
      const found = new Map(
        [...logs.values(), ...receipts.values()].map(({ hash, number }) => [hash, number]),
      );
      return [...found]
        .filter(([, number]) => number >= from && number <= to)
        .sort(([, a], [, b]) => a - b)
        .map(([hash]) => hash);
    },
  };
}

function parseBlock(bytes: Buffer, value: unknown): PackedBlock | null {
  const result = resultOf(bytes, value);
  const block = asObject(result.value);
  const hash = hash32(block?.hash);
  const number = quantity(block?.number);
  if (block === null || hash === null || number === null || !Array.isArray(block.transactions)) return null;
  return { number, hash, header: headerText(block), packed: pack(result.bytes) };
}

/** The payload of a line: bare, or the `result` of an RPC envelope with its text unchanged. */
function resultOf(bytes: Buffer, value: unknown): { bytes: Buffer; value: unknown } {
  const envelope = asObject(value);
  if (envelope === null || !Object.hasOwn(envelope, 'result')) return { bytes, value };
  return { bytes: valueBytes(bytes, 'result') ?? bytes, value: envelope.result };
}

function addLog(loose: Map<string, { number: number; logs: Map<string, unknown> }>, entry: unknown): void {
  const log = asObject(entry);
  const hash = hash32(log?.blockHash);
  const number = quantity(log?.blockNumber);
  if (log === null || hash === null || number === null || typeof log.logIndex !== 'string') return;
  const home = loose.get(hash) ?? { number, logs: new Map<string, unknown>() };
  if (!home.logs.has(log.logIndex)) home.logs.set(log.logIndex, log);
  loose.set(hash, home);
}

// Level 1: a second of start-up is dearer than a few megabytes.
const pack = (bytes: Buffer): Buffer =>
  zstdCompressSync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: 1 } });
const unpack = (bytes: Buffer): Buffer => zstdDecompressSync(bytes);
