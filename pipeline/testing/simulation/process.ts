/** A process of the simulated world: the real engine, with what it is given and what becomes of it. */
import { isPipelineError } from '#pipeline/errors.ts';
import { tasksHere } from '#pipeline/plan/beginning.ts';
import { untilAtCut } from '#pipeline/plan/short.ts';
import type { NoteName, Notes } from '#pipeline/poison/notes.ts';
import { type TaskId, taskName } from '#pipeline/runtime/graph.ts';
import type { HopMode } from '#pipeline/runtime/hop.ts';
import { type Processing, startProcessing } from '#pipeline/runtime/processing.ts';
import type { StateBackend, WriteOperation } from '#pipeline/state/backend.ts';
import { createMemoryBackend } from '#pipeline/state/memory.ts';
import { unpackTexts } from '#pipeline/state/packed.ts';
import { silentLog } from '#pipeline/telemetry/log.ts';
import { type Metrics, silentMetrics } from '#pipeline/telemetry/metrics.ts';
import { type Owner, simulatedClock, WORLD } from './scheduler.ts';
import { serde } from './topology.ts';
import type { World } from './world.ts';

/** How often a process is killed at a moment that matters. */
export const STRIKE = 0.004;

/** Counts what was taken from memory, and nothing else. */
const countingHops = (world: World): Metrics => ({
  ...silentMetrics,
  add: (name, _labels, count = 1) => {
    if (name === 'hop_taken_records_total') world.hops += count;
  },
});

/** Entries of a task's disk; what is written survives its process. */
type Disk = Map<string, Map<string, string>>;

const physicalName = (topic: string): string => topic;
const never = new AbortController().signal;

export class SimulatedProcess {
  readonly world: World;
  readonly index: number;
  tasks: ReadonlySet<string>;
  readonly disk: Disk = new Map();
  readonly notes = new Map<NoteName, string>();
  starts = 0;
  /** It stays down until somebody says otherwise. */
  isGone = false;
  /** Of the version that it runs, or will when it starts again. */
  epoch = 1;
  owner: Owner = { isDead: true, isPaused: false };
  processing: Processing | null = null;
  /** Null: drawn at each start. */
  hop: HopMode | null = null;
  /** Null: drawn at each start. */
  checkpointMs: number | null = null;
  /** Null: drawn at each start. */
  maxWaitingBytes: number | null = null;

  constructor(world: World, index: number, tasks: ReadonlySet<string>) {
    this.world = world;
    this.index = index;
    this.tasks = tasks;
  }

  start(): void {
    const { world, index } = this;
    const { random } = world.scheduler;
    this.starts += 1;
    const owner: Owner = { isDead: false, isPaused: false };
    this.owner = owner;
    const { epoch } = this;
    const genesis = {
      fingerprint: world.fingerprintOf(epoch),
      epoch,
      startOffsets: new Map(),
      versions: world.versions(),
      skips: world.skips(),
    };
    // A member of a group is given its tasks once it has started.
    const own = world.isShared && random.chance(0.5) ? new Set<string>() : this.tasks;
    const kafka = world.log.client(owner, {
      onStored: (topic, isInPart) => this.#onStored(topic, isInPart, owner),
      speed: index === 0 ? 1 : random.pick([1, 1, 0.1]),
    });
    const clock = simulatedClock(world.scheduler, owner, random.between(-3, 3));
    void startProcessing({
      kafka,
      graph: world.graphOf(epoch),
      genesis,
      serde,
      clock,
      log: silentLog,
      metrics: countingHops(world),
      physicalName,
      openState: async (task) => this.#openDisk(task, owner),
      owns: (task) => own.has(taskName(task)),
      notes: this.#openNotes(owner),
      instance: `p${index}-${this.starts}`,
      lagGroup: null,
      hop: this.hop ?? random.pick(['on', 'on', 'mixed', 'off']),
      checkpointMs: this.checkpointMs ?? random.between(3, 40),
      tickIntervalMs: random.between(1, 20),
      limits: {
        snapshotBytes: random.pick([200, 2_000, 1_000_000]),
        turnRecords: random.pick([1, 1, 3, 12]),
        maxWaitingBytes: this.maxWaitingBytes ?? random.pick([60, 300, 1_000_000]),
        changelogRecordBytes: random.pick([50, 200, 100_000]),
        recentValues: random.pick([1, 3, 1_000]),
        // What hides a promise that is not repeated.
        recentTicks: world.willCut || world.exclusion !== null ? 100 : 0,
        searchMs: random.pick([0, 20, 1_000]),
      },
    }).then(
      (processing) => {
        if (owner.isDead) return;
        this.processing = processing;
        this.#assign();
        void processing.failed.then((error) => this.#fail(error, owner));
        const endAt = async (next: number): Promise<void> => {
          const shared = world.isShared ? tasksHere(world.graphOf(epoch), genesis) : [];
          if (await untilAtCut({ kafka, clock, physicalName, signal: never }, shared, next))
            this.#end(next, owner);
        };
        processing.ended.then(endAt).catch((error: unknown) => world.fail(error, owner));
      },
      (error: unknown) => this.#fail(error, owner),
    );
  }

  /** Who runs on after a forced cut ends as soon as it sees so. */
  #fail(error: Error | unknown, owner: Owner): void {
    const { world } = this;
    const isOver =
      (world.versions()[this.epoch]?.forced.length ?? 0) > 0 || world.willForce || world.exclusion !== null;
    if (isOver && isPipelineError(error, 'EPOCH_CLOSED')) world.endOld(this, owner);
    else world.fail(error, owner);
  }

