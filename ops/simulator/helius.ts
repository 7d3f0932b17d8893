/** Enhanced-transaction webhooks as Helius sends them: POST of an array, the shared secret in `Authorization`. */
import type { Clock } from '#pipeline/clock.ts';
import { messageOf, PipelineError, printableUrl } from '#pipeline/errors.ts';
import type { Log } from '#pipeline/telemetry/log.ts';
import { asObject, readJsonLines } from './lines.ts';
import { type Progress, type Speed, scaledMs } from './speed.ts';
import { createRandom } from './world/random.ts';

/** Where to deliver; `authorization` is sent verbatim. */
export interface WebhookTarget {
  readonly url: string;
  readonly authorization: string;
}

/** JSON texts of one delivery; `atMs` counts from the first. */
export interface Delivery {
  readonly atMs: number;
  readonly transactions: readonly string[];
}

export interface DeliverySource {
  /** Transactions; null for a source without end. */
  readonly total: number | null;
  deliveries(): AsyncIterable<Delivery> | Iterable<Delivery>;
}

export interface HeliusSender {
  setTarget(target: WebhookTarget): void;
  progress(): Progress;
  close(): Promise<void>;
}

const MAX_BATCH = 10;
const EVEN_MS = 3_000;
const ATTEMPT_MS = 10_000;
const RETRY_MS = 1_000;
const RETRY_MAX_SPEED_MS = 250;

/** Counts the transactions of the files; batch sizes 1 to 10 follow from the seed. Broken lines are logged once. */
export async function loadRecordedDeliveries(options: {
  root: string;
  files: readonly string[];
  seed: number;
  log: Log;
  quiet: Log;
}): Promise<{ source: DeliverySource; skipped: number }> {
  const skipped = { count: 0 };
  let total = 0;
  for await (const { value } of readJsonLines({ ...options, skipped })) if (asObject(value)) total += 1;
  async function* deliveries(): AsyncGenerator<Delivery> {
    const random = createRandom(`${options.seed}:helius`);
    let batch: string[] = [];
    let size = random.between(1, MAX_BATCH);
    let atMs = 0;
    for await (const { bytes, value } of readJsonLines({ ...options, log: options.quiet })) {
      if (!asObject(value)) continue;
      batch.push(bytes.toString('utf8'));
      if (batch.length < size) continue;
      yield { atMs, transactions: batch };
      atMs += EVEN_MS;
      batch = [];
      size = random.between(1, MAX_BATCH);
    }
    if (batch.length > 0) yield { atMs, transactions: batch };
  }
  return { source: { total, deliveries }, skipped: skipped.count };
}

/** Delivers one batch after the other, from the moment that a target is set. */
export function startHelius(options: {
  source: DeliverySource;
  speed: Speed;
  log: Log;
  clock: Clock;
}): HeliusSender {
  const { source, speed, log, clock } = options;
  const stopped = new AbortController();
  let target: WebhookTarget | null = null;
  let running: Promise<void> | null = null;
  let sent = 0;

  const deliver = async (delivery: Delivery): Promise<void> => {
    const body = `[${delivery.transactions.join(',')}]`;
    // The provider gives up after 3 retries, one minute apart. Here it tries until it succeeds, because a recording
    // or a world of which a part is lost cannot be compared with anything.
    for (let attempt = 0; !stopped.signal.aborted; attempt += 1) {
      if (target === null) return;
      const failure = await post(target, body, stopped.signal);
      if (failure === null) {
        sent += delivery.transactions.length;
        return;
      }
      if (attempt === 0 && !stopped.signal.aborted)
        log.warn('a webhook delivery failed and is tried again', { url: printableUrl(target.url), failure });
      await clock.sleep(speed === 'max' ? RETRY_MAX_SPEED_MS : RETRY_MS / speed, stopped.signal);
    }
  };
  const run = async (): Promise<void> => {
    const startMs = clock.nowMs();
    for await (const delivery of source.deliveries()) {
      const waitMs = startMs + scaledMs(delivery.atMs, speed) - clock.nowMs();
      if (speed !== 'max' && waitMs > 0) await clock.sleep(waitMs, stopped.signal);
      if (stopped.signal.aborted) return;
      await deliver(delivery);
    }
  };
  return {
    setTarget: (next) => {
      if (!URL.canParse(next.url))
        throw new PipelineError(
          'CONFIG_INVALID',
          'simulator: the webhook target is not a URL; expected http://…',
        );
      target = next;
      running ??= run().catch((error: unknown) => log.error('delivering webhooks failed', { error }));
    },
    progress: () => ({
      provider: 'helius',
      sent,
      total: source.total,
      isDone: source.total !== null && sent >= source.total,
    }),
    close: async () => {
      stopped.abort();
      await running;
    },
  };
}

/** Null when the receiver answered 200, as the provider demands; else why not. */
async function post(target: WebhookTarget, body: string, signal: AbortSignal): Promise<string | null> {
  try {
    const response = await fetch(target.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: target.authorization },
      body,
      redirect: 'error',
      signal: AbortSignal.any([signal, AbortSignal.timeout(ATTEMPT_MS)]),
    });
    await response.arrayBuffer();
    return response.status === 200 ? null : `HTTP ${response.status}`;
  } catch (error) {
    return messageOf(error);
  }
}
