/**
 * `npm run campaign -- --minutes N --seed S`: faults on real brokers, real processes and real files, while a small pipeline
 * runs; then a check that shares no code with the engine. Exit code 1 when anything was violated.
 */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf } from '#pipeline/errors.ts';
import { type CampaignResult, runCampaign } from './campaign.ts';
import { openJournal, readJournal } from './journal.ts';

const HELP = `Usage: campaign [--minutes N] [--seed S] [--rate R] [--log FILE] [--replay FILE] [--json]
  --minutes N    faults for so long (default 2); a round that has begun is ended
  --seed S       of faults and input (default 1)
  --rate R       readings a second (default 100)
  --log FILE     JSON lines of what was done and found (default campaign-<seed>.jsonl in the temporary folder)
  --replay FILE  play the faults of such a log again
  --json         the result as JSON on standard output, everything else on standard error

Starts three brokers, four processes and proxies on loopback and stops them again, also after Ctrl-C. Needs Java; without
the right to mount a file system in memory, disks do not get full.`;

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${name}: expected a number above 0, found ${text}`);
  return value;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '2' },
      seed: { type: 'string', default: '1' },
      rate: { type: 'string', default: '100' },
      log: { type: 'string' },
      replay: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(`${HELP}\n`);
    return 0;
  }
  const recorded = values.replay === undefined ? null : readJournal(values.replay);
  const seed = recorded?.seed ?? positive('seed', values.seed);
  const path = resolve(values.log ?? join(tmpdir(), `campaign-${seed}.jsonl`));
  if (values.replay !== undefined && resolve(values.replay) === path)
    throw new Error(`--log: expected another file than the one that is replayed, found ${path}`);
  const output = values.json ? process.stderr : process.stdout;
  const journal = openJournal({ path, say: (line) => output.write(`${line}\n`) });
  const stopping = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => stopping.abort(new Error(`stopped by ${signal}`)));
  const minutes = positive('minutes', values.minutes);
  const perSecond = positive('rate', values.rate);
  journal.note(
    'start',
    { seed, minutes, perSecond },
    `campaign of ${minutes} min, seed ${seed}, log ${path}`,
  );
  try {
    const dataDir = await mkdtemp(join(tmpdir(), 'baleen-campaign-'));
    const rounds = recorded?.rounds ?? null;
    const result = await runCampaign({
      minutes,
      seed,
      perSecond,
      dataDir,
      journal,
      rounds,
      signal: stopping.signal,
    });
    journal.note('end', result, summary(result, seed));
    if (values.json) process.stdout.write(`${JSON.stringify({ seed, log: path, ...result }, null, 2)}\n`);
    return result.violations.length === 0 ? 0 : 1;
  } catch (error) {
    journal.note('end', { error: messageOf(error) }, messageOf(error));
    return 1;
  } finally {
    journal.close();
  }
}

const listed = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');

const summary = (result: CampaignResult, seed: number): string =>
  [
    `${result.rounds} rounds: ${listed(result.faults)}; ${result.notApplied} could not be applied`,
    `${result.inputs} inputs (${result.inputsResent} sent again), ${result.outputs} outputs, ${result.compared} compared`,
    `${result.duplicates} duplicates, all of the same bytes; longest way back ${(result.longestSettleMs / 1_000).toFixed(1)} s`,
    `processes that ended by themselves: ${listed(result.exits) || 'none'}`,
    result.violations.length === 0
      ? `no violation (seed ${seed})`
      : `${result.violations.length} VIOLATIONS (seed ${seed})`,
  ].join('\n           ');

// Handles of clients that are closing may remain: what must be stopped is stopped.
if (import.meta.main) process.exit(await main());
