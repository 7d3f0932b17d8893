/**
 * One schedule: processes over a simulated log, with everything that goes wrong chosen by a seed; then calm, in which
 * everything must finish; then the comparison with the reference fold and, byte by byte, with an undisturbed run.
 */
import { taskName } from '#pipeline/runtime/graph.ts';
import { check, compare, compareRows } from './compare.ts';
import { checkTakenIn, Exclusion } from './exclusion.ts';
import { checkNothingLost, inexact, isTouched } from './forced.ts';
import { runForgery } from './forgery.ts';
import { chooseHazard, type Hazard } from './hazard.ts';
import type { Faults, SimulatedLog } from './log.ts';
import { SimulatedProcess } from './process.ts';
import { reference } from './reference.ts';
import type { Random } from './scheduler.ts';
import { settle, untilTakenIn } from './settle.ts';
import { bytesOf, DERIVED, found, type Streams, timeOf } from './streams.ts';
import { graphs, planTopic } from './topology.ts';
import { runWeakness } from './weakness.ts';
import { Violation, World } from './world.ts';

export interface ScheduleResult {
  /** Records in derived topics, duplicates left out. */
  readonly records: number;
  /** Of these, written while faults were active. */
  readonly disturbed: number;
  readonly duplicates: number;
  /** Records that tasks took from memory. */
  readonly hops: number;
  readonly events: number;
  readonly kills: number;
  readonly rebalances: number;
  readonly checkpoints: number;
  readonly rows: number;
  /** 1 when another version began in its midst. */
  readonly cuts: number;
  /** Tasks that were brought to the cut by decree. */
  readonly forced: number;
  /** Records in derived topics that the later version wrote, duplicates left out. */
  readonly afterCut: number;
  /** 1 when it did without something from a cut on; 1 when that was taken in again. */
  readonly excluded: number;
  readonly takenIn: number;
  /** Processes that died of what they folded, and what is passed over since. */
  readonly deaths: number;
  readonly skips: number;
}

const FAULTS: readonly Faults[] = [
  { refused: 0.1, unanswered: 0.1, ghosts: 0.1, delayMs: 4 },
  { refused: 0.02, unanswered: 0.02, ghosts: 0.02, delayMs: 2 },
  { refused: 0.2, unanswered: 0.2, ghosts: 0.1, delayMs: 8 },
];

/** One schedule of so many is followed by a forgery, another by a copy that is weaker than its twin. */
const FORGERY_EVERY = 8;

