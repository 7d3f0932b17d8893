/** What a webhook delivery is: an array of transactions, or something to put aside. Pure. */
import { isUtf8 } from 'node:buffer';
import { createHash, timingSafeEqual } from 'node:crypto';

/** Kind and key of the raw record of a delivery. */
export interface Delivery {
  readonly kind: 'enhanced-transactions' | 'unreadable';
  /** Signature of the first transaction; `none` when there is none that can be read. */
  readonly key: string;
}

const NO_KEY = 'none';
const UNREADABLE: Delivery = { kind: 'unreadable', key: NO_KEY };

/** Looks no deeper than the array and the first signature: the rest is judged by whoever reads the record. */
export function deliveryOf(body: Buffer): Delivery {
  if (!isUtf8(body)) return UNREADABLE;
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString('utf8'));
  } catch {
    return UNREADABLE;
  }
  if (!Array.isArray(parsed) || !parsed.every(isObject)) return UNREADABLE;
  const signature: unknown = parsed[0]?.signature;
  const isSignature = typeof signature === 'string' && /^[1-9A-HJ-NP-Za-km-z]{64,88}$/.test(signature);
  return { kind: 'enhanced-transactions', key: isSignature ? signature : NO_KEY };
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Compares a header with the secret; digests have one length, so that time tells nothing of either. */
export function createAuthorizer(secret: string): (header: string | undefined) => boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  const expected = digest(secret);
  return (header) => timingSafeEqual(digest(header ?? ''), expected) && header !== undefined;
}
