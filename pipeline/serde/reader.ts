/** Reads Avro's primitive values in order (Avro 1.12 specification, "Binary Encoding"). */
import { bytesToBigint } from './decimal.ts';

/** Above this, the text of a whole record is not taken at once: it may hold a large body. */
const MAX_TEXT_BYTES = 4_096;
const HIGH_BITS = 0x80;

/** Reads one record after the other; the codec's generated functions call it in the order of the schema. */
export class AvroReader {
  at = 0;
  #bytes: Buffer = Buffer.alloc(0);
  #end = 0;
  #start = 0;
  /** Every byte of the record as one character; null until a text is read, or when the record is large. */
  #text: string | null = null;
  #isLarge = false;

  /** Begins a record in `bytes` from `at` to the end. */
  begin(bytes: Buffer, at: number): void {
    this.#bytes = bytes;
    this.#end = bytes.length;
    this.#start = at;
    this.at = at;
    this.#text = null;
    this.#isLarge = bytes.length - at > MAX_TEXT_BYTES;
  }

  /** Throws RangeError when bytes are left, or were missing. */
  finish(): void {
    const left = this.#end - this.at;
    if (left !== 0) throw new RangeError(`${left} bytes too many or too few`);
  }

  boolean(): boolean {
    const byte = this.#bytes[this.at++];
    if (byte !== 0 && byte !== 1) throw new RangeError(`expected a boolean, found byte ${byte}`);
    return byte === 1;
  }

  /** A whole number of up to 53 bits. Throws RangeError beyond that. */
  int(): number {
    const bytes = this.#bytes;
    let byte = bytes[this.at++] as number;
    // Most are short.
    if (byte < HIGH_BITS) return (byte >>> 1) ^ -(byte & 1);
    // The sign is the lowest bit: without it the rest fits a number.
    const isNegative = (byte & 1) === 1;
    let magnitude = (byte & 0x7f) >>> 1;
    let scale = 64;
    for (let count = 1; count < 10; count += 1) {
      byte = bytes[this.at++] as number;
      magnitude += (byte & 0x7f) * scale;
      if (byte < HIGH_BITS) {
        if (magnitude > Number.MAX_SAFE_INTEGER) throw new RangeError('expected a number of up to 53 bits');
        return isNegative ? -magnitude - 1 : magnitude;
      }
      // `undefined` ends here too: the record is cut.
      if (byte === undefined) break;
      scale *= 128;
    }
    throw new RangeError('expected a number, found the end of the record or more than ten bytes');
  }

  /** A whole number of 64 bits. */
  long(): bigint {
    const bytes = this.#bytes;
    const start = this.at;
    let end = start;
    while ((bytes[end] as number) >= HIGH_BITS) end += 1;
    // Seven bytes are 49 bits: exact as a number.
    if (end - start < 7) return BigInt(this.int());
    if (end - start > 9 || end >= this.#end) throw new RangeError('expected a number of up to 64 bits');
    let value = 0n;
    for (let at = end; at >= start; at -= 1) value = (value << 7n) | BigInt((bytes[at] as number) & 0x7f);
    this.at = end + 1;
    return BigInt.asIntN(64, value & 1n ? -((value + 1n) >> 1n) : value >> 1n);
  }

  float(): number {
    this.at += 4;
    return this.#bytes.readFloatLE(this.at - 4);
  }

  double(): number {
    this.at += 8;
    return this.#bytes.readDoubleLE(this.at - 8);
  }

  string(): string {
    const bytes = this.#bytes;
    const from = this.#skip(this.int());
    const to = this.at;
    if (this.#isLarge) return bytes.toString('utf8', from, to);
    let bits = 0;
    for (let at = from; at < to; at += 1) bits |= bytes[at] as number;
    if (bits >= HIGH_BITS) return bytes.toString('utf8', from, to);
    // One call into native code for all texts of a record: each is then a part of the same string.
    if (this.#text === null) this.#text = bytes.toString('latin1', this.#start, this.#end);
    return this.#text.slice(from - this.#start, to - this.#start);
  }

  /** A view, not a copy. */
  bytes(): Buffer {
    const from = this.#skip(this.int());
    return this.#bytes.subarray(from, this.at);
  }

  /** A decimal of scale 0. */
  decimal(): bigint {
    return bytesToBigint(this.bytes());
  }

  /** Index of a branch or symbol below `count`. */
  index(count: number): number {
    const index = this.int();
    if (index < 0 || index >= count) throw new RangeError(`expected an index below ${count}, found ${index}`);
    return index;
  }

  /** Items of the next block of an array or map; 0: the end. */
  block(): number {
    let count = this.int();
    if (count < 0) {
      count = -count;
      // Its size in bytes follows: for readers that skip.
      this.int();
    }
    // No item is smaller than a byte: a larger count would only fill the memory.
    if (count > this.#end - this.at) throw new RangeError(`expected ${count} items, found the end`);
    return count;
  }

  /** Steps over `size` bytes and returns where they begin. */
  #skip(size: number): number {
    const from = this.at;
    if (size < 0 || from + size > this.#end)
      throw new RangeError(`expected ${size} bytes, found ${this.#end - from}`);
    this.at = from + size;
    return from;
  }
}
