/** JSON lines of a recorded file, plain or gzip, one at a time: a file is never held in memory whole. */
import { createReadStream } from 'node:fs';
import { relative } from 'node:path';
import { createGunzip } from 'node:zlib';
import type { Log } from '#pipeline/telemetry/log.ts';

/** Longest line that is read; a longer one is skipped like a line that is not JSON. */
export const MAX_LINE_BYTES = 64 * 1024 * 1024;

/** A line and where it stands; `line` counts from 1. `bytes` is the text as recorded, without the line end. */
export interface RecordedLine {
  readonly path: string;
  readonly line: number;
  readonly bytes: Buffer;
}

/** Yields the non-empty lines of a file. `bytes` is null for a line longer than `maxBytes`. Throws when unreadable. */
export async function* readLines(
  path: string,
  maxBytes = MAX_LINE_BYTES,
): AsyncGenerator<{ line: number; bytes: Buffer | null }> {
  const file = createReadStream(path, { highWaterMark: 256 * 1024 });
  const gunzip = path.endsWith('.gz') ? createGunzip({ chunkSize: 256 * 1024 }) : null;
  // `pipe` does not forward errors of the file.
  if (gunzip) file.on('error', (error) => gunzip.destroy(error)).pipe(gunzip);
  let parts: Buffer[] = [];
  let size = 0;
  let line = 0;
  const take = (): { line: number; bytes: Buffer | null } | null => {
    line += 1;
    const joined = size > maxBytes ? null : parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    parts = [];
    size = 0;
    const bytes = joined?.at(-1) === 0x0d ? joined.subarray(0, -1) : joined;
    return bytes?.length === 0 ? null : { line, bytes };
  };
  const add = (part: Buffer): void => {
    size += part.length;
    if (size > maxBytes) parts = [];
    else parts.push(part);
  };
  try {
    for await (const chunk of gunzip ?? file) {
      const buffer: Buffer = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk);
      let from = 0;
      for (let at = buffer.indexOf(10); at !== -1; at = buffer.indexOf(10, from)) {
        add(buffer.subarray(from, at));
        from = at + 1;
        const found = take();
        if (found) yield found;
      }
      if (from < buffer.length) add(buffer.subarray(from));
    }
    if (size > 0) {
      const found = take();
      if (found) yield found;
    }
  } finally {
    file.destroy();
    gunzip?.destroy();
  }
}

/** Reads files in order, parsed. A line that is not JSON is skipped, counted in `skipped` and logged with its place. */
export async function* readJsonLines(options: {
  root: string;
  files: readonly string[];
  log: Log;
  skipped?: { count: number };
}): AsyncGenerator<RecordedLine & { value: unknown }> {
  for (const path of options.files) {
    for await (const { line, bytes } of readLines(path)) {
      const parsed = bytes === null ? null : parseJson(bytes);
      if (bytes !== null && parsed !== null) {
        yield { path, line, bytes, value: parsed.value };
        continue;
      }
      if (options.skipped) options.skipped.count += 1;
      options.log.warn('a recorded line is not JSON and was skipped', {
        file: relative(options.root, path),
        line,
        bytes: bytes?.length ?? null,
      });
    }
  }
}

/** The value of a JSON text, or null when it is none. */
export function parseJson(text: Buffer | string): { value: unknown } | null {
  try {
    return { value: JSON.parse(typeof text === 'string' ? text : text.toString('utf8')) };
  } catch {
    return null;
  }
}

/** A JSON object as a record of unknown values; null for anything else. */
export const asObject = (value: unknown): Readonly<Record<string, unknown>> | null =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * The bytes of the value of a top-level key of a JSON object, unchanged; null when the key is missing. The text must be
 * valid JSON (it was parsed before).
 */
export function valueBytes(json: Buffer, key: string): Buffer | null {
  const wanted = JSON.stringify(key);
  let depth = 0;
  let start = -1;
  let keyFrom = -1;
  let keyTo = -1;
  for (let at = 0; at < json.length; at += 1) {
    const byte = json[at]!;
    if (byte === QUOTE) {
      const from = at;
      at = endOfString(json, at);
      if (depth === 1 && start === -1) {
        keyFrom = from;
        keyTo = at + 1;
      }
    } else if (byte === 0x7b || byte === 0x5b) depth += 1;
    else if (byte === 0x7d || byte === 0x5d) {
      depth -= 1;
      if (depth === 0 && start !== -1) return trimmed(json.subarray(start, at));
    } else if (byte === 0x3a && depth === 1 && start === -1) {
      if (json.toString('utf8', keyFrom, keyTo) === wanted) start = at + 1;
    } else if (byte === 0x2c && depth === 1 && start !== -1) return trimmed(json.subarray(start, at));
  }
  return null;
}

/** Index of the closing quote of the string that opens at `from`. */
function endOfString(json: Buffer, from: number): number {
  let at = json.indexOf(QUOTE, from + 1);
  while (at !== -1) {
    let slashes = 0;
    while (json[at - 1 - slashes] === BACKSLASH) slashes += 1;
    if (slashes % 2 === 0) return at;
    at = json.indexOf(QUOTE, at + 1);
  }
  return json.length;
}

function trimmed(bytes: Buffer): Buffer {
  let from = 0;
  let to = bytes.length;
  while (from < to && bytes[from]! <= 0x20) from += 1;
  while (to > from && bytes[to - 1]! <= 0x20) to -= 1;
  return bytes.subarray(from, to);
}
