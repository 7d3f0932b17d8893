/** A world of processes of the real engine, of a sink outside, and of what goes wrong with them. */
import { type ErrorCode, isPipelineError } from '#pipeline/errors.ts';
import { fencesOf, type Version } from '#pipeline/plan/versions.ts';
import type { Skip } from '#pipeline/poison/skips.ts';
import { startDelivery } from '#pipeline/runtime/delivery.ts';
import { type Graph, taskName } from '#pipeline/runtime/graph.ts';
import { silentLog } from '#pipeline/telemetry/log.ts';
import { silentMetrics } from '#pipeline/telemetry/metrics.ts';
import type { Exclusion } from './exclusion.ts';
import { watchFooting } from './footing.ts';
import { forceInWorld, writeAsZombie } from './forced.ts';
import { danger, type Hazard, isHazard } from './hazard.ts';
import { CALM, SimulatedLog } from './log.ts';
import type { Value } from './logic.ts';
import { decide, fingerprintOf, readSkips, readVersions, unforced } from './plan-log.ts';
import { type SimulatedProcess, STRIKE } from './process.ts';
import { type Owner, Scheduler, simulatedClock, WORLD } from './scheduler.ts';
import { createSink, type Database } from './sink.ts';
import { a, b, facts, fin, graphs, planTopic, serde } from './topology.ts';

/** Something that may never be so. */
export class Violation extends Error {}

const START_MS = 1_000;

export class World {
  readonly scheduler: Scheduler;
  readonly log: SimulatedLog;
  /** Its plan is that of another world, and speaks of offsets there. */
  readonly isCopy: boolean;
  readonly processes: SimulatedProcess[] = [];
  readonly database: Database = { rows: [], positions: [], resume: [] };
  sinkOwners: Owner[] = [];
  failure: Violation | null = null;
  /** Of the first failure of a process. */
  code: ErrorCode | null = null;
  /** Tasks are shared by the processes, and move between them. */
  isShared = false;
  /** Another version will begin. */
  willCut = false;
  /** The cut will be forced. */
  willForce = false;
  /** Something will stand still; null: nothing will. */
  exclusion: Exclusion | null = null;
  kills = 0;
  rebalances = 0;
  writes = 0;
  made = 0;
  /** Records that tasks took from memory. */
  hops = 0;
  /** Log times at which something killed the process that folded it. */
  readonly deaths: number[] = [];

  /** `past`: a world whose raw records, facts and ticks this one begins with, and whose time. */
  constructor(seed: number, past: World | null = null) {
    this.isCopy = past !== null;
    this.scheduler = new Scheduler(seed, past?.scheduler.nowMs ?? START_MS);
    this.log = new SimulatedLog(this.scheduler);
    for (const graph of graphs) {
      for (const { name, layer, partitions } of graph.topics)
        this.log.create(name, partitions, layer !== 'derived');
      for (const [name, { partitions }] of graph.engineTopics) this.log.create(name, partitions, false);
    }
    for (const [name, partitions] of past?.log.topics ?? []) {
      for (const [partition, { isAppendTime, records }] of partitions.entries())
        if (isAppendTime) this.log.partition(name, partition).records.push(...records.map(unforced));
    }
    if (past === null) decide(this.log, 'genesis', 1);
    watchFooting(this.log, (message) => {
      this.failure ??= new Violation(message);
    });
  }

  /** What is excluded is excluded from the version that began. */
  graphOf(epoch: number): Graph {
    return (this.exclusion === null ? graphs[epoch - 1] : null) ?? graphs[0];
  }
  fingerprintOf(epoch: number): string {
    return fingerprintOf(this.exclusion === null ? epoch : 1);
  }

  /** See `Exclusion`. */
  get stuck(): string | null {
    return this.exclusion?.stuck ?? null;
  }

  /** The versions of the plan, as who starts now reads them. */
  versions(): readonly Version[] {
    return readVersions(this.log);
  }

  skips(): readonly Skip[] {
    return readSkips(this.log);
  }

