/** Record batches, format 2: bytes of a fetch answer to records. The end of an answer may be cut. */
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { BATCH_HEADER_BYTES, CHECKSUM_FROM } from './batch-encode.ts';
import { crc32c } from './crc32c.ts';
import type { Headers, KafkaRecord } from './types.ts';
import { readInt64 } from './wire.ts';

/** A batch may not unpack to more: what a broker accepts is far smaller. */
const MAX_UNPACKED_BYTES = 268_435_456;
const APPEND_TIME_BIT = 0x08;
const CONTROL_BIT = 0x20;
const NO_HEADERS: Headers = [];

/** A batch that cannot be read. The fetcher reports it with the partition and its offset. */
export class BatchError extends Error {
  /** `baseOffset`: offset of the first record of the batch. */
  constructor(message: string, baseOffset: number, cause?: unknown) {
    super(`the record batch at offset ${baseOffset} ${message}`, cause === undefined ? undefined : { cause });
    this.name = 'BatchError';
  }
}

interface Cursor {
  readonly bytes: Buffer;
  at: number;
}

const endOfBatch = (): never => {
  throw new RangeError('ends inside a record');
};

function readVarint(cursor: Cursor): number {
  // Most are short: lengths, and distances within a batch.
  const first = cursor.bytes[cursor.at];
  if (first !== undefined && first < 0x80) {
    cursor.at++;
    return (first >>> 1) ^ -(first & 1);
  }
  let value = 0;
  let scale = 1;
  for (let count = 0; count < 10; count++) {
    const byte = cursor.bytes[cursor.at++];
    if (byte === undefined) return endOfBatch();
    // Multiplication instead of shifts: times may need more than 32 bits.
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
    scale *= 128;
  }
  throw new RangeError('holds a number of more than ten bytes');
}

function readVarBytes(cursor: Cursor): Buffer | null {
  const size = readVarint(cursor);
  if (size === -1) return null;
  const start = cursor.at;
  if (size < 0 || start + size > cursor.bytes.length) return endOfBatch();
  cursor.at = start + size;
  return cursor.bytes.subarray(start, cursor.at);
}

/** Names of headers come again and again: the text of each is made once. */
const KNOWN_NAMES = 16;
const knownNames: { readonly bytes: Buffer; readonly text: string }[] = [];

function readName(cursor: Cursor): string {
  const size = readVarint(cursor);
  const start = cursor.at;
  if (size < 0 || start + size > cursor.bytes.length) return endOfBatch();
  cursor.at = start + size;
  for (const { bytes, text } of knownNames) if (isAt(cursor.bytes, start, bytes, size)) return text;
  const bytes = Buffer.from(cursor.bytes.subarray(start, cursor.at));
  const text = bytes.toString('utf8');
  if (knownNames.length < KNOWN_NAMES && size <= KNOWN_NAMES) knownNames.push({ bytes, text });
  return text;
}

function isAt(bytes: Buffer, start: number, name: Buffer, size: number): boolean {
  if (name.length !== size) return false;
  for (let index = 0; index < size; index++) if (bytes[start + index] !== name[index]) return false;
  return true;
}

function readHeaders(cursor: Cursor): Headers {
  const count = readVarint(cursor);
  if (count <= 0) return NO_HEADERS;
  const headers: [string, Buffer][] = [];
  for (let index = 0; index < count; index++) {
    const name = readName(cursor);
    // A null header value reads as empty: the contract knows no null there.
    headers.push([name, readVarBytes(cursor) ?? Buffer.alloc(0)]);
  }
  return headers;
}

/** Where each complete batch starts and ends. Throws BatchError for anything but format 2. */
function* batches(bytes: Buffer): Generator<{ start: number; end: number; baseOffset: number }> {
  let start = 0;
  while (start + BATCH_HEADER_BYTES <= bytes.length) {
    const baseOffset = readInt64(bytes, start);
    const length = bytes.readInt32BE(start + 8);
    const format = bytes[start + 16];
    if (format !== 2) throw new BatchError(`has format ${format}, expected 2`, baseOffset);
    if (length < BATCH_HEADER_BYTES - 12)
      throw new BatchError(`has the impossible length ${length}`, baseOffset);
    const end = start + 12 + length;
    if (end > bytes.length) return;
    yield { start, end, baseOffset };
    start = end;
  }
}

/** Offset after the last complete batch, `from` when there is none. Reads headers only. */
export function offsetAfter(bytes: Buffer, from: number): number {
  let next = from;
  for (const { start, baseOffset } of batches(bytes)) {
    next = Math.max(next, baseOffset + bytes.readInt32BE(start + 23) + 1);
  }
  return next;
}

function unpack(packed: Buffer, codec: number): Buffer {
  if (codec === 0) return packed;
  if (codec === 1) return gunzipSync(packed, { maxOutputLength: MAX_UNPACKED_BYTES });
  if (codec === 4) return zstdDecompressSync(packed, { maxOutputLength: MAX_UNPACKED_BYTES });
  throw new RangeError(`is packed with codec ${codec}, known are none (0), gzip (1), zstd (4)`);
}

/**
 * The records at and above `from`, in offset order. Batches cut at the end and control batches are left out.
 * Buffers point into `bytes` (or into what was unpacked). Throws BatchError, also for a wrong checksum.
 */
export function decodeBatches(bytes: Buffer, from: number): KafkaRecord[] {
  const records: KafkaRecord[] = [];
  for (const { start, end, baseOffset } of batches(bytes)) {
    const found = crc32c(bytes.subarray(start + CHECKSUM_FROM, end));
    const stated = bytes.readUInt32BE(start + 17);
    if (found !== stated)
      throw new BatchError(`has checksum ${found}, its header says ${stated}`, baseOffset);
    const attributes = bytes.readInt16BE(start + 21);
    if ((attributes & CONTROL_BIT) !== 0) continue;
    if (baseOffset + bytes.readInt32BE(start + 23) < from) continue;
    const firstMs = readInt64(bytes, start + 27);
    const appendMs = (attributes & APPEND_TIME_BIT) === 0 ? null : readInt64(bytes, start + 35);
    const count = bytes.readInt32BE(start + 57);
    try {
      const cursor: Cursor = {
        bytes: unpack(bytes.subarray(start + BATCH_HEADER_BYTES, end), attributes & 7),
        at: 0,
      };
      for (let index = 0; index < count; index++) {
        const size = readVarint(cursor);
        const next = cursor.at + size;
        if (size < 0 || next > cursor.bytes.length) endOfBatch();
        cursor.at += 1; // attributes of the record: unused by Kafka
        const timestampMs = firstMs + readVarint(cursor);
        const offset = baseOffset + readVarint(cursor);
        if (offset >= from) {
          const key = readVarBytes(cursor);
          const value = readVarBytes(cursor);
          records.push({
            offset,
            timestampMs: appendMs ?? timestampMs,
            key,
            value,
            headers: readHeaders(cursor),
          });
        }
        cursor.at = next;
      }
    } catch (error) {
      throw new BatchError(error instanceof Error ? error.message : 'is unreadable', baseOffset, error);
    }
  }
  return records;
}
