/** Who may connect. Pure. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';

export interface DoorRules {
  readonly path: string;
  readonly allowedOrigins: readonly string[];
  /** Null: none is asked for. */
  readonly token: string | null;
}

/** HTTP status that a handshake is refused with; null: it may come in. */
export type Refusal = 400 | 401 | 403 | 404 | null;

const parse = (url: string): URL | null => (URL.canParse(url) ? new URL(url) : null);

/** In constant time, whatever the lengths. */
const isSame = (left: string, right: string): boolean =>
  timingSafeEqual(createHash('sha256').update(left).digest(), createHash('sha256').update(right).digest());

/**
 * A program sends no Origin and may come in. A page must be listed, or come from this very server, under an address
 * that no stranger can give it: localhost or a number. A name that resolves here may belong to anyone (DNS rebinding).
 */
function isOriginAllowed(
  origin: string | undefined,
  host: string | undefined,
  allowed: readonly string[],
): boolean {
  if (origin === undefined) return true;
  if (allowed.includes(origin)) return true;
  const from = parse(origin);
  if (from === null || host === undefined || from.host !== host.toLowerCase()) return false;
  const name = from.hostname.replace(/^\[(.*)\]$/, '$1');
  return name === 'localhost' || isIP(name) !== 0;
}

/** `target` is the request target, with `?token=` if it has one. */
export function refusalOf(target: string, headers: IncomingHttpHeaders, rules: DoorRules): Refusal {
  const url = parse(`ws://door${target}`);
  if (url === null || !target.startsWith('/')) return 400;
  if (url.pathname !== rules.path) return 404;
  if (!isOriginAllowed(headers.origin, headers.host, rules.allowedOrigins)) return 403;
  if (rules.token === null) return null;
  const bearer = /^Bearer (.+)$/i.exec(headers.authorization ?? '')?.[1];
  return isSame(bearer ?? url.searchParams.get('token') ?? '', rules.token) ? null : 401;
}
