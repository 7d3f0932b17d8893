/**
 * Runs one workload of the yardstick on the engine, in one process: `contender.ts <workload> <brokers> <guarantee>` with
 * YARD_* variables, as its README says. Exactly once by positions, not by transactions: read with `--reader position`.
 */
import { once } from 'node:events';
import { join } from 'node:path';
import { systemClock } from '#pipeline/clock.ts';
import { openKafka } from '#pipeline/kafka/client.ts';
import type { ProcessorDefinition } from '#pipeline/processor.ts';
import { fingerprint } from '#pipeline/runtime/fingerprint.ts';
import { buildGraph } from '#pipeline/runtime/graph.ts';
import { openPlan } from '#pipeline/runtime/plan.ts';
import { startProcessing, stateFolder } from '#pipeline/runtime/processing.ts';
import { ensureTopics } from '#pipeline/runtime/topic-settings.ts';
import type { Serde } from '#pipeline/serde/serde.ts';
import { openLevelBackend } from '#pipeline/state/level.ts';
import { createLog } from '#pipeline/telemetry/log.ts';
import { createMetrics } from '#pipeline/telemetry/metrics.ts';
import { createChain, createFusedChain } from './chain.ts';
import { createEnrich } from './enrich.ts';
import { arriving, benchPlan, deadLetters, received, transfers, yardstickSerde } from './records.ts';
import { walletWindows } from './wallet-windows.ts';

const WORKLOADS: Readonly<Record<string, (serde: Serde) => readonly ProcessorDefinition[]>> = {
  enrich: (serde) => [createEnrich(serde)],
  windows: () => [walletWindows],
  chain: createChain,
  'chain-fused': createFusedChain,
};

/** Of each store of a task. Its peer gets 512 MiB for its caches; five times the default of the engine takes 100 to 250 MiB more. */
const RECENT_VALUES = 100_000;

/**
 * A record waits until the quiet partitions have shown that they hold nothing earlier, the plan above all: for half of
 * this on average. Four times the ticks of the default, which is made for many sources that nobody waits for.
 */
const TICK_INTERVAL_MS = 5;

function required(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name}: expected by the yardstick's protocol, found nothing`);
  return value;
}

async function main(): Promise<void> {
  const [workload = '', brokers = ''] = process.argv.slice(2);
  const define = WORKLOADS[workload];
  if (define === undefined)
    throw new Error(`expected a workload of ${Object.keys(WORKLOADS).join(', ')}, found ${workload}`);
  const run = required('YARD_RUN');
  const input = required('YARD_INPUT');
  const prefix = required('YARD_PREFIX');
  const stateDir = required('YARD_STATE_DIR');
  const checkpointMs = Number(process.env['YARD_COMMIT_MS'] || 1_000);

  const clock = systemClock;
  const log = createLog({ level: 'warn' });
  const metrics = createMetrics();
  const serde = yardstickSerde();
  const graph = buildGraph({ processors: define(serde), planTopic: benchPlan, dlqTopic: deadLetters });
  const inputs = new Set([received.name, arriving.name, transfers.name]);
  const own = new Map([[benchPlan.name, benchPlan], [deadLetters.name, deadLetters], ...graph.engineTopics]);
  const physicalName = (topic: string): string => {
    if (inputs.has(topic)) return input;
    return own.has(topic) ? `${run}-${topic}` : `${prefix}${topic}`;
  };

  const kafka = await openKafka({ brokers: brokers.split(','), clientId: run, log, clock, metrics });
  const admin = kafka.admin();
  // Inputs and outputs are the yardstick's own, with other settings than ours.
  const needed = [...own].map(([name, topic]) => [physicalName(name), topic] as const);
  await ensureTopics(admin, new Map(needed)).finally(() => admin.close());
  const version = await fingerprint({ graph, folders: [import.meta.dirname] });
  const genesis = await openPlan({
    ...{ kafka, serde, graph, physicalName, clock },
    topic: benchPlan,
    fingerprint: version,
  });
  const processing = await startProcessing({
    ...{ kafka, graph, genesis, serde, clock, log, metrics, physicalName, checkpointMs },
    instance: run,
    tickIntervalMs: TICK_INTERVAL_MS,
    limits: { recentValues: RECENT_VALUES },
    lagGroup: run,
    openState: (task) => openLevelBackend(stateFolder(join(stateDir, 'state'), task)),
  });
  process.stdout.write('READY\n');

  const failure = await Promise.race([processing.failed, once(process, 'SIGTERM').then(() => null)]);
  process.stdout.write(`LATE ${await metrics.total('late_records_total')}\n`);
  await processing.stop();
  await kafka.close();
  if (failure !== null) throw failure;
}

await main();
