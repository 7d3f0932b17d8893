/** `baleen connect`, `process` and `deliver`: one part of a pipeline, against services that run elsewhere. */
import { type Clock, untilAborted } from '#pipeline/clock.ts';
import { PipelineError } from '#pipeline/errors.ts';
import { createMetrics } from '#pipeline/telemetry/metrics.ts';
import { openPipeline, type Pipeline, type Sharing } from '#topology/main.ts';
import type { Display } from './display.ts';
import { removeEndpoints, writeEndpoints } from './endpoints.ts';
import { openOperators } from './operators.ts';
import { type BuiltSettings, buildSettings, type SettingSources } from './settings.ts';
import { type Running, runUntilStopped } from './until-stopped.ts';
import { endedAtCut } from './version-end.ts';
import { showWaits } from './wait-notices.ts';

export interface PartOptions {
  readonly part: 'connect' | 'process' | 'deliver';
  readonly sharing: Sharing;
  /** That the tasks run in. */
  readonly threads: number;
  readonly dataDir: string;
  /** Address and port of the admin server; 0: any free port. */
  readonly adminHost: string;
  readonly adminPort: number;
  readonly isVerbose: boolean;
  readonly sources: SettingSources;
}

const LOOK_MS = 1_000;

/** Returns 0 when it was stopped. Throws, after everything is closed, what it could not go on for. */
export async function runPart(options: PartOptions): Promise<number> {
  const settings = await buildSettings({ ...options.sources, provided: {} });
  const services = configuredServices(settings, options.part);
  const { dataDir, isVerbose } = options;
  return runUntilStopped({ dataDir, isVerbose, isLocked: true }, (running) =>
    run({ ...running, options, settings, services }),
  );
}

interface ReachedServices {
  readonly kafkaBrokers: string;
  readonly registryUrl: string;
  readonly databaseUrl: string | null;
}

function configuredServices({ configured }: BuiltSettings, part: string): ReachedServices {
  const { kafkaBrokers, registryUrl, databaseUrl } = configured;
  if (kafkaBrokers !== undefined && registryUrl !== undefined)
    return { kafkaBrokers, registryUrl, databaseUrl: databaseUrl ?? null };
  throw new PipelineError(
    'CONFIG_INVALID',
    `baleen ${part}: expected Kafka and a schema registry that run elsewhere, as several processes share them; set KAFKA_BROKERS and REGISTRY_URL, or start everything in one process with baleen up`,
  );
}

interface Context extends Running {
  readonly options: PartOptions;
  readonly settings: BuiltSettings;
  readonly services: ReachedServices;
}

async function run(context: Context): Promise<void> {
  const { options, settings, services, dataDir, clock, display, log, stopping, opened } = context;
  const { part, sharing, threads } = options;
  const metrics = createMetrics({ hasProcess: true });
  const operators = await openOperators({
    ...context,
    host: options.adminHost,
    port: options.adminPort,
    startedAtMs: clock.nowMs(),
    metrics,
    isTerminal: process.stdout.isTTY === true,
    signal: stopping.signal,
  });
  opened.push(() => operators.close());
  const pipeline = await openPipeline({
    kafkaBrokers: services.kafkaBrokers.split(','),
    kafkaSecurity: settings.kafkaSecurity,
    registryUrl: services.registryUrl,
    dataDir,
    sharing,
    threads,
    connectors: part === 'connect' ? settings.connectors : {},
    sinks: part === 'deliver' ? settings.sinks : {},
    log,
    clock,
    metrics,
    onProgress: (sentence) => display.note(sentence),
    onRestore: operators.onRestore,
    signal: stopping.signal,
  });
  opened.push(() => pipeline.stop());
  operators.attach(pipeline);
  const websocketUrl = pipeline.sinks.get('websocket')?.status().url ?? null;
  await writeEndpoints(dataDir, { ...services, websocketUrl, pid: process.pid });
  opened.push(() => removeEndpoints(dataDir));
  display.note(`metrics, status and state at ${operators.url}`);
  const stopLooking = watchTasks(pipeline, display, clock);
  opened.push(async () => stopLooking());
  if (part === 'connect')
    await Promise.race([pipeline.connect(), failed(pipeline), untilAborted(stopping.signal)]);
  display.note('running; Ctrl-C stops it');
  const end = await Promise.race([failed(pipeline), pipeline.ended, untilAborted(stopping.signal)]);
  if (typeof end === 'number') display.note(endedAtCut(end));
}

/** Says when other tasks run here than before, and who waits for long. */
function watchTasks({ processing }: Pipeline, display: Display, clock: Clock): () => void {
  const sayWaits = showWaits(display, clock);
  const named = () => processing.tasks.map(({ writer }) => writer).join(', ');
  let said = named();
  return clock.every(LOOK_MS, () => {
    sayWaits(processing.waits());
    const now = named();
    if (now !== said) display.note(`tasks here: ${now === '' ? 'none' : now}`);
    said = now;
  });
}

const failed = async (pipeline: Pipeline): Promise<never> => {
  throw await pipeline.failed;
};
