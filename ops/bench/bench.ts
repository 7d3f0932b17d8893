/**
 * Runs the engine as a contender of the yardstick: same input, same broker and same check of every output as its peers.
 *
 *     npm run bench -- windows                        # two runs of a million records
 *     npm run bench -- enrich --pair kafka-streams    # in turn with a peer, and the ratios
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { cp, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf } from '#pipeline/errors.ts';

const HELP = `Usage: bench <enrich|windows> [options] [-- more for the yardstick's own run]
  --count N          input records (default 1000000)
  --runs N           of each contender (default 2; drop or note the first: JVM and broker warm up)
  --pair PEER        in turn with a peer of the yardstick, such as kafka-streams
  --yardstick DIR    its sources (default ../shared/yardstick); copied and built elsewhere, never written to
  --cache DIR        where (default: below the system's temporary folder)
  --profile DIR      write CPU profiles of the contender there
  --port N           of the broker that is started (default 29092); KAFKA_BROKERS names one that runs
Needs Java 17, Maven and Python 3. One line of JSON for each run on standard output, the table on standard error.
Examples:
  npm run bench -- windows --count 300000 --runs 1
  npm run bench -- enrich --pair kafka-streams -- --no-pin --seed 7`;

/** As the peers have their heap settings: most values die young, but not before the next 16 MB are full. */
const NODE_FLAGS = ['--max-semi-space-size=32'];

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      count: { type: 'string', default: '1000000' },
      runs: { type: 'string', default: '2' },
      pair: { type: 'string' },
      yardstick: { type: 'string', default: '../shared/yardstick' },
      cache: { type: 'string', default: join(tmpdir(), 'baleen-yardstick') },
      profile: { type: 'string' },
      port: { type: 'string', default: '29092' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const [workload, ...more] = positionals;
  if (values.help || !(workload === 'enrich' || workload === 'windows' || workload?.startsWith('chain'))) {
    process.stdout.write(`${HELP}\n`);
    return values.help ? 0 : 2;
  }
  const built = await build(resolve(values.yardstick), resolve(values.cache));
  const flags = [...NODE_FLAGS];
  if (values.profile !== undefined) flags.push('--cpu-prof', `--cpu-prof-dir=${resolve(values.profile)}`);
  const contender = command([process.execPath, ...flags, join(import.meta.dirname, 'contender.ts')]);
  // Peers write transactions and no positions. What has no transactions is read whole either way: a duplicate would count.
  const contenders =
    values.pair === undefined
      ? ['--reader', 'position', '--contender', contender]
      : ['--pair', contender, values.pair];
  const { count, runs, port } = values;
  const settings = [
    '--workload',
    workload ?? '',
    ...(process.env['RATE'] ? ['--rate', process.env['RATE']] : []),
    '--count',
    count,
    '--runs',
    runs,
    '--port',
    port,
  ];
  const guarantee = ['--guarantee', 'exactly_once'];
  return run(join(built, 'run'), [...settings, ...guarantee, ...contenders, ...more], built);
}

/** The template that the yardstick fills in and splits as a shell would. */
const command = (words: readonly string[]): string =>
  `${words.map((word) => `'${word}'`).join(' ')} {workload} {brokers} {guarantee}`;

/** A built copy of these sources; made once. */
async function build(source: string, cache: string): Promise<string> {
  const sources = (await readdir(source, { recursive: true }).catch(() => [])).sort();
  if (!sources.includes('run')) {
    throw new Error(
      `${source}: expected the yardstick (run, pom.xml, src), found none; name it with --yardstick`,
    );
  }
  const hash = createHash('sha256');
  for (const name of sources) {
    const path = join(source, name);
    if ((await stat(path)).isFile()) hash.update(`${name}\n`).update(await readFile(path));
  }
  const folder = join(cache, hash.digest('hex').slice(0, 12));
  if (await stat(folder).catch(() => null)) return folder;
  process.stderr.write(`building the yardstick in ${folder}\n`);
  const unfinished = `${folder}.${process.pid}`;
  await mkdir(cache, { recursive: true });
  await cp(source, unfinished, { recursive: true });
  try {
    const code = await run('mvn', ['-q', '-B', 'package'], unfinished);
    if (code !== 0) throw new Error(`mvn package ended with ${code} in ${unfinished}`);
    await rename(unfinished, folder);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
  return folder;
}

async function run(program: string, given: readonly string[], cwd: string): Promise<number> {
  const child = spawn(program, given, { cwd, stdio: 'inherit' });
  // The child hears the interrupt too, and cleans up before it ends.
  const waitOn = (): void => {};
  process.on('SIGINT', waitOn);
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    return code ?? 1;
  } finally {
    process.off('SIGINT', waitOn);
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
}
