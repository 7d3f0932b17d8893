/** Record batches, format 2 (Kafka protocol guide, "Record Batch"): entries to bytes. */
import { zstdCompressSync } from 'node:zlib';
import { crc32c } from './crc32c.ts';
import type { Entry } from './types.ts';
import { writeInt64 } from './wire.ts';

/** Bytes before the first record. */
export const BATCH_HEADER_BYTES = 61;
/** Where the checksummed part begins. */
export const CHECKSUM_FROM = 21;

const CODEC_ZSTD = 4;
/** Length, attributes, time, offset, key length, value length, header count at their longest. */
const RECORD_OVERHEAD_BYTES = 36;
const HEADER_OVERHEAD_BYTES = 10;
/** Of UTF-8, for one UTF-16 unit. */
const MAX_BYTES_OF_CHAR = 3;

/** Most bytes an entry can take in a batch without compression. */
export function entryBytes(entry: Entry): number {
  let size = RECORD_OVERHEAD_BYTES + (entry.key?.length ?? 0) + (entry.value?.length ?? 0);
  for (const [name, value] of entry.headers)
    size += HEADER_OVERHEAD_BYTES + name.length * MAX_BYTES_OF_CHAR + value.length;
  return size;
}

const zigzagIsSmall = (value: number): boolean => value >= -0x4000_0000 && value < 0x4000_0000;

function varintBytes(value: number): number {
  if (!zigzagIsSmall(value)) return wideVarint(value).length;
  let rest = (value << 1) ^ (value >> 31);
  let size = 1;
  while ((rest & ~0x7f) !== 0) {
    rest >>>= 7;
    size++;
  }
  return size;
}

/** Times can lie further apart than 32 bits: the rare case, by bigint. */
function wideVarint(value: number): readonly number[] {
  const wide = BigInt(value);
  let rest = wide >= 0n ? wide << 1n : (-wide << 1n) - 1n;
  const digits: number[] = [];
  while (rest > 0x7fn) {
    digits.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  digits.push(Number(rest));
  return digits;
}

function writeVarint(bytes: Buffer, value: number, at: number): number {
  if (!zigzagIsSmall(value)) {
    let next = at;
    for (const digit of wideVarint(value)) bytes[next++] = digit;
    return next;
  }
  let rest = (value << 1) ^ (value >> 31);
  let next = at;
  while ((rest & ~0x7f) !== 0) {
    bytes[next++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  bytes[next++] = rest;
  return next;
}

const varBytesSize = (part: Buffer | null): number =>
  part === null ? 1 : varintBytes(part.length) + part.length;

function writeVarBytes(bytes: Buffer, part: Buffer | null, at: number): number {
  if (part === null) return writeVarint(bytes, -1, at);
  const next = writeVarint(bytes, part.length, at);
  bytes.set(part, next);
  return next + part.length;
}

/** Names are few and come again and again; those that are kept were given by this program. */
const MAX_NAMES = 64;
const nameBytes = new Map<string, Buffer>();

function bytesOfName(name: string): Buffer {
  const known = nameBytes.get(name);
  if (known !== undefined) return known;
  const bytes = Buffer.from(name);
  if (nameBytes.size < MAX_NAMES) nameBytes.set(name, bytes);
  return bytes;
}

/** `from`: where it begins; `index`: its place in the batch. */
function writeRecord(bytes: Buffer, from: number, entry: Entry, index: number, firstMs: number): number {
  const afterMs = entry.timestampMs - firstMs;
  let size =
    1 + varintBytes(afterMs) + varintBytes(index) + varBytesSize(entry.key) + varBytesSize(entry.value);
  size += varintBytes(entry.headers.length);
  for (const [name, value] of entry.headers) size += varBytesSize(bytesOfName(name)) + varBytesSize(value);
  let at = writeVarint(bytes, size, from);
  bytes[at++] = 0;
  at = writeVarint(bytes, afterMs, at);
  at = writeVarint(bytes, index, at);
  at = writeVarBytes(bytes, entry.key, at);
  at = writeVarBytes(bytes, entry.value, at);
  at = writeVarint(bytes, entry.headers.length, at);
  for (const [name, value] of entry.headers) {
    at = writeVarBytes(bytes, bytesOfName(name), at);
    at = writeVarBytes(bytes, value, at);
  }
  return at;
}

/** A record batch that grows entry by entry, so that entries need not be kept. */
export class BatchBuilder {
  #bytes: Buffer;
  #end = BATCH_HEADER_BYTES;
  #count = 0;
  #firstMs = 0;
  #maxMs = 0;

  /** `room`: where it is written as long as it fits; then elsewhere, with twice the room. */
  constructor(room: Buffer) {
    this.#bytes = room;
  }

  /** Bytes so far, without compression. */
  get length(): number {
    return this.#end;
  }
  get count(): number {
    return this.#count;
  }

  /** Writes an entry; it is not needed afterwards. */
  add(entry: Entry): void {
    this.#makeRoom(entryBytes(entry));
    if (this.#count === 0) {
      this.#firstMs = entry.timestampMs;
      this.#maxMs = entry.timestampMs;
    } else if (entry.timestampMs > this.#maxMs) this.#maxMs = entry.timestampMs;
    this.#end = writeRecord(this.#bytes, this.#end, entry, this.#count, this.#firstMs);
    this.#count += 1;
  }

  /** Where it is written: the room given, or the larger one that took its place. */
  get room(): Buffer {
    return this.#bytes;
  }

  /** The batch; offsets start at 0, the broker sets them. Nothing can be added afterwards. */
  finish(compression: 'none' | 'zstd' = 'none'): Buffer {
    if (this.#count === 0) throw new RangeError('a record batch holds at least one entry, none was given');
    let bytes = this.#bytes.subarray(0, this.#end);
    if (compression === 'zstd') {
      const records = bytes.subarray(BATCH_HEADER_BYTES);
      bytes = Buffer.concat([
        bytes.subarray(0, BATCH_HEADER_BYTES),
        // Without its size both sides would make room for megabytes.
        zstdCompressSync(records, { pledgedSrcSize: records.length }),
      ]);
    }
    writeInt64(bytes, 0, 0);
    bytes.writeInt32BE(bytes.length - 12, 8);
    bytes.writeInt32BE(-1, 12); // partition leader epoch: unknown
    bytes[16] = 2;
    bytes.writeInt16BE(compression === 'zstd' ? CODEC_ZSTD : 0, 21);
    bytes.writeInt32BE(this.#count - 1, 23);
    writeInt64(bytes, this.#firstMs, 27);
    writeInt64(bytes, this.#maxMs, 35);
    writeInt64(bytes, -1, 43); // no producer id, epoch, sequence: duplicates are dropped by the position header
    bytes.writeInt16BE(-1, 51);
    bytes.writeInt32BE(-1, 53);
    bytes.writeInt32BE(this.#count, 57);
    bytes.writeUInt32BE(crc32c(bytes.subarray(CHECKSUM_FROM)), 17);
    return bytes;
  }

  #makeRoom(size: number): void {
    const needed = this.#end + size;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    larger.set(this.#bytes.subarray(0, this.#end));
    this.#bytes = larger;
  }
}

/** One batch of at least one entry; offsets start at 0, the broker sets them. Entries are not changed. */
export function encodeBatch(entries: readonly Entry[], compression: 'none' | 'zstd' = 'none'): Buffer {
  const builder = new BatchBuilder(Buffer.allocUnsafeSlow(BATCH_HEADER_BYTES));
  for (const entry of entries) builder.add(entry);
  return builder.finish(compression);
}
