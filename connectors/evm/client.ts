/** JSON-RPC 2.0 over HTTP POST: one request, one answer, its result kept as the bytes that arrived. */
import type { Clock } from '#pipeline/clock.ts';
import { PipelineError, printableUrl } from '#pipeline/errors.ts';
import { jsonMembers, parseJson } from './parse.ts';
import { rpcError } from './wire.ts';

/** What a node answered. Only a node that cannot be reached is an exception. */
export type RpcAnswer =
  | { readonly kind: 'result'; readonly bytes: Buffer }
  | { readonly kind: 'error'; readonly code: number; readonly message: string }
  | { readonly kind: 'unreadable'; readonly bytes: Buffer }
  | { readonly kind: 'oversized' };

export interface RpcRequest {
  readonly method: string;
  readonly params: readonly unknown[];
  readonly signal: AbortSignal;
  /** Longer answers are cut off while they arrive. */
  readonly maxBytes?: number;
}

export interface RpcClient {
  /** Throws PROVIDER_UNAVAILABLE; the URL in its message is printable. */
  call(request: RpcRequest): Promise<RpcAnswer>;
}

/** Not the answer to this question but to all at this time (EIP-1474 limit exceeded, and as some providers write it). */
const RATE_LIMIT_CODES: ReadonlySet<number> = new Set([-32005, 429]);
const SMALL_ANSWER_BYTES = 1024 * 1024;

export function createRpcClient(options: { url: string; timeoutMs: number; clock: Clock }): RpcClient {
  const { clock, timeoutMs } = options;
  const where = printableUrl(options.url);
  const { url, headers } = endpointOf(options.url);
  let lastId = 0;

  // The cause is not attached: fetch writes the whole URL, with its key, into some of its errors.
  const unavailable = (found: string) =>
    new PipelineError(
      'PROVIDER_UNAVAILABLE',
      `expected a JSON-RPC answer, found ${found}, at ${where}; is it up?`,
      {
        facts: { url: where },
      },
    );

  async function exchange(request: RpcRequest, id: number, signal: AbortSignal): Promise<RpcAnswer> {
    const response = await fetch(url, {
      method: 'POST',
      headers,
      body: JSON.stringify({ jsonrpc: '2.0', id, method: request.method, params: request.params }),
      redirect: 'error',
      signal,
    });
    const bytes = await readAtMost(response, request.maxBytes ?? SMALL_ANSWER_BYTES);
    if (bytes === null) return { kind: 'oversized' };
    const answer = readAnswer(bytes);
    // Some providers put an error object into a 4xx response: the object says more than the status.
    if (!response.ok && answer.kind !== 'error') throw unavailable(`HTTP ${response.status}`);
    if (answer.kind === 'error' && RATE_LIMIT_CODES.has(answer.code)) throw unavailable('a rate limit');
    return answer;
  }

  return {
    async call(request) {
      lastId += 1;
      const done = new AbortController();
      const timeout = new AbortController();
      void clock.sleep(timeoutMs, done.signal).then(() => timeout.abort());
      try {
        return await exchange(request, lastId, AbortSignal.any([request.signal, timeout.signal]));
      } catch (error) {
        request.signal.throwIfAborted();
        if (error instanceof PipelineError) throw error;
        throw unavailable(timeout.signal.aborted ? `nothing within ${timeoutMs} ms` : networkCode(error));
      } finally {
        done.abort();
      }
    },
  };
}

/** The result or the error of a response, by its members. */
function readAnswer(bytes: Buffer): RpcAnswer {
  const members = jsonMembers(bytes);
  const error = members?.get('error');
  const parsed = error === undefined ? undefined : rpcError.safeParse(parseJson(error)).data;
  if (parsed !== undefined) return { kind: 'error', ...parsed };
  const result = members?.get('result');
  return result === undefined ? { kind: 'unreadable', bytes } : { kind: 'result', bytes: result };
}

/** The body, or null as soon as it is longer than `maxBytes` (counted after decompression). */
async function readAtMost(response: Response, maxBytes: number): Promise<Buffer | null> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    if (size > maxBytes) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** fetch refuses URLs with a user and password: they go into a header. */
function endpointOf(text: string): { url: URL; headers: Record<string, string> } {
  const url = new URL(text);
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  if (url.username !== '' || url.password !== '') {
    const pair = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
    headers.authorization = `Basic ${Buffer.from(pair).toString('base64')}`;
    url.username = '';
    url.password = '';
  }
  return { url, headers };
}

/** The system's word for what went wrong, such as ECONNREFUSED; never the message. */
function networkCode(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  return typeof code === 'string' ? code : 'a broken connection';
}
