/**
 * Runs the engine as a contender of the yardstick: same input, same broker and same check of every output as its peers.
 *
 *     npm run bench -- windows                        # two runs of a million records
 *     npm run bench -- chain --rate 5000              # paced: latency
 *     npm run bench -- all --pair kafka-streams       # every case in turn with a peer; writes ops/performance.md
 */
import { readFile, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf } from '#pipeline/errors.ts';
import { type Advantages, advantagesOver, losses, OURS, readBaseline } from './baseline.ts';
import { ALL_CASES, type Case, caseName, type Run, readRun, type Summary, summarise } from './cases.ts';
import { grouped, replaceTables, tables } from './table.ts';
import { buildYardstick, commandOf, run } from './yardstick.ts';

const HELP = `Usage: bench <enrich|windows|chain|chain-fused|all> [options] [-- more for the yardstick's own run]
  --count N          input records of a run that is not paced (default 1000000)
  --rate N           records per second of a chain (default: 1000, 5000 and 10000 in turn)
  --seconds N        measured part of a paced run (default 60), after 30 s of warming up (--warmup N)
  --runs N           of each contender (default 2; drop or note the first: JVM and broker warm up)
  --pair PEER        in turn with a peer of the yardstick, such as kafka-streams
  --from FILE        no runs: take the lines of earlier ones, as they stood on standard output
  --check            fail when we are less ahead of the peer than ops/bench/baseline.json says; writes nothing
  --keep-baseline    write ops/bench/baseline.json
  --json             one object with medians and ratios on standard output, in place of a line for each run
  --yardstick DIR    its sources (default ../shared/yardstick); copied and built elsewhere, never written to
  --cache DIR        where (default: below the system's temporary folder)
  --profile DIR      write CPU profiles of the contender there
  --port N           of the broker that is started (default 29092); KAFKA_BROKERS names one that runs
Needs Java 17, Maven and Python 3. One line of JSON for each run on standard output, tables on standard error; \`all\` with
a peer also writes them to ops/performance.md. Exit code 1: records missing, wrong or twice, or a check that failed.
Examples:
  npm run bench -- windows --count 300000 --runs 1
  npm run bench -- chain --rate 1000 --seconds 20 -- --no-pin
  npm run bench -- all --pair kafka-streams --runs 3 > lines.jsonl
  npm run bench -- all --pair kafka-streams --from lines.jsonl --check`;

/** As the peers have their heap settings: most values die young, but not before the next 16 MB are full. */
const NODE_FLAGS = ['--max-semi-space-size=32'];
const PAGE = join(import.meta.dirname, '../performance.md');
const BASELINE = join(import.meta.dirname, 'baseline.json');

/** A generator that is later than this was starved: the machine is busy with something else. */
const LATE_MS = 20;