  /** Other tasks run here from some moment on. */
  share(tasks: ReadonlySet<string>): void {
    this.tasks = tasks;
    const { scheduler } = this.world;
    scheduler.after(scheduler.random.between(0, 20), this.owner, () => this.#assign());
  }

  #assign(): void {
    void this.processing?.assign(
      this.world
        .graphOf(this.epoch)
        .tasks()
        .filter((task) => this.tasks.has(taskName(task))),
    );
  }

  /** `keepsDisk`: it dies of itself, and not with its machine. */
  kill(keepsDisk = false): void {
    this.owner.isDead = true;
    this.processing = null;
    if (keepsDisk) return;
    const { random } = this.world.scheduler;
    const fate = random.next();
    if (fate < 0.1) this.notes.clear();
    if (fate < 0.3) this.disk.clear();
    else if (fate < 0.5 && this.disk.size > 0) this.disk.delete(random.pick([...this.disk.keys()]));
  }

  /** A clean end; some time later the next version is started. Until then it passes its last promises on. */
  #end(next: number, owner: Owner): void {
    const { scheduler } = this.world;
    scheduler.after(scheduler.random.between(0, 30), WORLD, () => {
      if (owner.isDead) return;
      owner.isDead = true;
      this.processing = null;
      this.world.goOver(this, next);
      this.start();
    });
  }

  /** Between the changelog and the disk is the moment at which a checkpoint is in two places or in one. */
  #onStored(topic: string, isInPart: boolean, owner: Owner): void {
    if (topic.startsWith('changelog.') && !owner.isDead) this.world.strikes(this, isInPart ? 0.02 : STRIKE);
  }

  /** What is written is there at once, if somebody is there to write it. */
  #openNotes(owner: Owner): Notes {
    const { notes } = this;
    return {
      read: (name) => notes.get(name) ?? null,
      write: (name, text) => {
        if (!owner.isDead) notes.set(name, text);
      },
      remove: (name) => {
        if (!owner.isDead) notes.delete(name);
      },
    };
  }

  #openDisk(task: TaskId, owner: Owner): StateBackend {
    const { scheduler } = this.world;
    const name = taskName(task);
    const entries = this.disk.get(name) ?? new Map<string, string>();
    this.disk.set(name, entries);
    const memory = createMemoryBackend(entries);
    const delayMs = () => scheduler.random.between(0, this.world.log.faults.delayMs);
    // Whole or not at all, at some later moment; a process that dies before has not written.
    const write = (given: Iterable<WriteOperation>): Promise<void> => {
      const operations = [...given];
      return new Promise((resolve) => {
        scheduler.after(delayMs(), owner, () => {
          if (this.world.strikes(this)) return;
          memory.writeNow(operations);
          this.world.writes += 1;
          if (!this.world.strikes(this)) resolve();
        });
      });
    };
    return {
      ...memory,
      write,
      writePacked: (packed, operations) => write([...packed.flatMap(unpackTexts), ...operations]),
    };
  }
}
