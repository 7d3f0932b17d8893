/** `baleen up`: services, simulator when there are no live providers, pipeline, and what comes of it on the screen. */
import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type ServiceName, type Services, startServices } from '#ops/local/services.ts';
import { SIMULATED_AUTHORIZATION, simulatedProviders } from '#ops/simulator/providers.ts';
import { type Simulator, startSimulator } from '#ops/simulator/simulator.ts';
import { backoffMs, type Clock, systemClock, untilAborted } from '#pipeline/clock.ts';
import { messageOf, printableUrl } from '#pipeline/errors.ts';
import { createMetrics } from '#pipeline/telemetry/metrics.ts';
import { openPipeline, type Pipeline } from '#topology/main.ts';
import { removeEndpoints, writeEndpoints } from './endpoints.ts';
import { openOperators } from './operators.ts';
import { makeReport, percentiles, type Report } from './report.ts';
import { buildSettings, type UpOptions } from './settings.ts';
import { summarise } from './summarise.ts';
import { type Running, runUntilStopped } from './until-stopped.ts';
import { endedAtCut } from './version-end.ts';
import { type AlertWatch, watchAlerts } from './watch-alerts.ts';

const DRAIN_POLL_MS = 200;

/** Returns 0 when it was stopped or is done. Throws, after everything is closed, what a part could not go on for. */
export function up(options: UpOptions): Promise<number> {
  const startedAtMs = systemClock.nowMs();
  const { dataDir, verbose } = options;
  // The services lock the folder.
  return runUntilStopped({ dataDir, isVerbose: verbose, isLocked: false }, (running) =>
    run({ ...running, options, startedAtMs }),
  );
}

interface Context extends Running {
  readonly options: UpOptions;
  readonly startedAtMs: number;
}

async function run(context: Context): Promise<void> {
  const { options, dataDir, clock, display, log, stopping, opened } = context;
  const { signal } = stopping;
  const preview = await buildSettings({ ...options.sources, provided: {}, isPreview: true });
  let started: Services | null = null;
  const services = await startServices({
    dataDir,
    isFresh: options.fresh,
    mode: options.services,
    configured: { ...preview.configured, kafkaSecurity: preview.kafkaSecurity },
    log: log.for('services'),
    onProgress: ({ service, state, detail, elapsedMs }) => {
      display.service(service, state, detail, elapsedMs);
      if (state === 'failed' && started !== null) void bringBack(started, service, context);
    },
    signal,
  });
  started = services;
  opened.push(() => services.stop());

  const simulator = await simulate(context, preview.simulated);
  if (simulator !== null) opened.push(() => simulator.close());
  const settings = await buildSettings({
    ...options.sources,
    provided: provide(options, services, simulator),
  });

  const metrics = createMetrics({ hasProcess: true });
  const operators = await openOperators({
    ...context,
    host: options.adminHost,
    port: options.adminPort,
    metrics,
    isTerminal: process.stdout.isTTY === true,
    signal,
  });
  opened.push(() => operators.close());
  const watch = watchAlerts(display, clock);
  const pipeline = await openPipeline({
    kafkaBrokers: services.kafkaBrokers.split(','),
    kafkaSecurity: settings.kafkaSecurity,
    registryUrl: services.registryUrl,
    dataDir,
    connectors: settings.connectors,
    sinks: settings.sinks,
    threads: options.threads,
    log,
    clock,
    metrics,
    onProgress: (sentence) => display.note(sentence),
    onRestore: operators.onRestore,
    signal,
    onDelivered: watch.onDelivered,
  });
  operators.attach(pipeline);
  let failure: Error | null = null;
  void pipeline.failed.then((error) => {
    failure = error;
    stopping.abort();
  });
  void pipeline.ended.then((epoch) => {
    display.note(endedAtCut(epoch));
    stopping.abort();
  });
  opened.push(() => pipeline.stop());
  const { kafkaBrokers, registryUrl, databaseUrl } = services;
  const websocketUrl = pipeline.sinks.get('websocket')?.status().url ?? null;
  await writeEndpoints(dataDir, { kafkaBrokers, registryUrl, databaseUrl, websocketUrl, pid: process.pid });
  opened.push(() => removeEndpoints(dataDir));
  if (websocketUrl !== null) display.note(`alerts for programs at ${printableUrl(websocketUrl)}`);
  display.note(`metrics, status and state at ${operators.url}`);

  const connected = pipeline.connect();
  const stopSummary = summarise(pipeline, display, clock, watch);
  opened.push(async () => stopSummary());
  await Promise.race([connected, untilAborted(signal)]);
  if (simulator !== null) {
    if (isPlayedAtOnce(options)) await untilMarketWritten(pipeline, simulator, clock, signal);
    simulator.releaseChain();
    await aimWebhooks(simulator, pipeline, clock, signal);
  }
  display.note('running; Ctrl-C stops everything');

  if (options.exitWhenDone && simulator !== null) await untilDone(pipeline, simulator, clock, signal);
  else await untilAborted(signal);
  stopSummary();
  if (failure !== null) throw failure;
  if (options.report !== null) await report(context, pipeline, services, watch);
}

