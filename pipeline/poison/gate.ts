/** Stands before the logic of a task: passes over what the plan says, and marks what is about to be folded while it is searched. */
import { PipelineError } from '#pipeline/errors.ts';
import { digestOf, type Skip, skipName } from './skips.ts';

/** What was about to be folded. */
export interface Mark extends Skip {
  /** `topic/partition` -> last sequence that the task had written before the step. */
  readonly sequences: Readonly<Record<string, number>>;
}

/** Where marks go while a task is searched. Written when the call returns: the process may be gone after it. */
export interface Marker {
  before(mark: Mark): void;
  /** It was folded, whatever came of it. */
  after(): void;
}

export interface GateOptions {
  readonly writer: string;
  /** False: a replay of the whole log, whose steps are not those of the plan. */
  readonly isLive: boolean;
  /** What a checkpoint says was passed over. */
  readonly skipped: readonly string[];
  /** Where the task stands between two steps. */
  readonly at: () => Pick<Mark, 'step' | 'sequences'>;
}

export class Gate {
  /** Something is to be passed over or marked; while it is not, nothing need be asked. */
  isActive = false;
  readonly #options: GateOptions;
  /** What may still come, by name. A timer that is set again for a time that is over fires again at the same log time. */
  readonly #coming = new Map<string, Skip>();
  #places = new Set<string>();
  readonly #skipped: Set<string>;
  /** Passed over in the present step. */
  #present: string[] = [];
  #marker: Marker | null = null;
  /** As it was before the present step; null: nothing was marked in it. */
  #before: Pick<Mark, 'step' | 'sequences'> | null = null;

  constructor(options: GateOptions) {
    this.#options = options;
    this.#skipped = new Set(options.skipped);
  }

  /** Names of what was passed over, in order; for the checkpoint. */
  get skipped(): readonly string[] {
    return [...this.#skipped];
  }

  /**
   * The plan passes over something; of another task: nothing happens. Throws STREAM_FORKED when this task has folded it:
   * then it made another stream than those who did not.
   */
  learn(skip: Skip): void {
    const { writer, isLive, at } = this.#options;
    const name = skipName(skip);
    if (skip.writer !== writer) return;
    if (isLive && at().step > skip.step && !this.#skipped.has(name))
      throw new PipelineError(
        'STREAM_FORKED',
        `${skip.place}: the plan passes over it in ${writer}, and this process, or the state that it has, folded it: what ${writer} wrote from log time ${skip.logTimeMs} on may be of two streams; stop this process, and compare with baleen replay`,
      );
    this.#coming.set(name, skip);
    this.#update();
  }

  /** Marks what comes from now on; null: no more. */
  mark(marker: Marker | null): void {
    this.#marker = marker;
    this.#update();
  }

  /** Before logic is called. True: it must not be, and what it was to handle is put aside. */
  enter(
    processor: string,
    place: string,
    logTimeMs: number,
    key: Buffer | null,
    value: Buffer | null,
  ): boolean {
    this.#forgetBefore(logTimeMs);
    const digest = digestOf(logTimeMs, key, value);
    if (this.#places.has(place)) {
      const name = skipName({ processor, place, digest });
      if (this.#coming.has(name)) {
        this.#present.push(name);
        return true;
      }
    }
    if (this.#marker === null) return false;
    this.#before ??= this.#options.at();
    const { writer } = this.#options;
    this.#marker.before({ writer, processor, place, logTimeMs, digest, ...this.#before });
    return false;
  }

  /** The step is folded, or (false) taken back. */
  leave(isFolded: boolean): void {
    if (this.#before !== null) {
      this.#before = null;
      this.#marker?.after();
    }
    if (this.#present.length === 0) return;
    if (isFolded) for (const name of this.#present) this.#skipped.add(name);
    this.#present = [];
  }

  /** Log time has gone on: what was to come earlier comes no more. */
  #forgetBefore(logTimeMs: number): void {
    const size = this.#coming.size;
    for (const [name, skip] of this.#coming) if (skip.logTimeMs < logTimeMs) this.#coming.delete(name);
    if (this.#coming.size < size) this.#update();
  }

  #update(): void {
    this.#places = new Set([...this.#coming.values()].map(({ place }) => place));
    this.isActive = this.#marker !== null || this.#coming.size > 0;
  }
}
