/**
 * Kills one of several processes under load with -9, and measures what it costs: the latency of alerts around the kill, and
 * how long the tasks of the killed process stood still.
 *
 *     node scripts/failover.ts --copies 2        # two shards that run every task
 *     node scripts/failover.ts                   # a group of two: the other one takes over
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { readAdminAddress } from '#ops/admin/address.ts';
import { statusSchema } from '#ops/admin/status.ts';
import { percentiles } from '#ops/cli/report.ts';
import { startServices } from '#ops/local/services.ts';
import { simulatedProviders } from '#ops/simulator/providers.ts';
import { startSimulator } from '#ops/simulator/simulator.ts';
import { systemClock } from '#pipeline/clock.ts';
import { openKafka } from '#pipeline/kafka/client.ts';
import type { Kafka } from '#pipeline/kafka/types.ts';
import { readControlTick } from '#pipeline/runtime/outputs.ts';
import { openSerde } from '#pipeline/serde/serde.ts';
import { silentLog } from '#pipeline/telemetry/log.ts';
import { alerts as alertTopic } from '#schemas/topics.ts';
import { allTopics, graph } from '#topology/graph.ts';

const BALEEN = join(import.meta.dirname, '..', 'ops', 'cli', 'baleen.js');
const WARM_UP_MS = 20_000;
const alertWriters = graph.writers(alertTopic);

interface Seen {
  readonly atMs: number;
  readonly latencyMs: number;
}

/** What becomes visible in Kafka: alerts with their latency, and how far each task has promised its progress. */
async function watch(kafka: Kafka, registryUrl: string) {
  const alerts: Seen[] = [];
  /** Writer -> log time of its last tick, and when that log time was first seen. */
  const progress = new Map<string, { readonly logTimeMs: number; readonly atMs: number }[]>();
  const serde = await openSerde({ registryUrl, topics: allTopics });
  const seen = new Set<string>();
  const fetcher = kafka.fetcher({
    onRecords: (topic, _partition, records) => {
      const atMs = Date.now();
      for (const { value } of records) {
        if (value === null) continue;
        if (topic !== alertTopic.name) {
          const tick = readControlTick(value);
          if (tick === null) continue;
          const steps = progress.get(tick.writer) ?? [];
          if (tick.logTimeMs > (steps.at(-1)?.logTimeMs ?? 0))
            steps.push({ logTimeMs: tick.logTimeMs, atMs });
          progress.set(tick.writer, steps);
          continue;
        }
        const alert = serde.decode(alertTopic, value);
        if (typeof alert !== 'object' || alert === null || !('id' in alert) || !('receivedAtMs' in alert))
          continue;
        // Of two copies the first one counts.
        if (seen.has(String(alert.id))) continue;
        seen.add(String(alert.id));
        alerts.push({ atMs, latencyMs: atMs - Number(alert.receivedAtMs) });
      }
    },
    onError: (topic, partition, error) => {
      throw new Error(`${topic}/${partition}`, { cause: error });
    },
  });
  const admin = kafka.admin();
  for (const topic of [alertTopic.name, ...graph.nodes.map(({ controlTopic }) => controlTopic)])
    for (const { partition, end } of await admin.offsets(topic)) fetcher.add(topic, partition, end);
  await admin.close();
  return { alerts, progress, close: () => fetcher.close() };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      copies: { type: 'string', default: '1' },
      seconds: { type: 'string', default: '30' },
      speed: { type: 'string', default: '20' },
      'events-per-second': { type: 'string', default: '200' },
    },
  });
  const hasCopies = Number(values.copies) > 1;
  const windowMs = Number(values.seconds) * 1_000;
  const folder = await mkdtemp(join(tmpdir(), 'baleen-failover-'));
  await chmod(folder, 0o711);
  const closers: (() => Promise<unknown>)[] = [
    () => rm(folder, { recursive: true, force: true, maxRetries: 20 }),
  ];
  const children: ChildProcess[] = [];
  const clock = systemClock;
  try {
    const services = await startServices({
      dataDir: join(folder, 'services'),
      mode: 'local',
      configured: { kafkaBrokers: undefined, registryUrl: undefined, databaseUrl: undefined },
      log: silentLog,
      onProgress: () => {},
      signal: new AbortController().signal,
    });
    closers.push(() => services.stop());
    const simulator = await startSimulator({
      recordings: null,
      seed: 1,
      speed: Number(values.speed),
      log: silentLog,
      clock,
      helius: null,
      directory: folder,
      eventsPerSecond: Number(values['events-per-second']),
    });
    closers.push(() => simulator.close());
    const { evm, bybit, labels } = simulatedProviders(simulator);
    const config = join(folder, 'config.yaml');
    const settings = {
      connectors: { evm, bybit, labels },
      sinks: { websocket: null },
    };
    await writeFile(config, JSON.stringify(settings));
    const start = (name: string, ...given: readonly string[]): ChildProcess => {
      const child = spawn(
        process.execPath,
        [BALEEN, ...given, '--config', config, '--data-dir', join(folder, name)],
        {
          stdio: ['ignore', 'ignore', 'inherit'],
          env: { ...process.env, KAFKA_BROKERS: services.kafkaBrokers, REGISTRY_URL: services.registryUrl },
        },
      );
      children.push(child);
      return child;
    };
    const share = (number: number) => (hasCopies ? ['--shard', `${number}/2`, '--copies', '2'] : []);
    const victim = start('one', 'process', ...share(1));
    start('two', 'process', ...share(2));
    start('connect', 'connect');
    closers.push(async () => {
      for (const child of children) {
        if (child.exitCode !== null || child.signalCode !== null) continue;
        const closed = once(child, 'close');
        child.kill('SIGTERM');
        await closed;
      }
    });
    const kafka = await openKafka({
      brokers: services.kafkaBrokers.split(','),
      clientId: 'failover',
      log: silentLog,
      clock,
    });
    closers.push(() => kafka.close());
    await sleep(WARM_UP_MS);
    const seen = await watch(kafka, services.registryUrl);
    await sleep(windowMs);
    const lost = await tasksOf(join(folder, 'one'));
    const killedMs = Date.now();
    victim.kill('SIGKILL');
    await sleep(windowMs);
    await seen.close();

    /** How far behind the wall clock the tasks that write alerts were, each time when they had got further. */
    const behind = (from: number, to: number): number[] =>
      [...seen.progress]
        .filter(([writer]) => alertWriters.includes(writer))
        .flatMap(([, steps]) => steps)
        .filter(({ atMs }) => atMs >= from && atMs < to)
        .map(({ atMs, logTimeMs }) => atMs - logTimeMs);
    const describe = (from: number, to: number): string => {
      const window = seen.alerts
        .filter(({ atMs }) => atMs >= from && atMs < to)
        .map(({ latencyMs }) => latencyMs);
      const progress = behind(from, to);
      return [
        `${window.length} alerts after ${shown(window)}`,
        `progress of their tasks ${shown(progress)} behind (${progress.length} times)`,
      ].join('; ');
    };
    process.stdout.write(`before the kill: ${describe(killedMs - windowMs, killedMs)}\n`);
    process.stdout.write(`after the kill:  ${describe(killedMs, killedMs + windowMs)}\n`);
    const stood = lost.map((task) => {
      // It processes again when it promises something later than the kill.
      const again = seen.progress.get(task)?.find(({ logTimeMs }) => logTimeMs > killedMs);
      return { task, ms: again === undefined ? null : again.atMs - killedMs };
    });
    for (const { task, ms } of stood)
      process.stdout.write(`${task} of the killed process goes on after ${ms ?? 'never'} ms\n`);
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

const shown = (valuesMs: readonly number[]): string => {
  const { p50, p99 } = percentiles(valuesMs);
  return `p50 ${p50} ms, p99 ${p99} ms, most ${Math.max(0, ...valuesMs)} ms`;
};

async function tasksOf(dataDir: string): Promise<readonly string[]> {
  const address = await readAdminAddress(dataDir);
  if (address === null) throw new Error(`no process runs in ${dataDir}`);
  const status = statusSchema.parse(await (await fetch(`${address.url}/status`)).json());
  return status.tasks.map(({ task }) => task);
}

await main();
