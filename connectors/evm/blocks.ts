/** Fetches blocks with their receipts; waits out a node that is away or lags behind its own announcements. */
import { backoffMs, type Clock } from '#pipeline/clock.ts';
import { isPipelineError } from '#pipeline/errors.ts';
import type { Log } from '#pipeline/telemetry/log.ts';
import type { RpcAnswer, RpcClient } from './client.ts';
import { isJsonArray, parseHeader } from './parse.ts';
import type { BlockHeader } from './wire.ts';

/** `absent`: the node has no such block. `unreadable`: an answer that is no block, with the bytes as received. */
export type Fetched =
  | { readonly kind: 'block'; readonly block: FetchedBlock }
  | { readonly kind: 'absent' }
  | { readonly kind: 'unreadable'; readonly body: Buffer; readonly receivedAtMs: number }
  | { readonly kind: 'oversized' };

export interface FetchedBlock extends BlockHeader {
  /** `{"block":...,"receipts":...}` with both as received; receipts may be null. */
  readonly body: Buffer;
  readonly receivedAtMs: number;
  /** `missing`: the node had none yet. `unavailable`: it said that it has none. `unwanted`: not asked for. */
  readonly receipts: 'present' | 'missing' | 'unavailable' | 'unwanted';
}

export interface BlockFetcher {
  /** Asks up to `attempts` times while the node has no readable answer. */
  byNumber(number: number, attempts: number): Promise<Fetched>;
  byHash(hash: string): Promise<Fetched>;
  /** Whether the node has a block of this number; asked once, without its transactions. */
  exists(number: number): Promise<boolean>;
}

export interface FetchOptions {
  readonly receipts: boolean;
  readonly receiptAttempts: number;
  readonly blockAttempts: number;
  readonly retryDelayMs: number;
  readonly maxBlockBytes: number;
}

/** A receipts answer is as final a moment later as it is now, more often than not: the first retry comes soon. */
const RECEIPT_RETRY_MS = 50;
const METHOD_MISSING = -32601;
/**
 * A node that refused the receipts of so many blocks in a row does not keep any: it is asked once for each further
 * block, and with patience for every 16th, in case it was only behind.
 */
const REFUSALS_BELIEVED = 3;
const PATIENT_EVERY = 16;

const hex = (number: number) => `0x${number.toString(16)}`;

/** Every call ends with the reason of `signal` when it aborts. */
export function createBlockFetcher(parts: {
  rpc: RpcClient;
  options: FetchOptions;
  clock: Clock;
  log: Log;
  signal: AbortSignal;
}): BlockFetcher {
  const { rpc, options, clock, log, signal } = parts;
  let refusalsInRow = 0;

  const pause = async (ms: number): Promise<void> => {
    await clock.sleep(ms, signal);
    signal.throwIfAborted();
  };

  /** Waits until the node answers, whatever it answers: without it nothing else could go on either. */
  async function ask(method: string, params: readonly unknown[], maxBytes: number): Promise<RpcAnswer> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await rpc.call({ method, params, signal, maxBytes });
      } catch (error) {
        if (!isPipelineError(error, 'PROVIDER_UNAVAILABLE')) throw error;
        if (attempt === 0) log.warn('provider unavailable, trying again', { method, error });
        await pause(backoffMs(attempt));
      }
    }
  }

  async function fetchReceipts(
    hash: string,
    maxBytes: number,
  ): Promise<{ state: FetchedBlock['receipts']; bytes: Buffer | null }> {
    if (!options.receipts) return { state: 'unwanted', bytes: null };
    const isPatient = refusalsInRow < REFUSALS_BELIEVED || refusalsInRow % PATIENT_EVERY === 0;
    const attempts = isPatient ? options.receiptAttempts : 1;
    let state: FetchedBlock['receipts'] = 'missing';
    for (let attempt = 0; attempt < attempts; attempt += 1) {
      if (attempt > 0) await pause(backoffMs(attempt - 1, RECEIPT_RETRY_MS));
      const answer = await ask('eth_getBlockReceipts', [hash], maxBytes);
      if (answer.kind === 'result' && isJsonArray(answer.bytes)) {
        refusalsInRow = 0;
        return { state: 'present', bytes: answer.bytes };
      }
      state = answer.kind === 'error' || answer.kind === 'oversized' ? 'unavailable' : 'missing';
      if (answer.kind === 'oversized' || (answer.kind === 'error' && answer.code === METHOD_MISSING)) break;
    }
    if (state === 'unavailable') refusalsInRow += 1;
    return { state, bytes: null };
  }

  /** One question. `isAsked`: a load balancer that answers with another block has not answered. */
  async function fetchOnce(
    method: string,
    id: string,
    isAsked: (header: BlockHeader) => boolean,
  ): Promise<Fetched> {
    const answer = await ask(method, [id, true], options.maxBlockBytes);
    const receivedAtMs = clock.nowMs();
    if (answer.kind === 'oversized') return { kind: 'oversized' };
    if (answer.kind === 'error') {
      log.debug('block refused', { id, code: answer.code });
      return { kind: 'absent' };
    }
    if (answer.kind === 'result' && answer.bytes.equals(JSON_NULL)) return { kind: 'absent' };
    const header = answer.kind === 'result' ? parseHeader(answer.bytes) : null;
    if (header === null || !isAsked(header)) {
      return { kind: 'unreadable', body: Buffer.from(answer.bytes), receivedAtMs };
    }
    const receipts = await fetchReceipts(header.hash, options.maxBlockBytes - answer.bytes.length);
    const body = Buffer.concat([
      Buffer.from('{"block":'),
      answer.bytes,
      Buffer.from(',"receipts":'),
      receipts.bytes ?? JSON_NULL,
      Buffer.from('}'),
    ]);
    return { kind: 'block', block: { ...header, body, receivedAtMs, receipts: receipts.state } };
  }

  async function fetchWithin(attempts: number, fetchIt: () => Promise<Fetched>): Promise<Fetched> {
    for (let attempt = 1; ; attempt += 1) {
      const fetched = await fetchIt();
      const isFinal = fetched.kind === 'block' || fetched.kind === 'oversized';
      if (isFinal || attempt >= attempts) return fetched;
      await pause(options.retryDelayMs);
    }
  }

  return {
    byNumber: (number, attempts) =>
      fetchWithin(attempts, () =>
        fetchOnce('eth_getBlockByNumber', hex(number), (header) => header.number === number),
      ),
    byHash: (hash) =>
      fetchWithin(options.blockAttempts, () =>
        fetchOnce('eth_getBlockByHash', hash, (header) => header.hash === hash),
      ),
    async exists(number) {
      const answer = await ask('eth_getBlockByNumber', [hex(number), false], options.maxBlockBytes);
      return answer.kind === 'oversized' || (answer.kind === 'result' && !answer.bytes.equals(JSON_NULL));
    },
  };
}

const JSON_NULL = Buffer.from('null');
