/**
 * The position of a derived record: who wrote it, its number, and a digest of all before it.
 *
 * Header `position`, text `writer:sequence;epoch;digest`, such as `detect-2:1041;1;09af33c1`. Sequences are dense from
 * 1 for each writer and destination partition. The digest is that of the record before (8 hex digits, 0 at the start),
 * so a reader sees two copies of a task that computed different bytes (engine rules, section 6).
 */
import { crc32 } from 'node:zlib';
import { PipelineError } from '#pipeline/errors.ts';
import type { Headers } from '#pipeline/kafka/types.ts';

export const POSITION_HEADER = 'position';
/** Marks a control record on a raw, fact or plan partition. Readers of data skip it. */
export const TICK_HEADER = 'tick';
/** Of a tick: no others. */
export const TICK_HEADERS = [[TICK_HEADER, Buffer.alloc(0)]] as const;

export interface Position {
  readonly writer: string;
  readonly sequence: number;
  readonly epoch: number;
  /** Digest of the writer's previous record in this partition. */
  readonly previousDigest: number;
}

export const writerName = (subTopology: string, partition: number): string => `${subTopology}-${partition}`;

export const formatDigest = (digest: number): string => (digest >>> 0).toString(16).padStart(8, '0');

export const formatPosition = (position: Position): string =>
  `${position.writer}:${position.sequence};${position.epoch};${formatDigest(position.previousDigest)}`;

const [COLON, SEMICOLON, ZERO, NINE, LETTER_A] = [58, 59, 48, 57, 97];
const MAX_WRITER_CHARS = 64;
const MAX_SEQUENCE_DIGITS = 15;
const MAX_EPOCH_DIGITS = 9;
const DIGEST_DIGITS = 8;
const HEX = Buffer.from('0123456789abcdef');
const POSITIONS_BYTES = 16 * 1024;

/** Makes the header values of one writer: the bytes of `formatPosition`, without a text for each. */
export function createPositions(writer: string, epoch: number): (sequence: number, digest: number) => Buffer {
  const prefix = Buffer.from(`${writer}:`, 'latin1');
  const suffix = Buffer.from(`;${epoch};`, 'latin1');
  let room = Buffer.alloc(0);
  let next = 0;
  return (sequence, digest) => {
    let digits = 1;
    for (let rest = sequence; rest >= 10; rest = Math.floor(rest / 10)) digits += 1;
    const size = prefix.length + digits + suffix.length + DIGEST_DIGITS;
    if (next + size > room.length) {
      // Many share one buffer; it lives as long as one of them.
      room = Buffer.allocUnsafeSlow(POSITIONS_BYTES);
      next = 0;
    }
    const from = next;
    room.set(prefix, from);
    let at = from + prefix.length + digits;
    for (let rest = sequence, place = at - 1; place >= at - digits; place -= 1) {
      const whole = Math.floor(rest / 10);
      room[place] = ZERO + (rest - whole * 10);
      rest = whole;
    }
    room.set(suffix, at);
    at += suffix.length;
    for (let shift = 28; shift >= 0; shift -= 4) room[at++] = HEX[(digest >>> shift) & 15] as number;
    next = at;
    return room.subarray(from, at);
  };
}

/** Throws STREAM_FORKED: a derived topic holds only what tasks wrote. */
export function readPosition(headers: Headers, place: string): Position {
  const header = headers.find(([name]) => name === POSITION_HEADER);
  const position = header === undefined ? null : parsePosition(header[1]);
  if (position === null) {
    throw new PipelineError(
      'STREAM_FORKED',
      `${place}: expected a header ${POSITION_HEADER} as tasks write it, found ${header === undefined ? 'none' : 'another form'}; something else writes to this topic: stop it, then replay into a new topic`,
    );
  }
  return position;
}

/** Null when it has another form. */
function parsePosition(bytes: Buffer): Position | null {
  const writerEnd = bytes.indexOf(COLON);
  if (writerEnd < 1 || writerEnd > MAX_WRITER_CHARS) return null;
  for (let at = 0; at < writerEnd; at += 1) if (!isWriterByte(bytes[at] as number)) return null;
  const sequenceEnd = endOfDigits(bytes, writerEnd + 1, MAX_SEQUENCE_DIGITS);
  const epochEnd = endOfDigits(bytes, sequenceEnd + 1, MAX_EPOCH_DIGITS);
  const hasForm =
    bytes[sequenceEnd] === SEMICOLON &&
    bytes[epochEnd] === SEMICOLON &&
    bytes.length === epochEnd + 1 + DIGEST_DIGITS;
  if (!hasForm) return null;
  let previousDigest = 0;
  for (let at = epochEnd + 1; at < bytes.length; at += 1) {
    const digit = hexDigit(bytes[at] as number);
    if (digit === -1) return null;
    previousDigest = previousDigest * 16 + digit;
  }
  return {
    writer: bytes.toString('latin1', 0, writerEnd),
    sequence: numberIn(bytes, writerEnd + 1, sequenceEnd),
    epoch: numberIn(bytes, sequenceEnd + 1, epochEnd),
    previousDigest,
  };
}

const isDigit = (byte: number): boolean => byte >= ZERO && byte <= NINE;
const isWriterByte = (byte: number): boolean =>
  (byte >= LETTER_A && byte < LETTER_A + 26) || isDigit(byte) || byte === 45;

const hexDigit = (byte: number): number => {
  if (isDigit(byte)) return byte - ZERO;
  return byte >= LETTER_A && byte < LETTER_A + 6 ? byte - LETTER_A + 10 : -1;
};

/** Where the digits from `from` on end; `from` itself, which no separator follows, when there are none or too many. */
function endOfDigits(bytes: Buffer, from: number, most: number): number {
  let at = from;
  while (isDigit(bytes[at] as number)) at += 1;
  return at === from || at - from > most ? bytes.length : at;
}

function numberIn(bytes: Buffer, from: number, end: number): number {
  let value = 0;
  for (let at = from; at < end; at += 1) value = value * 10 + (bytes[at] as number) - ZERO;
  return value;
}

export const isTick = (headers: Headers): boolean => headers.length === 1 && headers[0]?.[0] === TICK_HEADER;

const timeBytes = Buffer.alloc(8);

/** Checksum of a byte, as in crc32: a call into native code costs more than a few bytes do here. */
const CRC_TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});
const MAX_SHORT_BYTES = 64;

/** `crc32` of node:zlib. */
function checksum(bytes: Buffer, before: number): number {
  const { length } = bytes;
  if (length > MAX_SHORT_BYTES) return crc32(bytes, before);
  let crc = ~before;
  for (let at = 0; at < length; at += 1)
    crc = (CRC_TABLE[(crc ^ (bytes[at] as number)) & 255] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** Digest chained over (previous digest, log time, key, value). */
export function nextDigest(
  previous: number,
  logTimeMs: number,
  key: Buffer | null,
  value: Buffer | null,
): number {
  timeBytes.writeDoubleBE(logTimeMs);
  let digest = checksum(timeBytes, previous);
  if (key !== null) digest = checksum(key, digest);
  if (value !== null) digest = checksum(value, digest);
  return digest;
}
