/**
 * Checks the files of a LevelDB folder: the library reads tables without looking at their checksums, and leaves out what
 * it cannot read of its write-ahead log without an error.
 *
 * Format: google/leveldb, doc/table_format.md and doc/log_format.md; google/snappy, format_description.txt.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32c } from '#pipeline/kafka/crc32c.ts';

const FOOTER_BYTES = 48;
const MAGIC = 0xdb4775248b80fb57n;
/** Type and checksum behind each block. */
const TRAILER_BYTES = 5;
const CHECKSUM_DELTA = 0xa282ead8;
const SNAPPY = 1;

/** Names of the tables of a folder whose checksums are wrong, or that are cut. A killed process leaves such behind too, unused. */
export async function damagedTables(folder: string): Promise<readonly string[]> {
  const damaged: string[] = [];
  for (const name of await readdir(folder)) {
    if (!/\.(ldb|sst)$/.test(name)) continue;
    const table = await readPresent(folder, name);
    if (table !== null && !isWhole(table)) damaged.push(name);
  }
  return damaged;
}

/**
 * What is wrong with the list of tables, or with a log that is not the newest; null: nothing. A cut there looks to the library
 * like a write that was under way: it would go on with older tables and newer logs, and what lies between would be missing.
 */
export async function damagedLists(folder: string): Promise<string | null> {
  const names = await readdir(folder);
  const logs = names
    .filter((name) => /^\d+\.log$/.test(name))
    .sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10));
  const isUsed = logs.length > 0 || names.some((name) => /\.(ldb|sst)$/.test(name));
  if (isUsed && !names.includes('CURRENT')) return 'no file CURRENT';
  for (const name of [...names.filter((one) => one.startsWith('MANIFEST-')), ...logs.slice(0, -1)]) {
    const log = await readPresent(folder, name);
    if (log !== null && !isWholeLog(log)) return `wrong checksums or a cut end in ${name}`;
  }
  return null;
}

/** Null when it has gone since it was listed: an open database deletes what it has merged, and so may another process. */
const readPresent = (folder: string, name: string): Promise<Buffer | null> =>
  readFile(join(folder, name)).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  });

const LOG_BLOCK_BYTES = 32 * 1024;
const LOG_HEADER_BYTES = 7;

/** Whether every record of a log has its checksum, to the very end. */
function isWholeLog(log: Buffer): boolean {
  for (let at = 0; at < log.length; ) {
    const left = LOG_BLOCK_BYTES - (at % LOG_BLOCK_BYTES);
    if (left < LOG_HEADER_BYTES) {
      at += left;
      continue;
    }
    if (at + LOG_HEADER_BYTES > log.length) return false;
    const end = at + LOG_HEADER_BYTES + log.readUInt16LE(at + 4);
    if (end > log.length || log.readUInt32LE(at) !== masked(log.subarray(at + 6, end))) return false;
    at = end;
  }
  return true;
}

/** What the library left out of its log when the folder was last opened, in its words; null: nothing. */
export async function droppedAtOpen(folder: string): Promise<string | null> {
  const log = await readFile(join(folder, 'LOG'), 'utf8').catch(() => '');
  return /[^/\\\s]+: dropping \d+ bytes.*$/m.exec(log)?.[0] ?? null;
}

/** Whether every block of a table has its checksum. */
export function isWhole(table: Buffer): boolean {
  if (table.length < FOOTER_BYTES) return false;
  const footer = table.subarray(-FOOTER_BYTES);
  if (footer.readBigUInt64LE(FOOTER_BYTES - 8) !== MAGIC) return false;
  try {
    const reader = new Reader(footer);
    // The first lists the filter, by which keys are held to be absent; the second the blocks with entries.
    for (const list of [readBlock(table, reader.handle()), readBlock(table, reader.handle())]) {
      if (list === null) return false;
      for (const handle of handlesIn(list)) if (readBlock(table, handle) === null) return false;
    }
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

interface Handle {
  readonly offset: number;
  readonly size: number;
}

interface Block {
  readonly type: number;
  readonly bytes: Buffer;
}

/** Null: the checksum is wrong. */
function readBlock(table: Buffer, { offset, size }: Handle): Block | null {
  const end = offset + size;
  if (end + TRAILER_BYTES > table.length) return null;
  if (masked(table.subarray(offset, end + 1)) !== table.readUInt32LE(end + 1)) return null;
  return { type: table.readUInt8(end), bytes: table.subarray(offset, end) };
}

/** A checksum as it is stored: rotated and shifted, because checksums are taken over bytes that hold checksums. */
function masked(bytes: Buffer): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + CHECKSUM_DELTA) >>> 0;
}

/** The handles that are the values of a block that lists others. */
function* handlesIn({ type, bytes }: Block): Generator<Handle> {
  const plain = type === SNAPPY ? uncompressed(bytes) : bytes;
  const restarts = plain.readUInt32LE(plain.length - 4);
  const end = plain.length - 4 * (restarts + 1);
  const reader = new Reader(plain);
  while (reader.at < end) {
    reader.number();
    const keyBytes = reader.number();
    reader.number();
    reader.at += keyBytes;
    yield reader.handle();
  }
}

/** Throws RangeError behind the end. */
class Reader {
  readonly #bytes: Buffer;
  at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** A varint: seven bits a byte, the least first. */
  number(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.#bytes.readUInt8(this.at);
      this.at += 1;
      value += (byte % 128) * factor;
      if (byte < 128) return value;
    }
  }

  handle(): Handle {
    return { offset: this.number(), size: this.number() };
  }
}

/** Throws RangeError when the bytes are no Snappy block. */
function uncompressed(bytes: Buffer): Buffer {
  const reader = new Reader(bytes);
  const plain = Buffer.alloc(reader.number());
  let to = 0;
  while (reader.at < bytes.length) {
    const tag = bytes.readUInt8(reader.at);
    const kind = tag % 4;
    reader.at += 1;
    if (kind === 0) {
      let length = tag >>> 2;
      if (length >= 60) {
        const more = length - 59;
        length = bytes.readUIntLE(reader.at, more);
        reader.at += more;
      }
      length += 1;
      bytes.copy(plain, to, reader.at, reader.at + length);
      reader.at += length;
      to += length;
      continue;
    }
    const more = kind === 3 ? 4 : kind;
    const rest = bytes.readUIntLE(reader.at, more);
    reader.at += more;
    const length = kind === 1 ? 4 + ((tag >>> 2) % 8) : (tag >>> 2) + 1;
    const back = kind === 1 ? (tag >>> 5) * 256 + rest : rest;
    if (back === 0 || back > to) throw new RangeError('a copy from before the beginning');
    // Source and target may overlap: byte after byte.
    for (let i = 0; i < length; i += 1) plain.writeUInt8(plain.readUInt8(to - back + i), to + i);
    to += length;
  }
  return plain;
}
