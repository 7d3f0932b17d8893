/** One measurement of a running `baleen up`, from outside: its metrics, its subscribers, the kernel's accounting. */
import { once } from 'node:events';
import WebSocket from 'ws';
import { z } from 'zod';
import { readAdminAddress } from '#ops/admin/address.ts';
import { type Percentiles, percentiles } from '#ops/cli/report.ts';
import type { Clock } from '#pipeline/clock.ts';
import { alerts, chainTransfers, marketTrades } from '#schemas/topics.ts';
import { cpuSeconds, peaksByMinute, residentMemory, slopePerMinute, totalOf } from './proc.ts';

export interface Measured {
  /** That made the figures. */
  readonly command: string;
  readonly seconds: number;
  /** Trades and transfers that became records. */
  readonly eventsPerSecond: number;
  /** Records that Postgres made durable. */
  readonly rowsPerSecond: number;
  /** Records in the topics that were not folded. */
  readonly lag: { readonly first: number; readonly last: number };
  /** From receipt by the connector to a subscriber of the WebSocket. */
  readonly alertLatencyMs: Percentiles & { readonly samples: number };
  /** Of one core. */
  readonly cpuPercent: number;
  readonly memory: {
    readonly firstMiB: number;
    readonly lastMiB: number;
    readonly peakMiB: number;
    /** Slope of the line through all samples. */
    readonly mibPerMinute: number;
    /** The peak of each minute. */
    readonly byMinuteMiB: readonly number[];
    /** The same without pages of files: the program, tables of the state. */
    readonly ownByMinuteMiB: readonly number[];
  };
}

const SAMPLE_MS = 5_000;
const POLL_MS = 500;

/** Subscribes to alerts. `latenciesMs` grows by one for each that arrives. */
export async function watchAlertLatency(
  url: string | null,
  clock: Pick<Clock, 'nowMs'>,
): Promise<{ readonly latenciesMs: readonly number[]; close(): void }> {
  const latenciesMs: number[] = [];
  if (url === null) return { latenciesMs, close: () => {} };
  const socket = new WebSocket(url);
  await once(socket, 'open');
  socket.send(JSON.stringify({ op: 'subscribe', id: 'bench', topic: alerts.name, from: 'latest' }));
  socket.on('message', (text: Buffer) => {
    const message = messageSchema.safeParse(JSON.parse(text.toString()));
    if (message.success) latenciesMs.push(clock.nowMs() - message.data.record.receivedAtMs);
  });
  // It ends with the process that is measured, in whatever way.
  socket.on('error', () => {});
  return { latenciesMs, close: () => socket.close() };
}

const messageSchema = z.object({ type: z.literal('record'), record: z.object({ receivedAtMs: z.number() }) });

interface Sample {
  readonly atMs: number;
  readonly cpuSeconds: number;
  readonly mib: number;
  readonly ownMiB: number;
  readonly events: number;
  readonly rows: number;
  readonly lag: number;
}

/** Throws when the process ends meanwhile. */
export async function measure(options: {
  readonly pid: number;
  readonly dataDir: string;
  readonly command: string;
  /** Grows by one for each alert. */
  readonly alertsMs: readonly number[];
  readonly clock: Clock;
  readonly warmupMs: number;
  readonly durationMs: number;
  /** Wait until nothing is left to do before anything is measured. */
  readonly isIdle: boolean;
}): Promise<Measured> {
  const { pid, clock, alertsMs } = options;
  const address = await readAdminAddress(options.dataDir);
  if (address === null) throw new Error(`${options.dataDir}: expected a running baleen up, found none`);
  const take = async (): Promise<Sample> => {
    const page = await (await fetch(`${address.url}/metrics`)).text();
    const produced = (topic: string) => totalOf(page, 'baleen_produced_records_total', { topic });
    return {
      atMs: clock.nowMs(),
      cpuSeconds: cpuSeconds(pid),
      ...residentMemory(pid),
      events: produced(marketTrades.name) + produced(chainTransfers.name),
      rows: totalOf(page, 'baleen_sink_records_total', { sink: 'postgres' }),
      lag: totalOf(page, 'baleen_lag_records'),
    };
  };

  if (options.isIdle) await untilStill(take, clock);
  await clock.sleep(options.warmupMs);
  const first = await take();
  const alertsBefore = alertsMs.length;
  const samples = [first];
  let last = first;
  while (last.atMs - first.atMs < options.durationMs) {
    await clock.sleep(Math.min(SAMPLE_MS, options.durationMs));
    last = await take();
    samples.push(last);
    process.stderr.write(
      `${Math.round((last.atMs - first.atMs) / 1_000)} s: ${last.events - first.events} events, lag ${last.lag}, ${Math.round(last.mib)} MiB\n`,
    );
  }
  const seconds = (last.atMs - first.atMs) / 1_000;
  const latencies = alertsMs.slice(alertsBefore);
  const points = samples.map((one) => ({ ...one, minute: (one.atMs - first.atMs) / 60_000 }));
  const within = points.filter(({ atMs }) => atMs - first.atMs < options.durationMs);
  return {
    command: options.command,
    seconds: Math.round(seconds),
    eventsPerSecond: Math.round((last.events - first.events) / seconds),
    rowsPerSecond: Math.round((last.rows - first.rows) / seconds),
    lag: { first: first.lag, last: last.lag },
    alertLatencyMs: { ...percentiles(latencies), samples: latencies.length },
    cpuPercent: Number((((last.cpuSeconds - first.cpuSeconds) / seconds) * 100).toFixed(1)),
    memory: {
      firstMiB: Math.round(first.mib),
      lastMiB: Math.round(last.mib),
      peakMiB: Math.round(Math.max(...samples.map(({ mib }) => mib))),
      mibPerMinute: Number(slopePerMinute(points).toFixed(2)),
      byMinuteMiB: peaksByMinute(within).map(Math.round),
      ownByMinuteMiB: peaksByMinute(within.map(({ minute, ownMiB }) => ({ minute, mib: ownMiB }))).map(
        Math.round,
      ),
    },
  };
}

/** Until what was served is folded and delivered: nothing moved between two looks. */
async function untilStill(take: () => Promise<Sample>, clock: Clock): Promise<void> {
  for (let before = await take(); ; ) {
    await clock.sleep(4 * POLL_MS);
    const now = await take();
    if (now.events > 0 && now.events === before.events && now.rows === before.rows && now.lag === 0) return;
    before = now;
  }
}
