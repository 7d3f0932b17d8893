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

const PATTERN = /^([a-z0-9-]{1,64}):(\d{1,15});(\d{1,9});([0-9a-f]{8})$/;

/** Throws STREAM_FORKED: a derived topic holds only what tasks wrote. */
export function readPosition(headers: Headers, place: string): Position {
  const header = headers.find(([name]) => name === POSITION_HEADER);
  const match = header === undefined ? null : PATTERN.exec(header[1].toString('latin1'));
  if (match === null) {
    throw new PipelineError(
      'STREAM_FORKED',
      `${place}: expected a header ${POSITION_HEADER} as tasks write it, found ${header === undefined ? 'none' : 'another form'}; something else writes to this topic: stop it, then replay into a new topic`,
    );
  }
  return {
    writer: match[1] ?? '',
    sequence: Number(match[2]),
    epoch: Number(match[3]),
    previousDigest: Number.parseInt(match[4] ?? '', 16),
  };
}

export const isTick = (headers: Headers): boolean => headers.length === 1 && headers[0]?.[0] === TICK_HEADER;

const timeBytes = Buffer.alloc(8);

/** Digest chained over (previous digest, log time, key, value). */
export function nextDigest(
  previous: number,
  logTimeMs: number,
  key: Buffer | null,
  value: Buffer | null,
): number {
  timeBytes.writeDoubleBE(logTimeMs);
  let digest = crc32(timeBytes, previous);
  if (key !== null) digest = crc32(key, digest);
  if (value !== null) digest = crc32(value, digest);
  return digest;
}