  /** From now on, logic that does this kills its process; of some processes it does not. */
  endanger(hazard: Hazard | null, spared: readonly SimulatedProcess[] = []): void {
    danger.strikes = (logic, value, moment) => {
      if (!isHazard(hazard, logic, value, moment)) return false;
      const { present } = this.scheduler;
      const process = this.processes.find(({ owner }) => owner === present);
      if (process === undefined || spared.includes(process)) return false;
      this.deaths.push(moment.logTimeMs);
      this.kill(process, true);
      return true;
    };
  }

  /** Version 2 begins. Decided twice, now and then: the first holds. */
  cut(): void {
    const { random } = this.scheduler;
    if (random.chance(0.2)) this.log.partition(planTopic.name, 0).skewMs = random.between(-12, 12);
    for (let times = random.pick([1, 1, 2]); times > 0; times -= 1) decide(this.log, 'cut', 2);
    for (const process of this.processes.slice(1)) if (random.chance(0.5)) this.kill(process);
  }

  /** The cut is forced, whatever runs. Now and then version 1 runs no more when it is. */
  force(onDone = () => {}): void {
    if (this.versions().length === 1) return;
    const { random } = this.scheduler;
    const old = this.#membersOf(1);
    const gone = random.chance(0.3) ? old : [];
    for (const process of gone) {
      process.kill();
      process.isGone = true;
    }
    // What wakes up later does what it was about to do.
    for (const { owner } of old) if (random.chance(0.6)) this.pause(owner, random.between(10, 200));
    forceInWorld(this, 'now', () => {
      onDone();
      for (let times = random.between(0, 4); times > 0; times -= 1)
        this.scheduler.after(random.between(0, 200), WORLD, () => writeAsZombie(this));
      for (const process of gone) {
        process.isGone = false;
        this.goOver(process, 2);
        process.start();
      }
    });
  }

  fail(error: unknown, owner: Owner): void {
    if (owner.isDead) return;
    if (isPipelineError(error)) this.code ??= error.code;
    this.failure ??= new Violation(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }

  startSink(): void {
    const owner: Owner = { isDead: false, isPaused: false };
    this.sinkOwners.push(owner);
    const { scheduler, log } = this;
    const sink = createSink(this.database, scheduler, owner, () => log.faults.delayMs);
    void startDelivery({
      name: 'sink',
      sink,
      inputs: [fin],
      kafka: log.client(owner),
      serde,
      clock: simulatedClock(scheduler, owner, 0),
      log: silentLog,
      metrics: silentMetrics,
      physicalName: (topic) => topic,
      fences: this.isCopy ? new Map() : fencesOf(this.versions()),
    }).then(
      (delivery) => void delivery.failed.then((error) => this.fail(error, owner)),
      (error: unknown) => this.fail(error, owner),
    );
  }

  /** Kills a process at a moment that matters, now and then. */
  strikes(process: SimulatedProcess, probability = STRIKE): boolean {
    if (this.log.faults === CALM || !this.scheduler.random.chance(probability)) return false;
    this.kill(process);
    return true;
  }

  /** One more fact enters; with a key, one that goes through all stages. */
  make(given?: string): void {
    const { random } = this.scheduler;
    this.made += 1;
    const topic = given === undefined ? random.pick([a, a, b, facts]) : a;
    const key = given ?? String(random.below(9));
    const value: Value = {
      kind: 'x',
      number: this.made,
      hash: random.below(1 << 30),
      eventTimeMs: this.scheduler.nowMs - random.pick([0, 1, 2, 5, 30]),
    };
    const partition = topic === a ? Number(key) % 2 : 0;
    // Leaders move, and their clocks differ.
    if (given === undefined && random.chance(0.2))
      this.log.partition(topic.name, partition).skewMs = random.between(-12, 12);
    if (this.log.partition(topic.name, partition).isStuck) return;
    this.log.append(topic.name, partition, {
      timestampMs: 0,
      key: Buffer.from(key),
      value: serde.encode(topic, value),
      headers: [],
    });
  }

  #membersOf(epoch: number): readonly SimulatedProcess[] {
    return this.processes.filter((process) => process.epoch === epoch);
  }

  /** A process that is down starts as the next version. In a group, the others get what it had. */
  goOver(process: SimulatedProcess, next: number): void {
    if (!this.isShared) {
      process.epoch = next;
      return;
    }
    const groups = new Set([process.epoch, next - 1, next]);
    process.epoch = next;
    process.tasks = new Set();
    for (const epoch of groups) this.giveAll(epoch);
  }

