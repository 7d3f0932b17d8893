/** `baleen doctor`: what is needed, what was found, and the next step. Changes nothing. */
import { access, constants, readdir, readFile, statfs } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { probeTools, type ToolReport } from '#ops/local/probe.ts';
import { isRunning, readIdentity } from '#ops/local/process.ts';
import { checkPostgres, checkRegistry } from '#ops/local/ready.ts';
import { isPipelineError, messageOf, printableUrl } from '#pipeline/errors.ts';
import { checkTopics } from './check-topics.ts';
import { type Endpoints, readEndpoints } from './endpoints.ts';
import { type Io, processIo } from './io.ts';
import { stripped } from './printable.ts';
import { type BuiltSettings, buildSettings, type SettingSources } from './settings.ts';

export interface Check {
  readonly name: string;
  /** `fail`: the pipeline cannot run like this. */
  readonly state: 'ok' | 'warn' | 'fail';
  readonly found: string;
  /** Null when nothing has to be done. */
  readonly nextStep: string | null;
}

export interface DoctorOptions {
  readonly dataDir: string;
  readonly json: boolean;
  readonly sources: SettingSources;
}

const ANSWER_MS = 5_000;
const GIB = 1024 ** 3;
const DISK_NEEDED = 0.5 * GIB;
const DISK_WANTED = 4 * GIB;

const ok = (name: string, found: string): Check => ({ name, state: 'ok', found, nextStep: null });
const bad = (state: 'warn' | 'fail', name: string, found: string, nextStep: string): Check => ({
  name,
  state,
  found,
  nextStep,
});

/** Returns the exit code: 1 when something that is needed fails. */
export async function doctor(options: DoctorOptions, io: Io = processIo): Promise<number> {
  const checks = await examine(options);
  if (options.json) io.out(JSON.stringify(checks, null, 2));
  else {
    const widest = Math.max(...checks.map(({ name }) => name.length));
    for (const { name, state, found, nextStep } of checks) {
      io.out(`${state.padEnd(4)}  ${name.padEnd(widest)}  ${stripped(found)}`);
      if (nextStep !== null) io.out(`${' '.repeat(6 + widest)}  -> ${stripped(nextStep)}`);
    }
  }
  return checks.some(({ state }) => state === 'fail') ? 1 : 0;
}

async function examine(options: DoctorOptions): Promise<readonly Check[]> {
  const dataDir = resolve(options.dataDir);
  const [settings, settingsCheck] = await examineSettings(options.sources);
  const running = await readEndpoints(dataDir);
  const parts = await Promise.all([
    examineTools(settings),
    examineDisk(dataDir),
    examineUp(dataDir, running),
    examineServices(settings, running),
  ]);
  return [settingsCheck, ...parts.flat()];
}

async function examineSettings(sources: SettingSources): Promise<readonly [BuiltSettings | null, Check]> {
  try {
    const built = await buildSettings({ ...sources, provided: {}, isPreview: true });
    const rooms = [...Object.keys(built.connectors), ...Object.keys(built.sinks)].join(', ');
    return [
      built,
      ok('settings', `valid; ${built.simulated ? 'simulated providers' : 'live providers'}; ${rooms}`),
    ];
  } catch (error) {
    if (!isPipelineError(error, 'CONFIG_INVALID')) throw error;
    return [
      null,
      bad('fail', 'settings', messageOf(error), 'correct them; "baleen config" shows what is in effect'),
    ];
  }
}

/** Java and Maven, or Docker, are needed only for services that nobody else runs. */
async function examineTools(settings: BuiltSettings | null): Promise<readonly Check[]> {
  const tools = await probeTools(AbortSignal.timeout(20_000));
  const has = (tool: ToolReport['tool']) => tools.some((one) => one.tool === tool && one.isUsable);
  const { kafkaBrokers, registryUrl } = settings?.configured ?? {};
  const isLocalNeeded = kafkaBrokers === undefined || registryUrl === undefined;
  const pinned = await pinnedNode();
  return tools.map(({ tool, version, isUsable, detail }) => {
    const name = tool === 'node' ? 'Node' : tool;
    if (tool === 'node') {
      const found = `${version ?? 'none'}, pinned ${pinned ?? 'nothing: run npm ci'}`;
      return isUsable ? ok(name, found) : bad('fail', name, found, detail);
    }
    if (isUsable) return ok(name, `${version}: ${detail}`);
    // Either way of running services is enough.
    const isOther = tool === 'docker' ? has('java') && has('mvn') : has('docker');
    return bad(isLocalNeeded && !isOther ? 'fail' : 'warn', name, version ?? 'not found', detail);
  });
}

