/** Reading and writing of Kafka's "non-flexible" request fields: big endian, strings with an int16 length. */

const TWO_32 = 4_294_967_296;

/** Writes a signed 64-bit number; exact up to 2^53. */
export function writeInt64(bytes: Buffer, value: number, at: number): void {
  bytes.writeInt32BE(Math.floor(value / TWO_32), at);
  bytes.writeUInt32BE(value >>> 0, at + 4);
}

/** Reads a signed 64-bit number; exact up to 2^53 (offsets and times fit). */
export const readInt64 = (bytes: Buffer, at: number): number =>
  bytes.readInt32BE(at) * TWO_32 + bytes.readUInt32BE(at + 4);

/** Appends fields to a growing buffer. */
export interface WireWriter {
  int8(value: number): void;
  int16(value: number): void;
  int32(value: number): void;
  int64(value: number): void;
  /** Null is written as length -1. */
  string(value: string | null): void;
  /** With an int32 length. */
  bytes(value: Buffer): void;
  /** A copy of what was written so far; the writer then starts anew. */
  take(): Buffer;
}

export function createWriter(initialBytes = 256): WireWriter {
  let bytes = Buffer.allocUnsafe(initialBytes);
  let length = 0;
  const room = (count: number): number => {
    if (length + count > bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(bytes.length * 2, length + count));
      bytes.copy(larger, 0, 0, length);
      bytes = larger;
    }
    length += count;
    return length - count;
  };
  // `room` may replace `bytes`: its result is taken before `bytes` is read.
  const writer: WireWriter = {
    int8: (value) => {
      const at = room(1);
      bytes.writeInt8(value, at);
    },
    int16: (value) => {
      const at = room(2);
      bytes.writeInt16BE(value, at);
    },
    int32: (value) => {
      const at = room(4);
      bytes.writeInt32BE(value, at);
    },
    int64: (value) => {
      const at = room(8);
      writeInt64(bytes, value, at);
    },
    string: (value) => {
      if (value === null) return writer.int16(-1);
      const size = Buffer.byteLength(value);
      writer.int16(size);
      const at = room(size);
      bytes.write(value, at);
    },
    bytes: (value) => {
      writer.int32(value.length);
      const at = room(value.length);
      value.copy(bytes, at);
    },
    take: () => {
      const taken = Buffer.from(bytes.subarray(0, length));
      length = 0;
      return taken;
    },
  };
  return writer;
}

/** Reads fields in order; throws a RangeError when the answer ends too early. */
export interface WireReader {
  int8(): number;
  int16(): number;
  int32(): number;
  int64(): number;
  /** Null is read as the empty text. */
  string(): string;
  /** A slice, not a copy; null and empty are both the empty buffer. */
  bytes(): Buffer;
  /** Reads an array with an int32 count; a null array is empty. */
  array<T>(item: () => T): T[];
}

export function createReader(payload: Buffer): WireReader {
  let at = 0;
  const step = (count: number): number => {
    if (count < 0 || at + count > payload.length) {
      throw new RangeError(`a Kafka answer of ${payload.length} bytes ends before its field at ${at}`);
    }
    at += count;
    return at - count;
  };
  const reader: WireReader = {
    int8: () => payload.readInt8(step(1)),
    int16: () => payload.readInt16BE(step(2)),
    int32: () => payload.readInt32BE(step(4)),
    int64: () => readInt64(payload, step(8)),
    string: () => {
      const size = Math.max(0, reader.int16());
      const start = step(size);
      return payload.toString('utf8', start, start + size);
    },
    bytes: () => {
      const size = Math.max(0, reader.int32());
      const start = step(size);
      return payload.subarray(start, start + size);
    },
    array: (item) => {
      const count = reader.int32();
      const items = [];
      for (let index = 0; index < count; index++) items.push(item());
      return items;
    },
  };
  return reader;
}
