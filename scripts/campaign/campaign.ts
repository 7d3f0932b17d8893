/** Rounds of faults, each with a calm after it in which everything must arrive; at the end nothing may be left over. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Admin } from 'kafkajs';
import { messageOf } from '#pipeline/errors.ts';
import { createLog } from '#pipeline/telemetry/log.ts';
import { type Check, type Counts, createCheck, DEAD_LETTERS, INPUT, OUTPUTS } from './check.ts';
import { applyFault } from './faults.ts';
import { type Feed, startFeed } from './feed.ts';
import type { Exit } from './fleet.ts';
import type { Journal } from './journal.ts';
import { createPlainReader, type PlainReader, plainPartition } from './plain-kafka.ts';
import { createSchedule, describeFault, type Fault, type FaultKind } from './schedule.ts';
import { GRACE_MS, graph, readings, SILENCE_MS, WINDOW_MS } from './topology.ts';
import { PREFIX, physicalName, startWorld, type World } from './world.ts';

export interface CampaignOptions {
  readonly minutes: number;
  readonly seed: number;
  /** Readings a second. */
  readonly perSecond: number;
  readonly dataDir: string;
  readonly journal: Journal;
  /** Faults of an earlier campaign, round by round; null: from the seed. */
  readonly rounds: readonly (readonly Fault[])[] | null;
  readonly signal: AbortSignal;
}

export interface CampaignResult extends Counts {
  readonly rounds: number;
  readonly faults: Readonly<Partial<Record<FaultKind, number>>>;
  /** Faults that could not be applied, such as an election without a majority. */
  readonly notApplied: number;
  /** Workers that ended by themselves and were started again, by code. */
  readonly exits: Readonly<Record<string, number>>;
  /** How long it took after the last fault of each round until everything was there: the longest. */
  readonly longestSettleMs: number;
  readonly violations: readonly string[];
}

/** After the last fault everything must be there within this: the driver gives a dead connection up after 40 s. */
const SETTLE_LIMIT_MS = 120_000;
const LOOK_MS = 500;
const DERIVED_PARTITIONS = 3;

/** A worker may end with these, and go on after a restart; with any other code something is wrong. */
const ALLOWED_EXITS: ReadonlySet<string> = new Set(['KAFKA_UNAVAILABLE', 'STATE_UNREADABLE']);

export async function runCampaign(options: CampaignOptions): Promise<CampaignResult> {
  const { journal, signal, seed } = options;
  const violations: string[] = [];
  const violated = (what: string): void => {
    violations.push(what);
    journal.note('violation', { what }, `VIOLATION ${what}`);
  };
  const exits: Record<string, number> = {};
  const onExit = ({ worker, code, message }: Exit): void => {
    exits[code] = (exits[code] ?? 0) + 1;
    journal.note(
      'exit',
      { worker, code, message },
      `${worker} ended by itself: ${code} ${message.slice(0, 300)}`,
    );
    // A worker on a full disk may not even be able to say why.
    if (!ALLOWED_EXITS.has(code)) violated(`${worker} ended with ${code}: ${message.slice(0, 500)}`);
  };
  const say = (line: string): void => journal.note('info', {}, line);
  const world = await startWorld({ dataDir: options.dataDir, signal, onExit, say });
  let feed: Feed | null = null;
  let admin: Admin | null = null;
  let reader: PlainReader | null = null;
  try {
    feed = await startFeed({
      ...options,
      brokers: world.cluster.brokers,
      physicalName,
      log: createLog({ level: 'error' }),
    });
    void feed.failed.then((error) => violated(`the feed cannot go on: ${messageOf(error)}`));
    admin = world.plain.admin();
    await admin.connect();
    const check = createCheck({
      windowMs: WINDOW_MS,
      graceMs: GRACE_MS,
      silenceMs: SILENCE_MS,
      partitions: DERIVED_PARTITIONS,
      inputPartitions: readings.partitions,
      partitionOf: (key) => plainPartition(key, DERIVED_PARTITIONS),
      violated,
    });
    reader = createPlainReader({
      kafka: world.plain,
      topics: watchedTopics(),
      group: 'campaign-check',
      take: (topic, ...rest) => check.take(topic.slice(PREFIX.length), ...rest),
    });
    const watching = { world, feed, admin, reader, check, journal, signal };
    await settle(watching, 'before the first fault', violated);
    const done = await playRounds({ ...options, ...watching, violated });
    const lastMs = await withinLimit(feed.finish());
    if (lastMs === null) violated('the last input was not acknowledged in time');
    else await settle(watching, 'at the end', violated, lastMs + SILENCE_MS + 1);
    for (let number = 0; number < feed.acknowledged().count; number += 1)
      if (!check.hasInput(number)) violated(`input ${number} was acknowledged and is not in the log`);
    if (check.unexpected() > 0) violated(`${check.unexpected()} records that nothing can explain`);
    return { ...check.counts(), ...done, exits, violations };
  } finally {
    // Ctrl-C ends what hangs as well: each of these waits for brokers that may be gone.
    await Promise.race([
      Promise.all([reader?.stop(), feed?.close(), admin?.disconnect()]),
      sleep(5_000),
    ]).catch(() => {});
    await world.stop();
    journal.note('stopped', { seed }, 'everything is stopped');
  }
}

const watchedTopics = (): ReadonlyMap<string, number> => {
  const watched = new Set([INPUT, DEAD_LETTERS, ...Object.keys(OUTPUTS)]);
  return new Map(
    graph.topics
      .filter(({ name }) => watched.has(name))
      .map(({ name, partitions }) => [physicalName(name), partitions]),
  );
};