async function pinnedNode(): Promise<string | null> {
  try {
    const path = join(import.meta.dirname, '..', '..', 'package.json');
    const manifest = z.object({ dependencies: z.object({ node: z.string() }) });
    const { dependencies } = manifest.parse(JSON.parse(await readFile(path, 'utf8')));
    await access(join(dirname(path), 'node_modules', 'node', 'bin', 'node'), constants.X_OK);
    return dependencies.node;
  } catch {
    return null;
  }
}

async function examineDisk(dataDir: string): Promise<readonly Check[]> {
  const folder = await nearestFolder(dataDir);
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  const found = `${(free / GIB).toFixed(1)} GiB free at ${folder}`;
  const advice = 'make room, or choose another place with --data-dir';
  const space =
    free >= DISK_WANTED
      ? ok('disk', found)
      : bad(free < DISK_NEEDED ? 'fail' : 'warn', 'disk', found, advice);
  const writable = await access(folder, constants.W_OK | constants.X_OK).then(
    () => ok('data directory', `${dataDir} ${folder === dataDir ? 'is writable' : 'can be made'}`),
    () =>
      bad('fail', 'data directory', `${folder} cannot be written to`, 'choose another place with --data-dir'),
  );
  return [space, writable];
}

/** The folder itself, or the nearest one above it that is there. */
async function nearestFolder(path: string): Promise<string> {
  const isThere = await access(path).then(
    () => true,
    () => false,
  );
  return isThere || dirname(path) === path ? path : nearestFolder(dirname(path));
}

async function examineUp(dataDir: string, running: Endpoints | null): Promise<readonly Check[]> {
  if (running !== null) return [ok('baleen up', `runs as process ${running.pid}`)];
  const owner = readIdentity(join(dataDir, 'lock'));
  if (owner !== null && isRunning(owner)) {
    return [
      bad(
        'warn',
        'baleen up',
        `process ${owner.pid} is starting, stopping or replaying`,
        'wait for it, or stop it',
      ),
    ];
  }
  const folder = join(dataDir, 'run');
  const files = await readdir(folder).catch((): string[] => []);
  const survivors = files.flatMap((file) => {
    const identity = readIdentity(join(folder, file));
    return identity !== null && isRunning(identity)
      ? [`${file.replace(/\.pid$/, '')} (${identity.pid})`]
      : [];
  });
  if (survivors.length > 0) {
    const found = `not running, but left behind: ${survivors.join(', ')}`;
    return [
      bad('warn', 'baleen up', found, 'the next "baleen up" ends them, or end these processes yourself'),
    ];
  }
  return [
    ok('baleen up', files.length > 0 ? 'not running; the last one did not end in order' : 'not running'),
  ];
}

async function examineServices(
  settings: BuiltSettings | null,
  running: Endpoints | null,
): Promise<readonly Check[]> {
  const { kafkaBrokers, registryUrl, databaseUrl } = settings?.configured ?? {};
  const kafka = kafkaBrokers ?? running?.kafkaBrokers;
  const registry = registryUrl ?? running?.registryUrl;
  const database = databaseUrl ?? running?.databaseUrl ?? undefined;
  const local = (name: string) => ok(name, 'not configured: "baleen up" starts its own');
  return Promise.all([
    kafka === undefined
      ? local('Kafka')
      : answers('Kafka', kafka, 'KAFKA_BROKERS', () =>
          checkTopics(kafka.split(','), settings?.kafkaSecurity),
        ),
    registry === undefined
      ? local('registry')
      : answers('registry', printableUrl(registry), 'REGISTRY_URL', async (signal) => {
          await checkRegistry(registry, signal);
          return 'answers';
        }),
    database === undefined
      ? local('Postgres')
      : answers('Postgres', printableUrl(database), 'DATABASE_URL', async (signal) => {
          await checkPostgres(database, signal);
          return 'answers';
        }),
  ]);
}

async function answers(
  name: string,
  address: string,
  variable: string,
  check: (signal: AbortSignal) => Promise<string>,
): Promise<Check> {
  try {
    return ok(name, `${address}: ${await check(AbortSignal.timeout(ANSWER_MS))}`);
  } catch (error) {
    const next = isPipelineError(error, 'TOPIC_SETTINGS_WRONG')
      ? 'correct the settings with kafka-configs --alter'
      : `is it running, and is ${variable} right? Unset it to have one started`;
    return bad('fail', name, `${address}: ${messageOf(error)}`, next);
  }
}
