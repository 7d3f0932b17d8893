/** One task of the driver through all its lives: it folds, takes checkpoints, is lost, and comes back. */
import { PipelineError } from '#pipeline/errors.ts';
import { writerName } from '#pipeline/merge/position.ts';
import { type ChangelogWriter, checkpoint } from '#pipeline/runtime/checkpoint.ts';
import type { GraphNode, TaskId } from '#pipeline/runtime/graph.ts';
import { DEFAULT_LIMITS } from '#pipeline/runtime/limits.ts';
import type { Task } from '#pipeline/runtime/task.ts';
import { Disk, restoreDisk } from './disk.ts';
import { FINGERPRINT, feed, openCopy, openTask, type Sent, type World } from './open.ts';
import { createShadow, type Shadow } from './shadow.ts';

/** How far a checkpoint came: nothing of it, its outputs are in the log, its changelog too, its local state too. */
export type CheckpointStageName = 'nothing' | 'outputs' | 'changelog' | 'local';

/** Steps in one go after which a task is taken to be in a loop. */
const MAX_STEPS = 200_000;
const TURN = 1_000;

/** From one start to the next. */
interface Life {
  readonly task: Task;
  readonly changelog: ChangelogWriter;
  readonly shadow: Shadow | null;
  /** What it wrote and the log does not have yet. */
  readonly sent: Sent[];
}

export class DriverTask {
  readonly id: TaskId;
  readonly node: GraphNode;
  /** Also the name of the writer. */
  readonly name: string;
  /** What it writes stays in its producer. */
  isHeld = false;
  readonly #world: World;
  readonly #isStrict: boolean;
  #lives = 0;
  #disk = new Disk();
  #life: Life;

  constructor(options: { world: World; id: TaskId; node: GraphNode; isStrict: boolean }) {
    const { id, node } = options;
    this.id = id;
    this.node = node;
    this.name = writerName(id.subTopology, id.partition);
    this.#world = options.world;
    this.#isStrict = options.isStrict;
    this.#life = this.#begin();
  }

  get task(): Task {
    return this.#life.task;
  }

  /** Loses all but the disk, or that too, and begins again with what the changelog adds. */
  reopen(keepsDisk: boolean): void {
    if (!keepsDisk) this.#disk = new Disk();
    this.isHeld = false;
    this.#life = this.#begin();
  }

  #begin(): Life {
    const { log, metrics } = this.#world;
    const { id, node } = this;
    const topic = node.changelogTopic;
    const disk = this.#disk;
    const records = log.records(topic, id.partition);
    restoreDisk({ disk, place: `${topic}/${id.partition}`, records, fingerprint: FINGERPRINT });
    const sent: Sent[] = [];
    const options = { world: this.#world, id, node, disk };
    const task = openTask({ ...options, send: (one) => sent.push(one) }, metrics);
    this.#lives += 1;
    const changelog: ChangelogWriter = {
      topic,
      producer: { append: (name, partition, entry) => log.append(name, partition, entry) },
      instance: `driver-${this.#lives}`,
      lastStep: task.step,
      groups: 0,
      bytesSinceSnapshot: 0,
      maxRecordBytes: DEFAULT_LIMITS.changelogRecordBytes,
    };
    return { task, changelog, sent, shadow: this.#isStrict ? createShadow(options) : null };
  }

  /** Sees what is new in the log. */
  feed(): void {
    const { task } = this.#life;
    feed(task, this.#world.log);
    for (const promise of this.#world.promises.values()) task.acceptControl(promise);
  }

  /** Folds all that can be folded; returns how many records and timers. */
  work(): number {
    const { task, shadow, sent } = this.#life;
    for (let count = 0; ; ) {
      const before = sent.length;
      const folded = task.work(shadow === null ? TURN : 1);
      if (folded === 0) return count;
      shadow?.follow(task, sent.slice(before));
      count += folded;
      if (count < MAX_STEPS) continue;
      throw new PipelineError(
        'INVARIANT_BROKEN',
        `${this.name}: expected an end, found ${count} records and timers in one go; does a timer set itself again at a time that has passed?`,
      );
    }
  }

  /** The log gets what the producer has. */
  deliver(): void {
    for (const { topic, partition, entry } of this.#life.sent.splice(0))
      this.#world.log.append(topic, partition, entry);
  }

  /** Takes a checkpoint, up to a stage; whoever stops before the last one must open the task again. */
  checkpoint(until: CheckpointStageName): void {
    if (until === 'nothing') return;
    // All outputs are acknowledged, also those that were held.
    this.deliver();
    const { task, changelog, shadow } = this.#life;
    const stages = checkpoint(task, changelog);
    for (let next = stages.next(); next.done !== true; next = stages.next()) {
      const stage = next.value;
      if (stage.wait === 'written') {
        this.#disk.write(stage.operations);
        for (const [first, end] of stage.dropped) this.#disk.clear(first, end);
      }
      if (stage.name === until && until !== 'local') return;
    }
    if (until === 'local') shadow?.compare(this.#disk);
  }

  /** The whole state as of the last step, in text: what a restart would come to. */
  present(): Disk {
    const { task, shadow } = this.#life;
    if (shadow !== null) return shadow.disk;
    const { id, node } = this;
    const disk = new Disk(this.#disk);
    const copy = openCopy({ world: this.#world, id, node, disk, send: () => {} }, task);
    while (copy.task.step < task.step) {
      if (!copy.step())
        throw new PipelineError('INVARIANT_BROKEN', `${this.name}: cannot be brought up again`);
    }
    copy.save();
    return disk;
  }
}
