/** Reads what is in the topics, by its own few lines: positions, digests and values. Nothing here is the engine's. */
import { crc32 } from 'node:zlib';

/** A record as a client shows it. */
export interface Seen {
  readonly timestampMs: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, Buffer | undefined>>;
}

export interface Position {
  readonly writer: string;
  readonly sequence: number;
  /** Of the writer's record before, in 8 hex digits. */
  readonly previousDigest: string;
}

/** Null when there is no position, or no readable one. */
export function positionOf({ headers }: Seen): Position | null {
  const match = /^(.+):([1-9]\d*);\d+;([0-9a-f]{8})$/.exec(headers['position']?.toString() ?? '');
  return match === null
    ? null
    : { writer: match[1] ?? '', sequence: Number(match[2]), previousDigest: match[3] ?? '' };
}

export const isTick = ({ headers }: Seen): boolean => headers['tick'] !== undefined;

/** Digest after a record: crc32 over time (big-endian double), key and value, begun with the digest before. */
export function digestAfter(previous: string, { timestampMs, key, value }: Seen): string {
  const time = Buffer.alloc(8);
  time.writeDoubleBE(timestampMs);
  let digest = crc32(time, Number.parseInt(previous, 16));
  for (const bytes of [key, value]) if (bytes !== null) digest = crc32(bytes, digest);
  return digest.toString(16).padStart(8, '0');
}

/** Fields of a value in their order: numbers and texts. */
export type Fields = readonly (number | string)[];

/** Behind magic byte and schema id, Avro: `l` a long of at most 53 bits, `s` a text. Throws when bytes are left or missing. */
export function fieldsOf(value: Buffer, types: string): Fields {
  let at = 5;
  const long = (): number => {
    let shift = 1;
    let raw = 0;
    for (;;) {
      const byte = value[at];
      if (byte === undefined) throw new Error('the value is cut');
      at += 1;
      raw += (byte & 0x7f) * shift;
      if (byte < 0x80) break;
      shift *= 128;
    }
    return raw % 2 === 0 ? raw / 2 : -(raw + 1) / 2;
  };
  const text = (): string => {
    const length = long();
    at += length;
    return value.toString('utf8', at - length, at);
  };
  const fields = [...types].map((type) => (type === 'l' ? long() : text()));
  if (at !== value.length) throw new Error(`${value.length - at} bytes too many`);
  return fields;
}
