/** Settings as they may be shown: secrets masked, URLs without what opens doors. */
import type { z } from 'zod';
import { printableUrl } from '../errors.ts';
import { isTree, type Path } from './layers.ts';
import { isSecret } from './schema.ts';

export const MASK = '***';
const MAX_SHOWN = 80;

/** A URL anywhere, and everything that is meant to be one: what does not parse may still hold a password. */
const looksLikeUrl = (path: Path, text: string): boolean =>
  text.includes('://') ||
  /(^|[a-z])ur[il]$/i.test(String(path.findLast((part) => typeof part === 'string') ?? ''));

/** `user:password@host` parses as a URL of the protocol `user:`. */
const shownUrl = (text: string): string =>
  /^[a-z][a-z+]*:\/\//i.test(text) ? printableUrl(text) : '(not a URL)';

/** The value with every secret in it masked. Null stays: that a secret is not set is no secret. */
export function masked(schema: z.ZodType, path: Path, value: unknown): unknown {
  if (value === null || value === undefined) return value;
  if (isSecret(schema, path)) return MASK;
  if (typeof value === 'string') return looksLikeUrl(path, value) ? shownUrl(value) : value;
  if (Array.isArray(value)) return value.map((item, index) => masked(schema, [...path, index], item));
  if (!isTree(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => [key, masked(schema, [...path, key], child)]),
  );
}

/** What was found, for a message: lists and sections by their kind only. */
export function foundText(schema: z.ZodType, path: Path, value: unknown, isValueWanted: boolean): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (isTree(value)) return 'a section';
  if (isSecret(schema, path)) return MASK;
  // A whole section given as text may hold secrets of its parts.
  if (!isValueWanted) return typeof value === 'string' ? 'text' : `a ${typeof value}`;
  return cut(JSON.stringify(masked(schema, path, value)) ?? typeof value);
}

const cut = (text: string): string => (text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}...` : text);

/** Dotted paths of all leaves, lists being leaves. Empty sections are leaves too. */
export function leaves(value: unknown, path: Path = []): readonly Path[] {
  if (!isTree(value)) return [path];
  const keys = Object.keys(value);
  if (keys.length === 0) return path.length === 0 ? [] : [path];
  return keys.flatMap((key) => leaves(value[key], [...path, key]));
}
