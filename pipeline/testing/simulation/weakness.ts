/**
 * Something kills one of two copies alone, as where one has less memory. Nothing may be passed over that the log shows as
 * folded; and where the decision and the other copy cross, one of them stops with a word.
 */
import type { ErrorCode } from '#pipeline/errors.ts';
import { taskName } from '#pipeline/runtime/graph.ts';
import type { Hazard } from './hazard.ts';
import { SimulatedProcess } from './process.ts';
import { decodeValue, graphs, mid, planTopic } from './topology.ts';
import { Violation, World } from './world.ts';

const RECORDS = 8;
const MAX_EVENTS = 6_000;
/** Until who is slow has read what shows that two streams cross. */
const MAX_CROSSING_EVENTS = 60_000;
/** By who finds that two streams cross: the one that decides, the one that folded it, or a reader of both. */
const SAID: ReadonlySet<ErrorCode> = new Set([
  'SKIP_REFUSED',
  'STREAM_FORKED',
  'ORDER_BROKEN',
  'SEQUENCE_GAP',
]);

/** Throws a Violation. */
export async function runWeakness(seed: number): Promise<void> {
  const world = new World(seed);
  const { scheduler, log } = world;
  const { random } = scheduler;
  const all = new Set(graphs[0].tasks().map(taskName));
  const [weak, strong] = [new SimulatedProcess(world, 0, all), new SimulatedProcess(world, 1, all)];
  // What it folds stands in the log, and in no checkpoint.
  strong.checkpointMs = 1_000_000;
  world.processes.push(weak, strong);
  const number = random.between(1, RECORDS);
  const hazard: Hazard = { logic: 'normalize', topic: 'a', number, oneIn: 1 };
  world.endanger(hazard, [strong]);

  const isFolded = (): boolean =>
    (log.topics.get(mid.name) ?? []).some(({ records }) =>
      records.some(({ value }) => {
        const { kind, number: made } = decodeValue(mid.name, value ?? Buffer.alloc(0));
        return kind === 'n' && made === number;
      }),
    );
  let isDecided = false;
  // The look at the log and the decision are two requests: what comes between them is told by who stops.
  let wasFoldedAtLook: boolean | null = null;
  log.onLook = (topic) => {
    if (topic === mid.name) wasFoldedAtLook = isFolded();
  };
  log.onAppend((topic) => {
    if (topic !== planTopic.name || isDecided || world.skips().length === 0) return;
    isDecided = true;
    if (wasFoldedAtLook === null) world.failure ??= new Violation('passed over without a look at the log');
    else if (wasFoldedAtLook)
      world.failure ??= new Violation('passed over, although the log shows that it was folded');
  });

  weak.start();
  strong.start();
  for (let made = 0; made < RECORDS; made += 1) {
    world.make(String(random.below(4)));
    for (let events = random.below(60); events > 0; events -= 1) await scheduler.step();
    // Often it falls asleep with the record in its hands, and wakes when all is decided.
    if (world.made === number && random.chance(0.7)) world.pause(strong.owner, random.between(1, 400));
  }
  if (random.chance(0.7)) log.partition(planTopic.name, 0).speed = random.pick([0.1, 0.03]);
  const isCrossing = (): boolean => world.skips().length > 0 && isFolded();
  const most = (): number => (isCrossing() ? MAX_CROSSING_EVENTS : MAX_EVENTS);
  for (let events = 0; (events < MAX_EVENTS || events < most()) && world.failure === null; events += 1) {
    if (events % 500 === 499) world.make(String(random.below(4)));
    // In the end everybody has read everything.
    if (events === MAX_EVENTS / 2) log.partition(planTopic.name, 0).speed = 1;
    if (!(await scheduler.step())) scheduler.advance(1);
  }
  if (world.code !== null && SAID.has(world.code)) return;
  if (world.failure !== null) throw world.failure;
  if (isCrossing()) throw new Violation('passed over by one copy, folded by the other, and nobody said so');
}
