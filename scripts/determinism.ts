/**
 * Shows that what comes out is a function of the raw topics: folds them again and again, cut into pieces of other sizes,
 * killed at seeded moments, restored from the changelog after the state folder was deleted, shared by several processes
 * that are killed and put to sleep, and compares every byte with what the live run wrote, writer by writer.
 *
 *     npm run determinism -- --recordings ../shared/data --seed 1
 *     npm run determinism -- --data-dir .baleen --schedules 5        # what a pipeline has received so far
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { reachServices } from '#ops/cli/reach.ts';
import { compareShadow, openShadow } from '#ops/cli/shadow.ts';
import { systemClock } from '#pipeline/clock.ts';
import { openKafka } from '#pipeline/kafka/client.ts';
import type { Kafka } from '#pipeline/kafka/types.ts';
import type { HopMode } from '#pipeline/runtime/hop.ts';
import type { Limits } from '#pipeline/runtime/limits.ts';
import { stateFolder } from '#pipeline/runtime/processing.ts';
import { openLevelBackend } from '#pipeline/state/level.ts';
import { silentLog } from '#pipeline/telemetry/log.ts';
import { Random } from '#pipeline/testing/simulation/scheduler.ts';
import { ARRANGEMENTS, type Arrangement, QUICK_ARRANGEMENTS, runArrangement } from './arrangements.ts';
import type { Run } from './shared-run.ts';

const BATCHES: readonly Partial<Limits>[] = [
  { turnRecords: 1, maxWaitingBytes: 64 * 1024, changelogRecordBytes: 2_000, recentValues: 10 },
  { turnRecords: 256 },
  { turnRecords: 10_000, maxWaitingBytes: 64 * 1024 * 1024, recentValues: 1_000_000 },
];

const HOPS: readonly HopMode[] = ['on', 'off', 'mixed'];

const HELP = `Usage: determinism [--recordings DIR | --world-blocks N | --data-dir DIR] [--schedules N] [--seed S] [--quick] [--only TEXT]
  --recordings DIR  fill a new data directory from these recordings first
  --world-blocks N  or from so much of the simulated world
  --data-dir DIR    or take what a pipeline has received
  --schedules N     runs that are killed (default 30), besides those shared by several processes
  --quick           only a few runs that are shared by several processes
  --only TEXT       only runs whose name has this in it, such as threads
  --seed S          of the moments of the kills (default 1)`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      recordings: { type: 'string' },
      'data-dir': { type: 'string' },
      'world-blocks': { type: 'string' },
      quick: { type: 'boolean', default: false },
      schedules: { type: 'string', default: '30' },
      only: { type: 'string', default: '' },
      seed: { type: 'string', default: '1' },
      child: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.child !== undefined) return fold(JSON.parse(values.child) as Run);
  const { recordings, 'world-blocks': blocks } = values;
  const input = recordings !== undefined ? ['--recordings', recordings] : ['--world-blocks', `${blocks}`];
  const isFilled = recordings !== undefined || blocks !== undefined;
  if (values.help || (!isFilled && values['data-dir'] === undefined)) {
    process.stdout.write(`${HELP}\n`);
    return values.help ? 0 : 2;
  }
  const work = await mkdtemp(join(tmpdir(), 'baleen-determinism-'));
  // As root, Postgres runs as another user, who has to pass through.
  await chmod(work, 0o711);
  const dataDir = resolve(values['data-dir'] ?? join(work, 'data'));
  try {
    if (isFilled) await fill(dataDir, input);
    return await compareAll({
      dataDir,
      work,
      schedules: Number(values.schedules),
      seed: Number(values.seed),
      isQuick: values.quick,
      only: values.only,
    });
  } finally {
    await rm(work, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 });
  }
}

async function fill(dataDir: string, input: readonly string[]): Promise<void> {
  const baleen = join(import.meta.dirname, '..', 'ops', 'cli', 'baleen.js');
  const given = ['up', ...input, '--speed', 'max', '--exit-when-done', '--data-dir', dataDir];
  const child = spawn(process.execPath, [baleen, ...given, '--websocket-port', '0'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`baleen up ended with ${code}; see ${dataDir}/logs`);
}

async function compareAll(options: {
  dataDir: string;
  work: string;
  schedules: number;
  seed: number;
  isQuick: boolean;
  only: string;
}): Promise<number> {
  const { dataDir, work, schedules, seed, isQuick, only } = options;
  const say = (text: string) => process.stdout.write(`${text}\n`);
  const services = await reachServices({
    dataDir,
    sources: { file: null, environment: process.env },
    log: silentLog,
    say,
  });
  const brokers = services.kafkaBrokers;
  const clock = systemClock;
  const kafka = await openKafka({
    brokers: brokers.split(','),
    clientId: 'determinism',
    log: silentLog,
    clock,
  });
  const random = new Random(seed);
  let different = 0;
  let count = 0;
  const verdict = (): number => {
    say(`${count} runs, ${different === 0 ? 'all byte-identical' : `${different} DIFFER`} (seed ${seed})`);
    return different === 0 ? 0 : 1;
  };
  try {
    const attempt = async (
      name: string,
      { limits = {}, hop = 'on' }: Partial<Pick<Run, 'limits' | 'hop'>>,
      disturb: (run: Run) => Promise<string>,
      isUnfinished = true,
    ) => {
      if (!name.includes(only)) return;
      count += 1;
      const prefix = `determinism.${clock.nowMs().toString(36)}.`;
      const stateDir = join(work, `state-${count}`);
      const run: Run = { brokers, registryUrl: services.registryUrl, prefix, stateDir, limits, hop };
      const startedMs = performance.now();
      const what = await disturb(run);
      if (isUnfinished) await whole(run);
      const judged = await judge(kafka, prefix);
      if (!judged.isEqual) different += 1;
      const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
      say(`${name.padEnd(28)} ${judged.text}, ${seconds} s${what === '' ? '' : `; ${what}`}`);
      await rm(stateDir, { recursive: true, force: true });
    };
    const share = (arrangement: Arrangement, isDisturbed: boolean) =>
      attempt(
        `${arrangement.name}${isDisturbed ? ', disturbed' : ''}`,
        { limits: random.pick(BATCHES), hop: random.pick(HOPS) },
        (run) => runArrangement(arrangement, run, isDisturbed ? random : null),
        false,
      );
    if (isQuick) {
      for (const arrangement of QUICK_ARRANGEMENTS) await share(arrangement, true);
      return verdict();
    }
    const calmMs: number[] = [];
    for (const limits of BATCHES) {
      await attempt(`batches of ${limits.turnRecords}`, { limits }, async (run) => {
        const startedMs = performance.now();
        await whole(run);
        calmMs.push(performance.now() - startedMs);
        return '';
      });
    }
    for (const hop of HOPS) {
      await attempt(`hop in memory ${hop}`, { hop }, async (run) => {
        await whole(run);
        return '';
      });
    }
    const usualMs = Math.min(...calmMs);
    for (let schedule = 1; schedule <= schedules; schedule += 1) {
      const how = { limits: random.pick(BATCHES), hop: random.pick(HOPS) };
      await attempt(`kill -9, schedule ${schedule}/${schedules}`, how, async (run) => {
        const moments = Array.from({ length: random.between(1, 4) }, () => random.between(600, usualMs));
        for (const afterMs of moments) await killed(run, afterMs);
        return `killed after ${moments.join(', ')} ms`;
      });
    }
    for (const arrangement of ARRANGEMENTS) {
      await share(arrangement, false);
      await share(arrangement, true);
    }
    await attempt('state folder deleted', {}, async (run) => {
      const afterMs = Math.round(usualMs * 0.7);
      await killed(run, afterMs);
      await rm(run.stateDir, { recursive: true, force: true });
      return `killed after ${afterMs} ms, folder deleted`;
    });
    return verdict();
  } finally {
    await kafka.close();
    await services.stop();
  }
}

async function judge(kafka: Kafka, prefix: string): Promise<{ isEqual: boolean; text: string }> {
  const streams = await compareShadow(kafka, prefix, false);
  const records = streams.reduce((sum, { live }) => sum + live, 0);
  const wrong = streams.filter(({ isEqual }) => !isEqual);
  const text = wrong.map(
    ({ topic, partition, writer, firstDifference }) =>
      `${topic}/${partition} ${writer} from ${firstDifference} on`,
  );
  return wrong.length === 0
    ? { isEqual: true, text: `${records} records in ${streams.length} streams identical` }
    : { isEqual: false, text: `DIFFERS: ${text.join('; ')}` };
}

const start = (run: Run): ChildProcess =>
  spawn(process.execPath, [import.meta.filename, '--child', JSON.stringify(run)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });

/** To the end. */
async function whole(run: Run): Promise<void> {
  const [code] = await once(start(run), 'close');
  if (code !== 0) throw new Error(`a run ended with ${code}`);
}

async function killed(run: Run, afterMs: number): Promise<void> {
  const child = start(run);
  const closed = once(child, 'close');
  await Promise.race([sleep(afterMs), closed]);
  child.kill('SIGKILL');
  await closed;
}

/** In a child: folds everything that is there, with its state on disk and its changelog in Kafka. */
async function fold({ brokers, registryUrl, prefix, stateDir, limits, hop }: Run): Promise<number> {
  const clock = systemClock;
  const kafka = await openKafka({
    brokers: brokers.split(','),
    clientId: 'determinism',
    log: silentLog,
    clock,
  });
  try {
    const shadow = await openShadow({
      kafka,
      registryUrl,
      prefix,
      clock,
      log: silentLog,
      openState: (task) => openLevelBackend(stateFolder(stateDir, task)),
      instance: `${process.pid}-${clock.nowMs()}`,
      hasChangelog: true,
      limits,
      hop,
    });
    try {
      await shadow.finished(() => {});
    } finally {
      await shadow.processing.stop();
    }
    return 0;
  } finally {
    await kafka.close();
  }
}

if (import.meta.main) process.exitCode = await main();