  /** Somebody in the group of a version gets each task that nobody there has. */
  giveAll(epoch: number): void {
    const members = this.#membersOf(epoch);
    if (members.length === 0) return;
    const shares = new Map(members.map((member) => [member, new Set(member.tasks)]));
    for (const name of this.graphOf(epoch).tasks().map(taskName)) {
      if (name === this.stuck) continue;
      if (members.every(({ tasks }) => !tasks.has(name)))
        shares.get(this.scheduler.random.pick(members))?.add(name);
    }
    for (const [member, share] of shares) if (share.size > member.tasks.size) member.share(share);
  }

  /** Some tasks get other owners, now and then two; the old ones learn of it before or after the new. */
  rebalance(): void {
    const { random } = this.scheduler;
    const { epoch } = random.pick(this.processes);
    const members = this.#membersOf(epoch);
    const shares = members.map(({ tasks }) => new Set(tasks));
    // Often the same few, so that they come back to where they were.
    const movable = this.graphOf(epoch)
      .tasks()
      .map(taskName)
      .filter((name) => name !== this.stuck)
      .slice(0, random.pick([2, 100]));
    for (let moves = random.between(1, 4); moves > 0; moves -= 1) {
      const name = random.pick(movable);
      for (const share of shares) share.delete(name);
      for (let owners = random.pick([1, 1, 1, 2]); owners > 0; owners -= 1) random.pick(shares).add(name);
    }
    for (const [index, process] of members.entries()) process.share(shares[index] ?? new Set());
    if (members.length > 1) this.rebalances += 1;
  }

  disturb(): void {
    const { random } = this.scheduler;
    if (this.isShared && random.chance(0.5)) {
      this.rebalance();
      return;
    }
    const choice = random.next();
    if (choice < 0.2) {
      const partitions = random.pick([...this.log.topics.values()]);
      random.pick(partitions).speed = random.pick([1, 1, 1, 0.3, 0.1]);
      return;
    }
    if (choice < 0.3) {
      const owner = random.pick(this.sinkOwners);
      if (random.chance(0.5)) this.pause(owner);
      else {
        owner.isDead = true;
        this.sinkOwners = this.sinkOwners.filter((other) => other !== owner);
        this.startSink();
      }
      return;
    }
    const process = random.pick(this.processes);
    if (random.chance(0.65)) this.kill(process);
    else this.pause(process.owner);
  }

  /** It has found out that its version is over. */
  endOld(process: SimulatedProcess, owner: Owner): void {
    if (process.owner === owner) this.kill(process);
  }

  /** It comes back some time later. */
  kill(process: SimulatedProcess, keepsDisk = false): void {
    if (process.owner.isDead) return;
    process.kill(keepsDisk);
    this.kills += 1;
    this.scheduler.after(this.scheduler.random.between(0, 20), WORLD, () => {
      if (!process.owner.isDead || process.isGone) return;
      // It may be started as the new version before the old one has ended anywhere: it waits for it.
      const next = this.versions().length;
      const isSpare = this.isShared ? this.#membersOf(process.epoch).length > 1 : process.index > 0;
      if (isSpare && process.epoch < next && this.scheduler.random.chance(0.5)) this.goOver(process, next);
      process.start();
    });
  }

  calm(): void {
    this.log.faults = CALM;
    if ((this.versions().at(-1)?.forced.length ?? 0) > 0 && this.scheduler.random.chance(0.5)) {
      for (const process of this.processes) process.kill();
      for (let times = 3; times > 0; times -= 1) writeAsZombie(this);
    }
    for (const partitions of this.log.topics.values()) {
      for (const partition of partitions) {
        partition.speed = 1;
        partition.skewMs = 0;
      }
    }
    for (const owner of [...this.sinkOwners, ...this.processes.map((process) => process.owner)])
      this.#resume(owner);
    for (const process of this.processes) if (process.owner.isDead && !process.isGone) process.start();
  }

  pause(owner: Owner, forMs = this.scheduler.random.between(1, 60)): void {
    owner.isPaused = true;
    this.scheduler.after(forMs, WORLD, () => this.#resume(owner));
  }
  #resume(owner: Owner): void {
    owner.isPaused = false;
    this.scheduler.release();
  }
}
