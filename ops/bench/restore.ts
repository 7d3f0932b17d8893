/**
 * How fast a task's state is made anew from its changelog, on a real broker:
 *
 *     npm run bench:restore -- --keys 2000000 --value-bytes 100
 *
 * Writes a snapshot of so many keys, as the engine writes it, then restores it into an empty folder. `KAFKA_BROKERS`
 * names a broker that runs; else one is started. One line of JSON for each run on standard output.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startServices } from '#ops/local/services.ts';
import { systemClock } from '#pipeline/clock.ts';
import { messageOf } from '#pipeline/errors.ts';
import { openKafka } from '#pipeline/kafka/client.ts';
import type { Kafka } from '#pipeline/kafka/types.ts';
import { DEFAULT_LIMITS } from '#pipeline/runtime/limits.ts';
import { restore } from '#pipeline/runtime/restore.ts';
import { topicSpec } from '#pipeline/runtime/topic-settings.ts';
import { createGroupEncoder } from '#pipeline/state/changelog.ts';
import { openLevelBackend } from '#pipeline/state/level.ts';
import { createLog } from '#pipeline/telemetry/log.ts';
import { createMetrics } from '#pipeline/telemetry/metrics.ts';

const HELP = `Usage: restore [options]
  --keys N          keys of the state (default 2000000)
  --value-bytes N   bytes of each value (default 100; keys have about 90)
  --runs N          restores of the same changelog (default 2)
`;
const FINGERPRINT = 'bench';
const MEGABYTE = 1e6;

interface Settings {
  readonly keys: number;
  readonly valueBytes: number;
  readonly runs: number;
}

/** As those of a window or of dropped copies: a common beginning, then what differs. */
const keyOf = (n: number): string =>
  `wallet-windows.totals\u001f0123456789a:0x${n.toString(16).padStart(40, '0')}|token-${n % 64}`;

/** Writes one snapshot as a task does; returns its bytes. */
async function fill(kafka: Kafka, topic: string, { keys, valueBytes }: Settings): Promise<number> {
  const producer = kafka.producer();
  const encoder = createGroupEncoder(
    { instance: 'bench', number: 1, from: keys, to: keys, kind: 'snapshot' },
    { logTimeMs: 1, maxRecordBytes: DEFAULT_LIMITS.changelogRecordBytes },
  );
  let bytes = 0;
  try {
    for (let n = 0; n < keys; n++) {
      const full = encoder.add({ key: keyOf(n), value: String(n).padEnd(valueBytes, 'state ') });
      if (full === null) continue;
      bytes += full.value?.length ?? 0;
      producer.append(topic, 0, full);
      await producer.writable();
    }
    for (const entry of encoder.end(JSON.stringify({ fingerprint: FINGERPRINT, step: keys })))
      producer.append(topic, 0, entry);
    await producer.acknowledged();
  } finally {
    await producer.close();
  }
  return bytes;
}

/** Restores into an empty folder; prints how long it took. */
async function measure(kafka: Kafka, topic: string, keys: number): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'baleen-bench-restore-'));
  const backend = await openLevelBackend(folder);
  try {
    const [startedMs, cpuBefore] = [systemClock.nowMs(), process.cpuUsage()];
    const done = await restore({ kafka, topic, partition: 0, backend, fingerprint: FINGERPRINT });
    const seconds = (systemClock.nowMs() - startedMs) / 1_000;
    const { user, system } = process.cpuUsage(cpuBefore);
    if (done.entries !== keys) throw new Error(`expected ${keys} keys, found ${done.entries}`);
    const cpuSeconds = (user + system) / 1e6;
    const megabytes = done.bytes / MEGABYTE;
    process.stdout.write(
      `${JSON.stringify({
        keys: done.entries,
        megabytes: Math.round(megabytes),
        seconds,
        keysPerSecond: Math.round(done.entries / seconds),
        megabytesPerSecond: Math.round(megabytes / seconds),
        cpuSeconds,
        megabytesPerCpuSecond: Math.round(megabytes / cpuSeconds),
        peakRssMiB: Math.round(process.resourceUsage().maxRSS / 1024),
      })}\n`,
    );
  } finally {
    await backend.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function run(brokers: string, settings: Settings): Promise<void> {
  const kafka = await openKafka({
    brokers: brokers.split(','),
    clientId: 'bench-restore',
    log: createLog({ level: 'warn' }),
    clock: systemClock,
    metrics: createMetrics(),
  });
  const topic = `bench-restore-${systemClock.nowMs()}`;
  const admin = kafka.admin();
  try {
    await admin.createTopics([topicSpec({ layer: 'derived', partitions: 1 }, topic, 1)]);
    await fill(kafka, topic, settings);
    for (let n = 0; n < settings.runs; n++) await measure(kafka, topic, settings.keys);
    await admin.deleteTopics([topic]);
  } finally {
    await admin.close();
    await kafka.close();
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      keys: { type: 'string', default: '2000000' },
      'value-bytes': { type: 'string', default: '100' },
      runs: { type: 'string', default: '2' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  const settings: Settings = {
    keys: Number(values.keys),
    valueBytes: Number(values['value-bytes']),
    runs: Number(values.runs),
  };
  const configured = process.env['KAFKA_BROKERS'];
  if (configured) {
    await run(configured, settings);
    return;
  }
  const dataDir = await mkdtemp(join(tmpdir(), 'baleen-bench-broker-'));
  const services = await startServices({
    dataDir,
    mode: 'auto',
    // Only the broker is used.
    configured: {},
    log: createLog({ level: 'warn' }),
    onProgress: () => {},
    signal: new AbortController().signal,
  });
  try {
    await run(services.kafkaBrokers, settings);
  } finally {
    await services.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
}
