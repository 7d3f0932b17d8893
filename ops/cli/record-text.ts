/** A decoded record as JSON for programs, or on one line for people. */
import { escaped, escapedJson } from './printable.ts';
import type { Placed } from './where.ts';

/** A record, or why its bytes are not one. */
export interface ShownRecord extends Placed {
  readonly topic: string;
  /** Null: readable. */
  readonly problem: string | null;
}

const MAX_BODY_CHARS = 2_048;
/** Always the same or of no use to somebody who looks on. */
const LEFT_OUT: readonly string[] = [
  'causes',
  'text',
  'evidence',
  'components',
  'receivedAtMs',
  'eventTimeMs',
];

/** One JSON object: exact integers as decimal text, bytes as text where they are UTF-8, else as base64. */
export function recordJson(record: ShownRecord, isFull: boolean): string {
  const { topic, partition, offset, timestampMs, key, position, value, problem } = record;
  const shown = { topic, partition, offset, timestampMs, key, position, value: plain(value, isFull) };
  return escapedJson(JSON.stringify(problem === null ? shown : { ...shown, problem }));
}

/** Log time, place, key and what there is; everything that a terminal acts on is escaped. */
export function recordLine(record: ShownRecord, isFull: boolean): string {
  const { topic, partition, offset, timestampMs, key, value, problem } = record;
  const where = `${timeText(timestampMs)}  ${topic}/${partition}/${offset}  ${key}`;
  return escaped(`${where}  ${problem === null ? valueText(plain(value, isFull)) : `(${problem})`}`);
}

function valueText(value: unknown): string {
  if (typeof value !== 'object' || value === null) return value === null ? '(withdrawn)' : String(value);
  const entries = Object.entries(value);
  const text = entries.find(([name]) => name === 'text')?.[1];
  const happenedMs = entries.find(([name]) => name === 'eventTimeMs')?.[1];
  const fields = entries
    .filter(([name, field]) => !LEFT_OUT.includes(name) && field !== null)
    .map(([name, field]) => `${name}=${fieldText(name, field)}`);
  return [
    ...(typeof happenedMs === 'number' ? [`at ${timeText(happenedMs)}`] : []),
    ...(typeof text === 'string' ? [text] : []),
    ...fields,
  ].join('  ');
}

const fieldText = (name: string, field: unknown): string =>
  name.endsWith('Ms') && typeof field === 'number'
    ? timeText(field)
    : typeof field === 'string'
      ? field
      : JSON.stringify(field);

const timeText = (ms: number): string =>
  Number.isFinite(ms) && Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : String(ms);

function plain(value: unknown, isFull: boolean): unknown {
  if (typeof value === 'bigint') return String(value);
  if (Buffer.isBuffer(value)) return bodyText(value, isFull);
  if (Array.isArray(value)) return value.map((item) => plain(item, isFull));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, plain(field, isFull)]));
}

function bodyText(body: Buffer, isFull: boolean): string {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    text = `base64:${body.toString('base64')}`;
  }
  if (isFull || text.length <= MAX_BODY_CHARS) return text;
  return `${text.slice(0, MAX_BODY_CHARS).toWellFormed()}...(${body.length} bytes; --full shows all)`;
}
