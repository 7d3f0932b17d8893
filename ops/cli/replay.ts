/** `baleen replay`: the live code over all raw records again, into shadow topics, compared with what is there. */
import { resolve } from 'node:path';
import { SingleBar } from 'cli-progress';
import { systemClock } from '#pipeline/clock.ts';
import { openKafka } from '#pipeline/kafka/client.ts';
import type { Kafka } from '#pipeline/kafka/types.ts';
import { fingerprint } from '#pipeline/runtime/fingerprint.ts';
import { openPlan } from '#pipeline/runtime/plan.ts';
import { type Processing, startProcessing } from '#pipeline/runtime/processing.ts';
import { readToEnd } from '#pipeline/runtime/read-topic.ts';
import { ensureTopics } from '#pipeline/runtime/topic-settings.ts';
import { openSerde } from '#pipeline/serde/serde.ts';
import { createMemoryBackend } from '#pipeline/state/memory.ts';
import { createLog } from '#pipeline/telemetry/log.ts';
import { createMetrics } from '#pipeline/telemetry/metrics.ts';
import { planTopic, topics } from '#schemas/topics.ts';
import { graph } from '#topology/graph.ts';
import { LOGIC_FOLDERS, physicalTopics } from '#topology/main.ts';
import { compareTopics, type StreamComparison } from './compare.ts';
import { reachServices } from './reach.ts';
import type { ReplayOptions } from './settings.ts';

const derived = topics.filter(({ layer }) => layer === 'derived');

/** Returns the exit code: 0 when every stream is byte-identical, 1 when one differs. */
export async function replay(options: ReplayOptions): Promise<number> {
  const dataDir = resolve(options.dataDir);
  const clock = systemClock;
  const log = createLog({ path: `${dataDir}/logs/replay.log` });
  const say = (text: string) => options.json || process.stdout.write(`${text}\n`);
  const services = await reachServices({ dataDir, sources: options.sources, log, say });
  const shadow = `shadow.${clock.nowMs().toString(36)}.`;
  const isOwn = new Set([
    ...derived.map(({ name }) => name),
    ...graph.nodes.map(({ controlTopic }) => controlTopic),
  ]);
  const physicalName = (topic: string) => (isOwn.has(topic) ? `${shadow}${topic}` : topic);
  const kafka = await openKafka({
    brokers: services.kafkaBrokers.split(','),
    clientId: 'baleen-replay',
    log,
    clock,
  });
  const startedMs = clock.nowMs();
  try {
    const admin = kafka.admin();
    await ensureTopics(admin, physicalTopics(physicalName));
    const serde = await openSerde({ registryUrl: services.registryUrl, topics });
    const version = await fingerprint({ graph, folders: LOGIC_FOLDERS });
    const genesis = await openPlan({
      kafka,
      serde,
      graph,
      topic: planTopic,
      physicalName,
      fingerprint: version,
      clock,
    });
    const { ends, untilMs } = await presentEnd(kafka);
    const metrics = createMetrics();
    const openState = async () => createMemoryBackend();
    const processing = await startProcessing({
      kafka,
      graph,
      genesis,
      serde,
      clock,
      log,
      metrics,
      physicalName,
      openState,
      lagGroup: null,
    });
    try {
      await Promise.race([
        showProgress(processing, ends, untilMs, options.json),
        processing.failed.then((error) => Promise.reject(error)),
      ]);
    } finally {
      await processing.stop();
    }
    const compared: (StreamComparison & { topic: string })[] = [];
    for (const { name } of derived) {
      const streams = await compareTopics(kafka, name, physicalName(name), untilMs);
      compared.push(...streams.map((stream) => ({ topic: name, ...stream })));
    }
    if (!options.keep) await admin.deleteTopics([...isOwn].map(physicalName));
    await admin.close();
    const different = compared.filter(({ isEqual }) => !isEqual);
    const records = compared.reduce((sum, { live }) => sum + live, 0);
    const wallMs = clock.nowMs() - startedMs;
    if (options.json) {
      process.stdout.write(
        `${JSON.stringify({ streams: compared, records, different: different.length, wallMs }, null, 2)}\n`,
      );
    } else {
      for (const stream of compared) {
        const { topic, partition, writer, live, replayed } = stream;
        const verdict = stream.isEqual
          ? 'identical'
          : `DIFFERS from ${stream.firstDifference} on (replayed ${replayed})`;
        say(
          `  ${`${topic}/${partition}`.padEnd(26)} ${writer.padEnd(20)} ${String(live).padStart(8)}  ${verdict}`,
        );
      }
      const verdict = different.length === 0 ? 'byte-identical' : `${different.length} differ`;
      say(`${records} records in ${compared.length} streams: ${verdict}, ${(wallMs / 1000).toFixed(1)} s`);
    }
    return different.length === 0 ? 0 : 1;
  } finally {
    await kafka.close();
    await services.stop();
  }
}

/** Ends of raw and fact partitions now, and the greatest log time in them. */
async function presentEnd(kafka: Kafka) {
  const admin = kafka.admin();
  const ends = new Map<string, number>();
  let untilMs = 0;
  try {
    for (const { name, layer } of topics) {
      if (layer !== 'raw' && layer !== 'fact') continue;
      for (const { partition, end } of await admin.offsets(name)) ends.set(`${name}/${partition}`, end);
      for await (const { record } of readToEnd(kafka, name)) untilMs = Math.max(untilMs, record.timestampMs);
    }
  } finally {
    await admin.close();
  }
  return { ends, untilMs };
}

/** Resolves when everything up to the present end is folded. */
async function showProgress(
  processing: Processing,
  ends: ReadonlyMap<string, number>,
  untilMs: number,
  isQuiet: boolean,
): Promise<void> {
  const total = [...ends.values()].reduce((sum, end) => sum + end, 0);
  const format = '  {bar} {percentage}%  {value}/{total} records  {rate}/s  {eta_formatted} left';
  const bar = new SingleBar({ format, hideCursor: true, noTTYOutput: false, stream: process.stderr });
  if (!isQuiet) bar.start(total, 0, { rate: 0 });
  const startedMs = systemClock.nowMs();
  for (let seen = 0; seen < 2; ) {
    await systemClock.sleep(200);
    let done = 0;
    for (const [name, end] of ends) {
      const offsets = processing.tasks
        .flatMap(({ inbounds }) => inbounds)
        .filter(({ topic, partition }) => `${topic}/${partition}` === name)
        .map((inbound) => inbound.resumePoint().offset);
      done += Math.min(end, ...offsets);
    }
    const seconds = Math.max(0.001, (systemClock.nowMs() - startedMs) / 1000);
    if (!isQuiet) bar.update(done, { rate: Math.round(done / seconds) });
    const isPast = processing.tasks.every(({ boundMs }) => boundMs > untilMs);
    seen = done >= total && (isPast || (await processing.isDrained())) ? seen + 1 : 0;
  }
  if (!isQuiet) bar.stop();
}