/** Runs one schedule. Throws a Violation that says what was wrong. */
export async function runSchedule(seed: number): Promise<ScheduleResult> {
  const world = new World(seed);
  const { scheduler, log } = world;
  const { random } = scheduler;
  const all = [...new Set(graphs.flatMap((graph) => graph.tasks().map(taskName)))];
  // Either the first process has every task and the others are copies of some, or they share the tasks.
  const copies = random.pick([0, 0, 1, 2]);
  world.isShared = copies > 0 && random.chance(0.6);
  const shares = world.isShared
    ? spread(random, all, copies + 1)
    : Array.from({ length: copies + 1 }, (_, index) => (index === 0 ? new Set(all) : sample(random, all)));
  world.willCut = random.chance(0.6);
  world.willForce = world.willCut && random.chance(0.3);
  const limit = random.between(1_200, 3_000);
  if (!world.willCut && random.chance(0.3)) world.exclusion = new Exclusion(world, limit);
  for (const [index, share] of shares.entries())
    world.processes.push(new SimulatedProcess(world, index, share));
  for (const process of world.processes) process.start();
  world.startSink();
  world.startSink();

  const data = random.between(8, 24);
  // Folded again after a forced cut, poison may come at another log time: then it is another one.
  const isExact = !world.willForce && world.exclusion === null;
  const poison = isExact && random.chance(0.15) ? chooseHazard(random, data) : null;
  world.endanger(poison);
  log.faults = random.pick(FAULTS);
  let events = 0;
  const cutAfter = world.willCut ? random.between(1, limit) : Number.POSITIVE_INFINITY;
  const forceAfter = world.willForce ? cutAfter + random.between(0, 300) : Number.POSITIVE_INFINITY;
  while ((world.made < data || events < limit) && world.failure === null) {
    events += 1;
    if (events === cutAfter) world.cut();
    if (events === forceAfter) world.force();
    world.exclusion?.at(events);
    const choice = random.next();
    if (choice < 0.009) world.disturb();
    else if (choice < 0.025) scheduler.advance(random.between(0, 4));
    else if (choice < 0.045 && world.made < data) {
      for (let more = random.pick([1, 1, 1, 2, 8]); more > 0; more -= 1) world.make();
    } else if (!(await scheduler.step())) scheduler.advance(1);
  }
  if (world.failure !== null) throw world.failure;
  if (events < forceAfter && world.willForce) world.force();
  world.exclusion?.at(Number.POSITIVE_INFINITY);
  const disturbed = count(check(() => found(log)));
  world.calm();
  events += await untilTakenIn(world);
  const maximumMs = Math.max(
    ...['a', 'b', 'facts', planTopic.name].flatMap((name) => times(log, name)),
    scheduler.nowMs,
  );
  const endMs = maximumMs + 40;
  // The records that move everything past the end bring no more of it.
  const hazard = poison === null ? null : { ...poison, untilMs: endMs };
  world.endanger(hazard);
  events += await settle(world, endMs, true);
  // Now nothing more happens by itself. Who starts here depends on what the others say again.
  for (const process of world.processes.slice(1)) {
    process.kill();
    process.start();
  }
  if (copies > 0) events += await settle(world, endMs, false);

  const streams = check(() => found(log));
  const last = world.versions().at(-1);
  const at = last?.cut ?? null;
  const given =
    last === undefined || at === null || world.exclusion !== null
      ? null
      : { logTimeMs: at.logTimeMs, startOffsets: last.startOffsets };
  const forced = inexact(world);
  const exact = (all: Streams): Streams =>
    new Map([...cut(all, endMs)].filter(([name]) => !isTouched(name, forced)));
  compare(exact(reference(log, endMs, given, hazard)), exact(streams), 'the reference');
  if (forced.length > 0) checkNothingLost(world, streams, endMs);
  checkTakenIn(world);
  compareRows(world, streams, endMs);
  const actual = check(() => bytesOf(log));
  // An undisturbed run has nothing to exclude.
  if (world.exclusion === null) {
    // What is passed over is not so much as looked at again.
    const calm = await undisturbed(world, endMs, seed, hazard);
    compare(exact(check(() => bytesOf(calm.log))), exact(actual), 'an undisturbed run');
  }
  if (seed % FORGERY_EVERY === 0) await runForgery(seed);
  if (seed % FORGERY_EVERY === 4) await runWeakness(seed);
  return {
    records: count(cut(streams, endMs)),
    disturbed,
    duplicates:
      DERIVED.flatMap((name) => log.topics.get(name) ?? []).reduce(
        (sum, { records }) => sum + records.length,
        0,
      ) - count(streams),
    hops: world.hops,
    events,
    kills: world.kills,
    rebalances: world.rebalances,
    checkpoints: world.writes,
    rows: world.database.rows.length,
    cuts: world.versions().length - 1,
    forced: forced.length,
    afterCut: [...actual.values()].flat().filter((line) => /position=[^;]*;2;/.test(line)).length,
    excluded: world.versions().filter(({ excluded }) => excluded.length > 0).length,
    takenIn: world.versions().length === 3 ? 1 : 0,
    deaths: world.deaths.length,
    skips: world.skips().length,
  };
}

/** One process, nothing goes wrong, over the same raw records and ticks. */
async function undisturbed(past: World, endMs: number, seed: number, hazard: Hazard | null): Promise<World> {
  const world = new World(seed + 1, past);
  const all = graphs.flatMap((graph) => graph.tasks().map(taskName));
  const process = new SimulatedProcess(world, 0, new Set(all));
  world.processes.push(process);
  world.endanger(hazard);
  process.start();
  world.startSink();
  await settle(world, endMs, true);
  if (world.deaths.some((atMs) => atMs <= endMs))
    throw new Violation('an undisturbed run died of what is passed over');
  return world;
}

/** Each name in one of so many sets. */
function spread(random: Random, names: readonly string[], count: number): readonly ReadonlySet<string>[] {
  const sets = Array.from({ length: count }, () => new Set<string>());
  for (const name of names) random.pick(sets).add(name);
  return sets;
}

const sample = (random: Random, names: readonly string[]): ReadonlySet<string> =>
  new Set(names.filter(() => random.chance(0.6)));

const times = (log: SimulatedLog, topic: string): number[] =>
  (log.topics.get(topic) ?? []).flatMap(({ records }) => records.map(({ timestampMs }) => timestampMs));

const count = (streams: Streams): number =>
  [...streams.values()].reduce((sum, lines) => sum + lines.length, 0);

const cut = (streams: Streams, endMs: number): Streams =>
  new Map([...streams].map(([name, lines]) => [name, lines.filter((line) => timeOf(line) <= endMs)]));
