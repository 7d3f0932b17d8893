/** Frames of one category of the exchange, recorded or generated, and which topics can be subscribed. */
import type { Log } from '#pipeline/telemetry/log.ts';
import { asObject, parseJson, readJsonLines } from './lines.ts';
import type { BybitStream } from './manifest.ts';

/** A data frame; `atMs` counts from the start of the feed. */
export interface FeedFrame {
  readonly topic: string;
  readonly atMs: number;
  readonly text: string;
}

export interface BybitFeed {
  readonly category: string;
  /** Data frames by topic; null for a feed without end. */
  readonly counts: ReadonlyMap<string, number> | null;
  isTopic(topic: string): boolean;
  /** Plays from the start; called once for each connection. */
  frames(): AsyncIterable<FeedFrame> | Iterable<FeedFrame>;
}

/** Frames without a time are this far apart at speed 1. */
const EVEN_MS = 50;

/** Topics of the v5 public stream, without the symbol at the end. */
const TOPIC =
  /^(orderbook\.(1|50|200|1000)|publicTrade|tickers|kline\.[0-9DWM]{1,3}|allLiquidation)\.([A-Z0-9-]{1,40})$/;

/** Can a topic be subscribed where these symbols are traded? Liquidations exist on derivatives only. */
export function isDocumentedTopic(topic: string, category: string, symbols: ReadonlySet<string>): boolean {
  const parts = TOPIC.exec(topic);
  if (parts === null || !symbols.has(parts[3] ?? '')) return false;
  return !(category === 'spot' && topic.startsWith('allLiquidation'));
}

/** Reads the streams of a category once to count; playing reads them again. Broken lines are logged once. */
export async function loadRecordedFeed(options: {
  root: string;
  category: string;
  streams: readonly BybitStream[];
  log: Log;
  quiet: Log;
}): Promise<{ feed: BybitFeed; skipped: number }> {
  const skipped = { count: 0 };
  const counts = new Map<string, number>();
  for await (const frame of play({ ...options, skipped }))
    counts.set(frame.topic, (counts.get(frame.topic) ?? 0) + 1);
  const symbols = new Set([...counts.keys()].map(symbolOf));
  const feed: BybitFeed = {
    category: options.category,
    counts,
    isTopic: (topic) => counts.has(topic) || isDocumentedTopic(topic, options.category, symbols),
    frames: () => play({ ...options, log: options.quiet }),
  };
  return { feed, skipped: skipped.count };
}

const symbolOf = (topic: string): string => topic.slice(topic.lastIndexOf('.') + 1);

async function* play(options: {
  root: string;
  streams: readonly BybitStream[];
  log: Log;
  skipped?: { count: number };
}): AsyncGenerator<FeedFrame> {
  let atMs = 0;
  for (const stream of options.streams) {
    for (const file of stream.files) {
      // Files follow each other without a pause, whatever lies between their times.
      let previousMs: number | null = null;
      for await (const line of readJsonLines({ ...options, files: [file] })) {
        const recorded = asObject(line.value);
        if (stream.envelope === 'rec' && recorded?.t !== 'recv') continue;
        const text = stream.envelope === 'rec' ? recorded?.data : line.bytes.toString('utf8');
        const topic = typeof text === 'string' ? topicOf(text) : null;
        if (typeof text !== 'string' || topic === null) continue;
        const ts = stream.envelope === 'rec' ? recorded?.ts : null;
        const timeMs: number | null = typeof ts === 'number' ? ts * 1_000 : null;
        // Where times step back the frame follows at once.
        if (timeMs === null) atMs += EVEN_MS;
        else if (previousMs !== null) atMs += Math.max(0, timeMs - previousMs);
        if (timeMs !== null) previousMs = Math.max(previousMs ?? 0, timeMs);
        yield { topic, atMs, text };
      }
    }
  }
}

/** The topic of a data frame; null for acks, pongs and what is not JSON. */
function topicOf(text: string): string | null {
  const topic = asObject(parseJson(text)?.value)?.topic;
  return typeof topic === 'string' ? topic : null;
}