/** A service that died is started again until it stays: the rest of the pipeline waits for it and goes on. */
async function bringBack(
  services: Services,
  service: ServiceName,
  { clock, display, stopping }: Context,
): Promise<void> {
  for (let attempt = 0; !stopping.signal.aborted; attempt += 1) {
    try {
      return await services.restart(service);
    } catch (error) {
      display.warn(`${service} does not start again: ${messageOf(error)}`);
      await clock.sleep(backoffMs(attempt, 1_000, 30_000), stopping.signal);
    }
  }
}

async function simulate(
  { options, dataDir, clock, display, log }: Context,
  isNeeded: boolean,
): Promise<Simulator | null> {
  if (!isNeeded) return null;
  const startedMs = clock.nowMs();
  const simulator = await startSimulator({
    recordings: options.recordings === null ? null : resolve(options.recordings),
    seed: options.seed,
    speed: options.speed,
    holdsChain: isPlayedAtOnce(options),
    log: log.for('simulator'),
    clock,
    helius: null,
    directory: dataDir,
    ...(options.worldBlocks === null ? {} : { worldBlocks: options.worldBlocks }),
    ...(options.eventsPerSecond === null ? {} : { eventsPerSecond: options.eventsPerSecond }),
  });
  const what =
    options.recordings === null
      ? `a seeded world (seed ${options.seed})`
      : `recordings of ${options.recordings}`;
  display.service('providers', 'ready', what, clock.nowMs() - startedMs);
  return simulator;
}

/** What ends and is played without pauses comes all at once, prices and what they are wanted for. */
const isPlayedAtOnce = ({ speed, recordings, worldBlocks }: UpOptions): boolean =>
  speed === 'max' && (recordings !== null || worldBlocks !== null);

/** So prices go first: whichever stream is faster, and however often it is killed, a transfer finds those of its time. */
async function untilMarketWritten(
  pipeline: Pipeline,
  simulator: Simulator,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const bybit = pipeline.connectors.get('bybit');
  while (bybit !== undefined && !signal.aborted) {
    if (simulator.isMarketDone() && bybit.status().isIdle) return;
    await clock.sleep(20, signal);
  }
}

/** The webhook door is open a moment after its connector was started. */
async function aimWebhooks(
  simulator: Simulator,
  pipeline: Pipeline,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const helius = pipeline.connectors.get('helius');
  while (helius !== undefined && !signal.aborted) {
    const { url } = helius.status();
    if (url !== undefined) return simulator.setHelius({ url, authorization: SIMULATED_AUTHORIZATION });
    await clock.sleep(20, signal);
  }
}

/** What rooms need and only this run knows: addresses of what was started. File and environment win over it. */
function provide(options: UpOptions, services: Services, simulator: Simulator | null) {
  return {
    connectors: simulator === null ? {} : simulatedProviders(simulator),
    sinks: {
      ...(services.databaseUrl === null ? {} : { postgres: { url: services.databaseUrl } }),
      websocket: options.websocketPort === null ? {} : { port: options.websocketPort },
    },
  };
}

/** Everything was delivered by the providers, received, folded and taken out; seen twice, a poll apart. */
async function untilDone(
  pipeline: Pipeline,
  simulator: Simulator,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  for (let seen = 0; seen < 2 && !signal.aborted; ) {
    await clock.sleep(DRAIN_POLL_MS, signal);
    seen = simulator.isDone() && (await pipeline.isDrained()) ? seen + 1 : 0;
  }
}

async function report(
  { options, clock, startedAtMs, display }: Context,
  pipeline: Pipeline,
  services: Services,
  watch: AlertWatch,
): Promise<void> {
  const wallMs = clock.nowMs() - startedAtMs;
  const made: Report = await makeReport({
    kafka: pipeline.kafka,
    serde: pipeline.serde,
    metrics: pipeline.metrics,
    physicalName: pipeline.physicalName,
    databaseUrl: pipeline.sinks.has('postgres') ? services.databaseUrl : null,
    latencyMs: { kafka: percentiles(watch.kafkaMs), postgres: percentiles(watch.postgresMs) },
    wallMs,
  });
  const path = resolve(options.report ?? 'report.json');
  await writeFile(path, `${JSON.stringify(made, null, 2)}\n`);
  const total = Object.values(made.alerts).reduce((sum, count) => sum + count, 0);
  display.note(
    `${made.blocks} blocks, ${made.transactions} transactions, ${total} alerts; report in ${path}`,
  );
}
