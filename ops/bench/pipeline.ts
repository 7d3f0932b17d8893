/**
 * Measures the whole pipeline, `baleen up`, on a simulated world beside it: events a second from connector to Postgres,
 * latency of alerts, memory, and what it costs to wait.
 *
 *     npm run bench:pipeline                                  # all three scenarios, a minute each
 *     npm run bench:pipeline -- steady --minutes 20           # memory over twenty minutes
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { readEndpoints } from '#ops/cli/endpoints.ts';
import { freePorts } from '#ops/local/ports.ts';
import { simulatedProviders } from '#ops/simulator/providers.ts';
import { type SimulatorOptions, startSimulator } from '#ops/simulator/simulator.ts';
import { type Clock, systemClock } from '#pipeline/clock.ts';
import { messageOf } from '#pipeline/errors.ts';
import { silentLog } from '#pipeline/telemetry/log.ts';
import { type Measured, measure, watchAlertLatency } from './measure-pipeline.ts';

const HELP = `Usage: bench:pipeline [full|steady|idle] [options]
  full               10000 events a second: does the pipeline keep up? (--rate for another load)
  steady             1000 events a second: latency of alerts, memory
  idle               no events: what waiting costs
                     without a name: all three
  --rate N           events a second
  --minutes N        how long is measured (default 1)
  --warmup N         seconds before that (default 20)
  --speed N          pace of the simulated chain (default 10: a block in 1.2 s, so that there are alerts to measure)
  --threads N        threads that the tasks run in (default 1: all in the main one)
  --profile DIR      write CPU profiles there
  --json             one object for each scenario
An event is a trade or a transfer that a connector received. The simulated world runs here, beside the process that is
measured.
Kafka, registry and Postgres are started as by \`baleen up\`, or taken from the environment.`;

/** Events a second that are offered. */
const RATES = { full: 10_000, steady: 1_000, idle: 0 } as const;
type Scenario = keyof typeof RATES;

const isScenario = (name: string): name is Scenario => Object.hasOwn(RATES, name);

type World = Pick<SimulatorOptions, 'speed' | 'worldBlocks' | 'eventsPerSecond'>;

/** Feed time passes `speed` times as fast, its trades too: the load is given for each second of the world. */
const worldOf = (name: Scenario, rate: number, speed: number): World =>
  name === 'idle' ? { worldBlocks: 1, speed: 'max' } : { eventsPerSecond: Math.round(rate / speed), speed };

async function main(clock: Clock): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rate: { type: 'string' },
      minutes: { type: 'string', default: '1' },
      warmup: { type: 'string', default: '20' },
      speed: { type: 'string', default: '10' },
      threads: { type: 'string', default: '1' },
      profile: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const names = positionals.length === 0 ? Object.keys(RATES) : positionals;
  if (values.help || !names.every(isScenario)) {
    process.stdout.write(`${HELP}\n`);
    return values.help ? 0 : 2;
  }
  for (const name of names.filter(isScenario)) {
    const rate = Number(values.rate ?? RATES[name]);
    const flags =
      values.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${resolve(values.profile)}`];
    const world = worldOf(name, rate, Number(values.speed));
    const measured = await withPipeline(clock, world, flags, ['--threads', values.threads], (one) =>
      measure({
        ...one,
        clock,
        warmupMs: Number(values.warmup) * 1_000,
        durationMs: Number(values.minutes) * 60_000,
        isIdle: name === 'idle',
      }),
    );
    if (values.json) process.stdout.write(`${JSON.stringify({ scenario: name, rate, ...measured })}\n`);
    else process.stdout.write(`${sentences(name, rate, measured)}\n`);
  }
  return 0;
}

/** Starts a world and `baleen up` in folders of their own, and stops both whatever happens. */
async function withPipeline(
  clock: Clock,
  world: World,
  flags: readonly string[],
  given: readonly string[],
  work: (running: {
    pid: number;
    dataDir: string;
    command: string;
    alertsMs: readonly number[];
  }) => Promise<Measured>,
): Promise<Measured> {
  const folder = await mkdtemp(join(tmpdir(), 'baleen-bench-'));
  // Postgres may run as another user and must reach what is below.
  await chmod(folder, 0o711);
  const [port] = await freePorts(1);
  const simulator = await startSimulator({
    ...{ recordings: null, seed: 1, helius: null, directory: folder, log: silentLog, clock },
    ...world,
  });
  const { helius, ...others } = simulatedProviders(simulator);
  const config = join(folder, 'settings.yaml');
  await writeFile(config, JSON.stringify({ connectors: { ...others, helius: { ...helius, port } } }));
  const dataDir = join(folder, 'data');
  const words = ['up', '--data-dir', dataDir, '--config', config, ...given];
  const child = spawn(join(import.meta.dirname, '../cli/baleen.js'), words, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NO_COLOR: '1', NODE_OPTIONS: [process.env['NODE_OPTIONS'], ...flags].join(' ') },
  });
  child.stdout.on('data', (text: Buffer) => process.stderr.write(text));
  const ended = once(child, 'exit');
  const interrupt = (): void => void child.kill('SIGINT');
  process.on('SIGINT', interrupt);
  try {
    let endpoints = await readEndpoints(dataDir);
    for (; endpoints === null && child.exitCode === null; endpoints = await readEndpoints(dataDir))
      await clock.sleep(100);
    if (endpoints === null) throw new Error(`baleen up ended with ${child.exitCode} before it was ready`);
    simulator.setHelius({ ...helius, url: `http://127.0.0.1:${port}/webhooks/helius` });
    const watch = await watchAlertLatency(endpoints.websocketUrl, clock);
    try {
      const command = `baleen ${words.join(' ')}`;
      return await Promise.race([
        work({ pid: endpoints.pid, dataDir, command, alertsMs: watch.latenciesMs }),
        ended.then(() => {
          throw new Error('baleen up ended while it was measured');
        }),
      ]);
    } finally {
      watch.close();
    }
  } finally {
    process.off('SIGINT', interrupt);
    child.kill('SIGINT');
    await ended;
    await simulator.close();
    await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 });
  }
}

function sentences(name: Scenario, rate: number, measured: Measured): string {
  const { alertLatencyMs, memory, eventsPerSecond, lag } = measured;
  return [
    `${name}: ${measured.command}`,
    `  measured for ${measured.seconds} s after warming up`,
    ...(name === 'idle'
      ? []
      : [
          `  events: ${eventsPerSecond} a second of ${rate} offered; records that wait: ${lag.first} at first, ${lag.last} at last`,
          `  Postgres: ${measured.rowsPerSecond} records a second`,
          `  alerts, from receipt to a subscriber: p50 ${alertLatencyMs.p50 ?? '-'} ms, p99 ${alertLatencyMs.p99 ?? '-'} ms, of ${alertLatencyMs.samples}`,
        ]),
    `  CPU: ${measured.cpuPercent} % of a core`,
    `  memory: ${memory.firstMiB} MiB at first, ${memory.lastMiB} MiB at last, ${memory.peakMiB} MiB at most; ${memory.mibPerMinute} MiB a minute`,
    ...(memory.byMinuteMiB.length < 2
      ? []
      : [
          `  most in each minute: ${memory.byMinuteMiB.join(' ')} MiB`,
          `  without pages of files: ${memory.ownByMinuteMiB.join(' ')} MiB`,
        ]),
  ].join('\n');
}

try {
  process.exitCode = await main(systemClock);
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
}
