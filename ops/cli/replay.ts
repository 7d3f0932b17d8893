/** `baleen replay`: the live code over all raw records again, into shadow topics, compared with what is there. */
import { resolve } from 'node:path';
import { SingleBar } from 'cli-progress';
import { systemClock } from '#pipeline/clock.ts';
import { openKafka } from '#pipeline/kafka/client.ts';
import { createMemoryBackend } from '#pipeline/state/memory.ts';
import { createLog } from '#pipeline/telemetry/log.ts';
import { reachServices } from './reach.ts';
import { type ReplayOptions, readKafkaSecurity } from './settings.ts';
import { compareShadow, openShadow, type Shadow, type ShadowStream } from './shadow.ts';

/** Returns the exit code: 0 when every stream is byte-identical, 1 when one differs. */
export async function replay(options: ReplayOptions): Promise<number> {
  const dataDir = resolve(options.dataDir);
  const clock = systemClock;
  const log = createLog({ path: `${dataDir}/logs/replay.log` });
  const say = (text: string) => options.json || process.stdout.write(`${text}\n`);
  const services = await reachServices({ dataDir, sources: options.sources, log, say });
  const prefix = `shadow.${clock.nowMs().toString(36)}.`;
  const kafka = await openKafka({
    brokers: services.kafkaBrokers.split(','),
    security: await readKafkaSecurity(options.sources),
    clientId: 'baleen-replay',
    log,
    clock,
  });
  const startedMs = clock.nowMs();
  try {
    const shadow = await openShadow({
      kafka,
      registryUrl: services.registryUrl,
      prefix,
      clock,
      log,
      openState: async () => createMemoryBackend(),
      instance: 'replay',
      hasChangelog: false,
    });
    try {
      await showProgress(shadow, options.json);
    } finally {
      await shadow.processing.stop();
    }
    const streams = await compareShadow(kafka, prefix, options.keep);
    const wallMs = clock.nowMs() - startedMs;
    const different = streams.filter(({ isEqual }) => !isEqual).length;
    const records = streams.reduce((sum, { live }) => sum + live, 0);
    if (options.json)
      process.stdout.write(`${JSON.stringify({ streams, records, different, wallMs }, null, 2)}\n`);
    else {
      for (const stream of streams) say(describe(stream));
      const verdict = different === 0 ? 'byte-identical' : `${different} differ`;
      say(`${records} records in ${streams.length} streams: ${verdict}, ${(wallMs / 1000).toFixed(1)} s`);
    }
    return different === 0 ? 0 : 1;
  } finally {
    await kafka.close();
    await services.stop();
  }
}

function describe(stream: ShadowStream): string {
  const { topic, partition, writer, live, replayed } = stream;
  const verdict = stream.isEqual
    ? 'identical'
    : `DIFFERS from ${stream.firstDifference} on (replayed ${replayed})`;
  return `  ${`${topic}/${partition}`.padEnd(26)} ${writer.padEnd(20)} ${String(live).padStart(8)}  ${verdict}`;
}

/** Resolves when everything up to the present end is folded. */
async function showProgress(shadow: Shadow, isQuiet: boolean): Promise<void> {
  const format = '  {bar} {percentage}%  {value}/{total} records  {rate}/s  {eta_formatted} left';
  const bar = new SingleBar({ format, hideCursor: true, noTTYOutput: false, stream: process.stderr });
  const total = [...shadow.ends.values()].reduce((sum, end) => sum + end, 0);
  if (!isQuiet) bar.start(total, 0, { rate: 0 });
  const startedMs = systemClock.nowMs();
  await shadow.finished((done) => {
    const seconds = Math.max(0.001, (systemClock.nowMs() - startedMs) / 1000);
    if (!isQuiet) bar.update(done, { rate: Math.round(done / seconds) });
  });
  if (!isQuiet) bar.stop();
}
