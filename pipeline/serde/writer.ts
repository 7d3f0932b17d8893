/** Writes Avro's primitive values in order (Avro 1.12 specification, "Binary Encoding"). */
import { bigintToBytes } from './decimal.ts';

const SMALL = 0x4000_0000;
const MAX_INT = 0x7fff_ffff;
/** Four groups of seven bits. */
const LOW_BITS = 0x1000_0000;
/** Longer texts are faster in native code. */
const MAX_LOOP_CHARS = 16;

/** Named in errors: what was expected at `path`. */
const invalid = (expected: string, path: string, value: unknown): TypeError =>
  new TypeError(`${path}: expected ${expected}, found ${show(value)}`);

const show = (value: unknown): string => {
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return `${text.slice(0, 40)} (${value === null ? 'null' : typeof value})`;
};

/**
 * Writes into one buffer. It may run over its end: `at` then lies beyond it, nothing is written there, and the value
 * has to be written again into a larger one.
 */
export class AvroWriter {
  at = 0;
  #bytes: Buffer = Buffer.alloc(0);

  begin(bytes: Buffer, at: number): void {
    this.#bytes = bytes;
    this.at = at;
  }

  boolean(value: unknown, path: string): void {
    if (typeof value !== 'boolean') throw invalid('a boolean', path, value);
    this.#bytes[this.at++] = value ? 1 : 0;
  }

  int(value: unknown, path: string): void {
    if (typeof value !== 'number' || !Number.isInteger(value) || value > MAX_INT || value < -MAX_INT - 1)
      throw invalid('a whole number of 32 bits', path, value);
    this.number(value);
  }

  /** Epoch milliseconds. */
  millis(value: unknown, path: string): void {
    if (!Number.isSafeInteger(value)) throw invalid('whole milliseconds', path, value);
    this.number(value as number);
  }

  long(value: unknown, path: string): void {
    if (typeof value !== 'bigint') throw invalid('a bigint', path, value);
    const number = Number(value);
    if (Number.isSafeInteger(number)) {
      this.number(number);
      return;
    }
    if (BigInt.asIntN(64, value) !== value) throw invalid('a bigint of 64 bits', path, value);
    let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
    for (; rest > 0x7fn; rest >>= 7n) this.#bytes[this.at++] = Number(rest & 0x7fn) | 0x80;
    this.#bytes[this.at++] = Number(rest);
  }

  /** A safe integer that needs no check. */
  number(value: number): void {
    const bytes = this.#bytes;
    if (value >= -SMALL && value < SMALL) {
      let rest = (value << 1) ^ (value >> 31);
      while ((rest & ~0x7f) !== 0) {
        bytes[this.at++] = (rest & 0x7f) | 0x80;
        rest >>>= 7;
      }
      bytes[this.at++] = rest;
      return;
    }
    // Doubled it may need 54 bits: the sign goes into the first seven of them, the rest into two halves.
    const magnitude = value < 0 ? -(value + 1) : value;
    bytes[this.at++] = ((magnitude % 64) << 1) | (value < 0 ? 1 : 0) | 0x80;
    const rest = Math.floor(magnitude / 64);
    const low = rest % LOW_BITS;
    const high = (rest - low) / LOW_BITS;
    if (high === 0) this.#unsigned(low);
    else {
      for (let shift = 0; shift < 28; shift += 7) bytes[this.at++] = ((low >>> shift) & 0x7f) | 0x80;
      this.#unsigned(high);
    }
  }

  /** Up to 31 bits. */
  #unsigned(value: number): void {
    const bytes = this.#bytes;
    let rest = value;
    while (rest >= 0x80) {
      bytes[this.at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    bytes[this.at++] = rest;
  }

  float(value: unknown, path: string): void {
    if (typeof value !== 'number') throw invalid('a number', path, value);
    if (this.#fits(4)) this.#bytes.writeFloatLE(value, this.at);
    this.at += 4;
  }

  double(value: unknown, path: string): void {
    if (typeof value !== 'number') throw invalid('a number', path, value);
    if (this.#fits(8)) this.#bytes.writeDoubleLE(value, this.at);
    this.at += 8;
  }

  string(value: unknown, path: string): void {
    if (typeof value !== 'string') throw invalid('a string', path, value);
    const { length } = value;
    if (length <= MAX_LOOP_CHARS ? this.#shortAscii(value) : this.#longAscii(value)) return;
    const size = Buffer.byteLength(value);
    this.number(size);
    if (this.#fits(size)) this.#bytes.write(value, this.at);
    this.at += size;
  }

  bytes(value: unknown, path: string): void {
    if (!(value instanceof Uint8Array)) throw invalid('bytes', path, value);
    this.number(value.length);
    if (this.#fits(value.length)) this.#bytes.set(value, this.at);
    this.at += value.length;
  }

  /** A decimal of scale 0. */
  decimal(value: unknown, path: string): void {
    if (typeof value !== 'bigint') throw invalid('a bigint', path, value);
    this.bytes(bigintToBytes(value), path);
  }

  /** False, and nothing said, when a character is not ASCII. */
  #shortAscii(value: string): boolean {
    const bytes = this.#bytes;
    const { length } = value;
    // The length itself takes one byte.
    let at = this.at + 1;
    for (let index = 0; index < length; index += 1) {
      const code = value.charCodeAt(index);
      if (code >= 0x80) return false;
      bytes[at++] = code;
    }
    bytes[this.at] = length << 1;
    this.at = at;
    return true;
  }

  /** The same in one call into native code: only ASCII has as many bytes as characters. */
  #longAscii(value: string): boolean {
    const from = this.at;
    const { length } = value;
    this.number(length);
    const to = this.at + length;
    // With less room a text could be cut, by chance at as many bytes.
    const hasRoom = this.at + length * 3 <= this.#bytes.length;
    if (hasRoom && this.#bytes.write(value, this.at) === length) {
      this.at = to;
      return true;
    }
    this.at = from;
    return false;
  }

  #fits(size: number): boolean {
    return this.at + size <= this.#bytes.length;
  }
}