const OPTIONS = {
  count: { type: 'string', default: '1000000' },
  rate: { type: 'string' },
  seconds: { type: 'string', default: '60' },
  warmup: { type: 'string', default: '30' },
  runs: { type: 'string', default: '2' },
  pair: { type: 'string' },
  from: { type: 'string' },
  check: { type: 'boolean', default: false },
  'keep-baseline': { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  yardstick: { type: 'string', default: '../shared/yardstick' },
  cache: { type: 'string', default: join(tmpdir(), 'baleen-yardstick') },
  profile: { type: 'string' },
  port: { type: 'string', default: '29092' },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

const parse = () => parseArgs({ allowPositionals: true, options: OPTIONS });
type Values = ReturnType<typeof parse>['values'];

async function main(): Promise<number> {
  const { values, positionals } = parse();
  const [workload, ...more] = positionals;
  const cases = casesOf(workload, values.rate);
  if (values.help || cases.length === 0) {
    process.stdout.write(`${HELP}\n`);
    return values.help ? 0 : 2;
  }
  if (values.check && values.pair === undefined)
    throw new Error('--check needs --pair: it compares with a peer');
  const ran =
    values.from === undefined ? await runCases(cases, more, values) : await readLines(cases, values.from);
  const isGood = await conclude(ran.runs, workload === 'all' && ran.isWhole, values);
  return ran.isWhole && isGood ? 0 : 1;
}

/** What was run. Not whole: the yardstick gave up on a case. */
interface Ran {
  readonly runs: readonly Run[];
  readonly isWhole: boolean;
}

const nameOf = (contender: string): string => (contender.includes('contender.ts') ? OURS : contender);

async function runCases(cases: readonly Case[], more: readonly string[], values: Values): Promise<Ran> {
  const command = contenderCommand(values.profile);
  const built = await buildYardstick(resolve(values.yardstick), resolve(values.cache));
  const runs: Run[] = [];
  let isWhole = true;
  for (const [index, one] of cases.entries()) {
    process.stderr.write(`${index + 1} of ${cases.length}: ${caseName(one)}\n`);
    const given = [...settings(one, values, command), ...more];
    const code = await run(join(built, 'run'), given, built, (line) => {
      const found = readRun(line, nameOf);
      if (found !== null) runs.push(found);
      if (!values.json) process.stdout.write(`${line}\n`);
    });
    if (code === 0) continue;
    process.stderr.write(`${caseName(one)}: the yardstick ended with ${code}\n`);
    isWhole = false;
  }
  return { runs, isWhole };
}

async function readLines(cases: readonly Case[], path: string): Promise<Ran> {
  const wanted = new Set(cases.map(caseName));
  const found = (await readFile(path, 'utf8')).split('\n').flatMap((line) => readRun(line, nameOf) ?? []);
  return { runs: found.filter((one) => wanted.has(one.case)), isWhole: true };
}

function casesOf(workload: string | undefined, rate: string | undefined): readonly Case[] {
  const isWanted = (one: Case): boolean =>
    rate === undefined || one.ratePerSecond === null || one.ratePerSecond === Number(rate);
  if (workload === 'all') return ALL_CASES.filter(isWanted);
  if (workload === 'enrich' || workload === 'windows') return [{ workload, ratePerSecond: null }];
  if (workload !== 'chain' && workload !== 'chain-fused') return [];
  const rates = rate === undefined ? ALL_CASES.flatMap((one) => one.ratePerSecond ?? []) : [Number(rate)];
  return rates.map((ratePerSecond) => ({ workload, ratePerSecond }));
}

function contenderCommand(profile: string | undefined): string {
  const flags = [...NODE_FLAGS];
  if (profile !== undefined) flags.push('--cpu-prof', `--cpu-prof-dir=${resolve(profile)}`);
  return commandOf([process.execPath, ...flags, join(import.meta.dirname, 'contender.ts')]);
}

function settings({ workload, ratePerSecond }: Case, values: Values, command: string): readonly string[] {
  const { runs, port, pair, count, seconds, warmup } = values;
  const load =
    ratePerSecond === null
      ? ['--count', count]
      : ['--rate', String(ratePerSecond), '--seconds', seconds, '--warmup', warmup];
  // Peers write transactions and no positions. What has no transactions is read whole either way: a duplicate would count.
  const contenders =
    pair === undefined ? ['--reader', 'position', '--contender', command] : ['--pair', command, pair];
  return [
    ...['--workload', workload, ...load, '--runs', runs, '--port', port],
    ...['--guarantee', 'exactly_once', ...contenders],
  ];
}

/** Shows what came of it, writes or checks it. False: something is wrong or worse. */
async function conclude(runs: readonly Run[], isForThePage: boolean, values: Values): Promise<boolean> {
  const summaries = summarise(runs);
  const advantages = values.pair === undefined ? {} : advantagesOver(values.pair, summaries);
  const text = tables(summaries, advantages);
  if (values.json) process.stdout.write(`${JSON.stringify({ summaries, advantages }, null, 2)}\n`);
  process.stderr.write(`\n${text}\n`);
  const mistaken = summaries.filter(({ mistakes }) => mistakes > 0);
  for (const { case: name, contender, mistakes } of mistaken)
    process.stderr.write(`${name}: ${contender} has ${mistakes} records missing, wrong or twice\n`);
  for (const { case: name, contender, sendLateP99Ms } of runs) {
    if (sendLateP99Ms !== null && sendLateP99Ms > LATE_MS)
      process.stderr.write(
        `${name}: for ${contender} the generator itself was late, p99 ${sendLateP99Ms} ms, and that is part of the latency\n`,
      );
  }
  const isRight = runs.length > 0 && mistaken.every(({ contender }) => contender !== OURS);
  if (values.check) return (await checked(advantages, values.pair ?? '')) && isRight;
  if (!isRight || values.pair === undefined) return isRight;
  if (isForThePage)
    await writeFile(PAGE, replaceTables(await readFile(PAGE, 'utf8'), `${text}\n\n${setting(summaries)}`));
  if (values['keep-baseline'])
    await writeFile(BASELINE, `${JSON.stringify({ peer: values.pair, advantages }, null, 2)}\n`);
  return true;
}

async function checked(present: Advantages, peer: string): Promise<boolean> {
  const baseline = readBaseline(await readFile(BASELINE, 'utf8'));
  if (baseline.peer !== peer) throw new Error(`${BASELINE}: is of ${baseline.peer}, not of ${peer}`);
  for (const name of Object.keys(present).filter((one) => baseline.advantages[one] === undefined))
    process.stderr.write(`${name}: no baseline is kept; nothing to compare with\n`);
  const worse = losses(baseline.advantages, present);
  for (const line of worse) process.stderr.write(`worse: ${line}\n`);
  if (worse.length === 0) process.stderr.write('no figure fell by more than is tolerated\n');
  return worse.length === 0;
}

/** What the figures hold for. */
function setting(summaries: readonly Summary[]): string {
  const counts = [
    ...new Set(summaries.filter(({ figures }) => figures.p50Ms === null).map(({ count }) => count)),
  ];
  const processor = cpus()[0]?.model.trim() ?? 'unknown processor';
  const records =
    counts.length === 0 ? '' : ` ${counts.map((count) => grouped(count)).join(', ')} records a run.`;
  return `Node ${process.versions.node}, ${availableParallelism()} cores of ${processor}, ${process.platform}.${records}`;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
}
