/** The calm after the disturbance: everything must finish. */
import { taskName } from '#pipeline/runtime/graph.ts';
import { readControlTick } from '#pipeline/runtime/outputs.ts';
import { check } from './compare.ts';
import { found, type Streams } from './streams.ts';
import { Violation, type World } from './world.ts';

const MAX_CALM_EVENTS = 60_000;
/** Who takes something in again, who waits for it, and who shares a version that ends, look once a second. */
const MAX_WAITING_EVENTS = 3 * MAX_CALM_EVENTS;
/** A start that dies of poison did its work in vain. */
const DEATH_EVENTS = 2_000;
/** Who dies without end is not live. */
const MOST_DEATHS = 100;

/** Until what is to be taken in again is: what was kept back counts from there on. */
export async function untilTakenIn(world: World): Promise<number> {
  const { scheduler } = world;
  for (let events = 0; events < MAX_CALM_EVENTS; events += 1) {
    if (world.failure !== null) throw world.failure;
    if (world.exclusion?.isAwaited !== true) return events;
    if (!(await scheduler.step())) scheduler.advance(1);
  }
  throw new Violation(`${world.stuck} was never taken in again`);
}

/** Until every task of every process has promised all up to `endMs`, and all of it is in the log and in the sink. */
export async function settle(world: World, endMs: number, makesRecords: boolean): Promise<number> {
  const { scheduler, log } = world;
  scheduler.advance(Math.max(0, endMs + 1 - scheduler.nowMs));
  let events = 0;
  const isWaiting = world.exclusion !== null || (world.isShared && world.willCut);
  const most =
    (isWaiting ? MAX_WAITING_EVENTS : MAX_CALM_EVENTS) +
    DEATH_EVENTS * Math.min(world.deaths.length, MOST_DEATHS);
  for (; events < most; events += 1) {
    if (world.failure !== null) throw world.failure;
    if (!(await scheduler.step())) scheduler.advance(1);
    // Records that wait are what makes the processes ask for the ticks that move everything past the end.
    if (makesRecords && events % 1_000 === 0) for (const key of ['0', '1', '2', '3']) world.make(key);
    if (events % 100 === 0 && isSettled(world, endMs)) return events;
  }
  const late = world.processes.flatMap((process) =>
    (process.processing?.tasks ?? [])
      .filter(({ boundMs }) => boundMs <= endMs)
      .map(
        (task) =>
          `p${process.index} ${task.writer} at ${task.boundMs - endMs}, waits for ${JSON.stringify(task.blocked())}`,
      ),
  );
  throw new Violation(
    `not live after ${events} calm events at ${log.scheduler.nowMs - endMs}: ${late.join('; ') || 'the sink'}`,
  );
}

function isSettled(world: World, endMs: number): boolean {
  const isFolded = world.processes.every(
    ({ processing }) => processing?.tasks.every(({ boundMs }) => boundMs > endMs) === true,
  );
  if (!isFolded) return false;
  const streams = check(() => found(world.log));
  if (!isPromised(world, streams, endMs)) return false;
  const wanted = [...streams]
    .filter(([name]) => name.startsWith('fin/'))
    .reduce((sum, [, lines]) => sum + lines.length, 0);
  return world.database.rows.length >= wanted;
}

/** Every writer has said in the log that it is past the end, and what it says that it wrote is there. */
function isPromised(world: World, streams: Streams, endMs: number): boolean {
  const { log, stuck } = world;
  const graph = world.graphOf(world.versions().length);
  const missing = new Set(
    graph
      .tasks()
      .map(taskName)
      .filter((name) => name !== stuck),
  );
  for (const { controlTopic } of graph.nodes) {
    for (const { value } of log.partition(controlTopic, 0).records) {
      const tick = readControlTick(value);
      if (tick === null || tick.logTimeMs <= endMs) continue;
      const isThere = Object.entries(tick.sequences).every(
        ([name, sequence]) => (streams.get(`${name}/${tick.writer}`)?.length ?? 0) >= sequence,
      );
      if (isThere) missing.delete(tick.writer);
    }
  }
  return missing.size === 0;
}