const withinLimit = <T>(work: Promise<T>): Promise<T | null> =>
  Promise.race([work, sleep(SETTLE_LIMIT_MS, null, { ref: false })]);

interface Watching {
  readonly world: World;
  readonly feed: Feed;
  readonly admin: Admin;
  readonly reader: PlainReader;
  readonly check: Check;
  readonly journal: Journal;
  readonly signal: AbortSignal;
}

type Played = Pick<CampaignResult, 'rounds' | 'faults' | 'notApplied' | 'longestSettleMs'>;

async function playRounds(
  options: CampaignOptions & Watching & { violated: (what: string) => void },
): Promise<Played> {
  const { world, journal, signal, minutes, seed } = options;
  const without = new Set<FaultKind>(world.hasSmallDisks ? [] : ['disk-full']);
  if (without.size > 0) journal.note('info', {}, 'no right to mount a small file system: no full disks');
  const schedule = createSchedule(seed, without);
  const faults: Partial<Record<FaultKind, number>> = {};
  const endMs = performance.now() + minutes * 60_000;
  let [rounds, notApplied, longestSettleMs] = [0, 0, 0];
  const isOver = (): boolean =>
    options.rounds === null ? performance.now() >= endMs : rounds >= options.rounds.length;
  while (!isOver()) {
    signal.throwIfAborted();
    const round = options.rounds?.[rounds] ?? schedule.next();
    rounds += 1;
    const left = Math.max(0, Math.round((endMs - performance.now()) / 1_000));
    const remaining = options.rounds === null ? `${left} s left` : `of ${options.rounds.length}`;
    journal.note(
      'round',
      { round: rounds, faults: round },
      `round ${rounds}, ${remaining}: ${round.length} faults`,
    );
    const played = await Promise.all(round.map((fault) => playFault(world, journal, fault, signal)));
    signal.throwIfAborted();
    notApplied += played.filter((isApplied) => !isApplied).length;
    for (const { kind } of round) faults[kind] = (faults[kind] ?? 0) + 1;
    const tookMs = await settle(options, `after round ${rounds}`, options.violated);
    longestSettleMs = Math.max(longestSettleMs, tookMs);
    if (tookMs >= SETTLE_LIMIT_MS) break;
  }
  return { rounds, faults, notApplied, longestSettleMs };
}

/** False when it could not be applied. Mending is not optional: it is tried until it works. */
async function playFault(
  world: World,
  journal: Journal,
  fault: Fault,
  signal: AbortSignal,
): Promise<boolean> {
  const text = describeFault(fault);
  const pause = (ms: number): Promise<void> => sleep(ms, undefined, { signal }).catch(() => {});
  await pause(fault.atMs);
  if (signal.aborted) return false;
  try {
    const { detail, mend } = await applyFault(world, fault);
    journal.note('fault', { fault, detail }, `${text}${detail === '' ? '' : ` (${detail})`}`);
    await pause(fault.forMs);
    while (!signal.aborted) {
      try {
        await mend();
        break;
      } catch (error) {
        journal.note(
          'mend',
          { fault, error: messageOf(error) },
          `mending ${text} again: ${messageOf(error).slice(0, 200)}`,
        );
        await pause(1_000);
      }
    }
    return true;
  } catch (error) {
    journal.note(
      'not-applied',
      { fault, error: messageOf(error) },
      `not applied: ${text}: ${messageOf(error).slice(0, 200)}`,
    );
    return false;
  }
}

/**
 * Waits until everything is there that the input so far must lead to; a violation when it does not come. Returns how long it
 * took. `untilMs`: a log time; default that of the first input acknowledged from now on, which also shows that the feed is back.
 */
async function settle(
  { feed, admin, reader, check, journal, signal }: Watching,
  when: string,
  violated: (what: string) => void,
  untilMs: number | null = null,
): Promise<number> {
  const [calmMs, startedMs] = [Date.now(), performance.now()];
  const elapsedMs = (): number => Math.round(performance.now() - startedMs);
  let beforeMs = untilMs;
  let state = 'the check could not read the topics';
  /** Whether all is there now. */
  const look = async (): Promise<boolean> => {
    const { latestMs } = feed.acknowledged();
    if (beforeMs === null && latestMs > calmMs) beforeMs = latestMs;
    const missing = beforeMs === null ? null : check.missing(beforeMs);
    state =
      beforeMs === null
        ? 'no input is acknowledged'
        : missing === null
          ? 'the input is not in the log'
          : `${missing} records are missing`;
    return missing === 0 && (untilMs === null || (await reader.isAtEnd(admin)));
  };
  while (elapsedMs() < SETTLE_LIMIT_MS) {
    try {
      // kafkajs forgets where it was now and then: each time it begins anew where the last one ended.
      await reader.start();
      while (elapsedMs() < SETTLE_LIMIT_MS) {
        await sleep(LOOK_MS, undefined, { signal });
        if (!(await look())) continue;
        const counts = check.counts();
        journal.note(
          'settled',
          { when, tookMs: elapsedMs(), ...counts },
          settledLine(when, elapsedMs(), counts),
        );
        return elapsedMs();
      }
    } catch (error) {
      signal.throwIfAborted();
      journal.note('info', {}, `the check reads again: ${messageOf(error).slice(0, 200)}`);
      await sleep(LOOK_MS);
    } finally {
      await reader.stop();
    }
  }
  violated(`stalled ${when}: ${state} ${Math.round(elapsedMs() / 1_000)} s after the last fault`);
  return elapsedMs();
}

const settledLine = (when: string, tookMs: number, { inputs, compared, duplicates }: Counts): string =>
  `all there ${when} after ${(tookMs / 1_000).toFixed(1)} s: ${inputs} inputs, ${compared} outputs right, ${duplicates} duplicates`;
