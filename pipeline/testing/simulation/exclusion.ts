/** Something stands still. It is excluded, that cut is forced for all that cannot come there, and it may be taken in again. */
import { taskName } from '#pipeline/runtime/graph.ts';
import { forceInWorld } from './forced.ts';
import { decideWithout } from './plan-log.ts';
import { graphs } from './topology.ts';
import { Violation, type World } from './world.ts';

const PARTITIONS = ['a/0', 'a/1', 'b/0', 'facts/0'];

export class Exclusion {
  readonly #world: World;
  readonly #name: string;
  /** What is yet to come, and after how many events. */
  readonly #steps: { readonly atEvents: number; readonly take: () => void }[];
  /** A task that nobody runs, or a partition that nobody can write to; null: not yet, or not any more. */
  stuck: string | null = null;
  #isForced = false;
  #isWantedBack = false;

  constructor(world: World, limit: number) {
    const { random } = world.scheduler;
    this.#world = world;
    this.#name = random.pick([random.pick(graphs[0].tasks().map(taskName)), random.pick(PARTITIONS)]);
    const stuckAt = random.between(1, limit);
    const excludedAt = stuckAt + random.between(1, 400);
    const forcedAt = excludedAt + random.between(1, 400);
    this.#steps = [
      { atEvents: stuckAt, take: () => this.#stick() },
      { atEvents: excludedAt, take: () => decideWithout(world.log, 2, [this.#name]) },
      { atEvents: forcedAt, take: () => this.#force() },
    ];
    if (random.chance(0.6))
      this.#steps.push({ atEvents: forcedAt + random.between(1, 800), take: () => this.#wantBack() });
  }

  /** Does what is due by so many events. */
  at(events: number): void {
    for (let next = this.#steps[0]; next !== undefined && next.atEvents <= events; next = this.#steps[0]) {
      this.#steps.shift();
      next.take();
    }
  }

  /** It is to be taken in again, as soon as all are at the cut where it was left out. */
  get isAwaited(): boolean {
    return this.#isWantedBack && this.stuck !== null;
  }

  #stick(): void {
    const { scheduler, log, processes } = this.#world;
    const { random } = scheduler;
    // So that something of it is left that is not folded.
    for (let more = random.between(0, 4); more > 0; more -= 1) this.#world.make();
    for (const partition of [...log.topics.values()].flat()) if (random.chance(0.3)) partition.speed = 0.1;
    this.stuck = this.#name;
    this.#setStuck(true);
    for (const process of processes) {
      if (!process.tasks.has(this.#name)) continue;
      process.share(new Set([...process.tasks].filter((task) => task !== this.#name)));
      if (random.chance(0.5)) this.#world.kill(process);
    }
  }

  #force(): void {
    this.#world.force(() => {
      this.#isForced = true;
      if (this.#isWantedBack) this.#takeIn();
    });
  }

  #wantBack(): void {
    this.#isWantedBack = true;
    if (this.#isForced) this.#takeIn();
  }

  #takeIn(): void {
    const world = this.#world;
    this.stuck = null;
    this.#setStuck(false);
    decideWithout(world.log, 3, []);
    if (world.isShared) for (const epoch of [1, 2, 3]) world.giveAll(epoch);
    else for (const process of world.processes) process.share(new Set([...process.tasks, this.#name]));
    forceInWorld(world, 'last', () => {});
  }

  #setStuck(isStuck: boolean): void {
    const [topic = '', partition = ''] = this.#name.split('/');
    if (partition !== '') this.#world.log.partition(topic, Number(partition)).isStuck = isStuck;
  }
}

/** Only what was left out may come to the cut by force at which it is taken in again. */
export function checkTakenIn(world: World): void {
  const [, without, back] = world.versions();
  const forced = back?.forced.find((task) => without?.excluded.includes(task) === false);
  if (forced !== undefined) throw new Violation(`${forced} was forced, and could have come by itself`);
}
