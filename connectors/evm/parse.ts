/** Pure readers of what a node answers. None throws: `null` means unreadable. */
import { type BlockHeader, blockHeader, quantity, type SocketMessage, socketMessage } from './wire.ts';

/** Number, hash and parent of a block in JSON; null when it is not JSON or lacks one of them. */
export const parseHeader = (block: Buffer): BlockHeader | null =>
  blockHeader.safeParse(parseJson(block)).data ?? null;

/** A JSON string with a hex quantity, such as `"0x10"`; null when it is anything else. */
export const parseQuantity = (json: Buffer): number | null =>
  quantity.safeParse(parseJson(json)).data ?? null;

/** A frame of the subscription socket. */
export const parseSocketMessage = (frame: Buffer): SocketMessage | null =>
  socketMessage.safeParse(parseJson(frame)).data ?? null;

/** Whether the text is a JSON array: all that is asked of receipts here. */
export const isJsonArray = (json: Buffer): boolean => Array.isArray(parseJson(json));

/** The value, or undefined when the bytes are not JSON. */
export function parseJson(json: Buffer): unknown {
  try {
    return JSON.parse(json.toString('utf8'));
  } catch {
    return undefined;
  }
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const [OPEN_BRACKET, CLOSE_BRACKET, OPEN_BRACE, CLOSE_BRACE] = [0x5b, 0x5d, 0x7b, 0x7d];
const isSpace = (byte: number | undefined) =>
  byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

/**
 * The members of a JSON object as slices of its bytes, so that a value can be passed on exactly as received: parsing
 * and printing it again would round large numbers and lose spacing. Finds where values begin and end, and no more:
 * whether a value is valid JSON is for its reader to say. Null when the bytes are not one object. (RFC 8259)
 */
export function jsonMembers(bytes: Buffer): ReadonlyMap<string, Buffer> | null {
  const members = new Map<string, Buffer>();
  let at = skipSpace(bytes, 0);
  if (bytes[at] !== OPEN_BRACE) return null;
  at = skipSpace(bytes, at + 1);
  let isFirst = true;
  while (bytes[at] !== CLOSE_BRACE) {
    if (!isFirst) {
      if (bytes[at] !== COMMA) return null;
      at = skipSpace(bytes, at + 1);
    }
    isFirst = false;
    if (bytes[at] !== QUOTE) return null;
    const nameEnd = stringEnd(bytes, at);
    const colon = skipSpace(bytes, nameEnd);
    if (bytes[colon] !== COLON) return null;
    const start = skipSpace(bytes, colon + 1);
    const end = valueEnd(bytes, start);
    if (end === start) return null;
    members.set(bytes.toString('utf8', at + 1, nameEnd - 1), bytes.subarray(start, end));
    at = skipSpace(bytes, end);
  }
  return skipSpace(bytes, at + 1) === bytes.length ? members : null;
}

function skipSpace(bytes: Buffer, from: number): number {
  let at = from;
  while (isSpace(bytes[at])) at += 1;
  return at;
}

/** Just past the closing quote; the end of the bytes when there is none. */
function stringEnd(bytes: Buffer, start: number): number {
  for (let at = start + 1; at < bytes.length; at += 1) {
    if (bytes[at] === BACKSLASH) at += 1;
    else if (bytes[at] === QUOTE) return at + 1;
  }
  return bytes.length;
}

/** Just past the value; equals `start` when there is none. */
function valueEnd(bytes: Buffer, start: number): number {
  let depth = 0;
  let at = start;
  while (at < bytes.length) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      at = stringEnd(bytes, at);
      if (depth === 0) return at;
      continue;
    }
    const isClosing = byte === CLOSE_BRACE || byte === CLOSE_BRACKET;
    // A number or a word ends before the next of these; inside brackets they belong to the value.
    if (depth === 0 && (isClosing || byte === COMMA || isSpace(byte))) return at;
    if (byte === OPEN_BRACE || byte === OPEN_BRACKET) depth += 1;
    at += 1;
    if (isClosing && --depth === 0) return at;
  }
  return at;
}
