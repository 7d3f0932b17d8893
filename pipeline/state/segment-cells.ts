/** The entries of one segment of a store: decoded values in memory over text in the backend. */
import type { StateBackend, WriteOperation } from './backend.ts';
import { wellFormed } from './byte-order.ts';
import { createKeyFilter, type KeyFilter } from './key-filter.ts';
import type { Codec, Segment } from './store.ts';

/** How to take back what the handler of the present record did, newest last. */
export type Journal = (() => void)[];

/** One entry in memory. */
interface Cell<V> {
  readonly key: string;
  /** Undefined: there is none, or it was deleted. */
  value: V | undefined;
  /** Written since the last capture. */
  isDirty: boolean;
  /** Captured, and perhaps not in the backend yet. */
  isFlushing: boolean;
  /** For how many values it counts; 1 until its text is known. */
  weight: number;
}

/** What the segments of a store share. */
export interface SegmentHost<V> {
  readonly codec: Codec<V>;
  readonly backend: Pick<StateBackend, 'get'>;
  readonly journal: Journal;
  /** For how many values one counts whose text has so many characters; at least 1. */
  weigh(chars: number): number;
  /** Called before a cell of this weight is added: may let others go. */
  makeRoom(weight: number): void;
  /** A cell has become so much heavier; lighter when negative. */
  grew(by: number): void;
  /** There is something to capture. */
  written(segment: SegmentCells<V>): void;
}

/**
 * Cells are recent, or older: what is asked for becomes recent, and each turn forgets the older ones that the backend holds.
 * Where the backend began empty, absence is known without asking it: a key is in memory, or has been forgotten and
 * stands in the filter, or is not there.
 */
export class SegmentCells<V> implements Segment<V> {
  readonly prefix: string;
  readonly #path: string;
  readonly #host: SegmentHost<V>;
  /** The backend held nothing of it at the start. */
  readonly #beganEmpty: boolean;
  #forgotten: KeyFilter | null = null;
  #recent = new Map<string, Cell<V>>();
  #older = new Map<string, Cell<V>>();
  /** Some may have been taken back since, or stand here twice. */
  #dirty: Cell<V>[] = [];
  #flushing: readonly Cell<V>[] = [];

  /** `path` comes before its keys in the backend, `prefix` is the end of it that is the segment's own. */
  constructor(host: SegmentHost<V>, options: { prefix: string; path: string; beganEmpty: boolean }) {
    this.#host = host;
    this.prefix = options.prefix;
    this.#path = options.path;
    this.#beganEmpty = options.beganEmpty;
  }

  get(given: string): V | undefined {
    const key = wellFormed(given);
    const cell = this.#recent.get(key) ?? this.#fromOlder(key);
    if (cell !== undefined) return cell.value;
    if (this.#isAbsent(key)) return undefined;
    const text = this.#text(key);
    const value = this.#decoded(text);
    const weight = this.#host.weigh(text?.length ?? 0);
    this.#keep({ key, value, isDirty: false, isFlushing: false, weight });
    return value;
  }

  peek(given: string): V | undefined {
    const key = wellFormed(given);
    const cell = this.#recent.get(key) ?? this.#older.get(key);
    if (cell !== undefined) return cell.value;
    return this.#isAbsent(key) ? undefined : this.#decoded(this.#text(key));
  }

  put(key: string, value: V): void {
    this.#set(wellFormed(key), value);
  }

  delete(key: string): void {
    this.#set(wellFormed(key), undefined);
  }

  /** Lets go of what was not asked for since the turn before. */
  turn(): void {
    const passed = this.#older;
    if (passed.size === 0 && this.#recent.size === 0) return;
    this.#older = this.#recent;
    this.#recent = new Map();
    for (const cell of passed.values()) {
      if (cell.isDirty || cell.isFlushing) this.#recent.set(cell.key, cell);
      else if (this.#beganEmpty && cell.value !== undefined) {
        this.#forgotten ??= createKeyFilter();
        this.#forgotten.add(cell.key);
      }
    }
  }

  /** Takes what was written since the last capture; it becomes text each time it is taken from what this gives. */
  capture(): Iterable<WriteOperation> {
    const cells: Cell<V>[] = [];
    const values: (V | undefined)[] = [];
    for (const cell of this.#dirty) {
      if (!cell.isDirty) continue;
      cell.isDirty = false;
      cell.isFlushing = true;
      cells.push(cell);
      values.push(cell.value);
    }
    this.#dirty = [];
    this.#flushing = cells;
    const host = this.#host;
    const path = this.#path;
    return {
      *[Symbol.iterator]() {
        for (let i = 0; i < cells.length; i++) {
          const cell = cells[i];
          if (cell === undefined) continue;
          const value = values[i];
          const text = value === undefined ? null : host.codec.encode(value);
          const weight = host.weigh(text?.length ?? 0);
          host.grew(weight - cell.weight);
          cell.weight = weight;
          yield { key: path + cell.key, value: text };
        }
      },
    };
  }

  /** The captured values are in the backend. */
  settled(): void {
    for (const cell of this.#flushing) cell.isFlushing = false;
    this.#flushing = [];
  }

  #set(key: string, value: V | undefined): void {
    const { journal } = this.#host;
    const found = this.#recent.get(key) ?? this.#fromOlder(key);
    if (found === undefined) {
      const cell: Cell<V> = { key, value, isDirty: true, isFlushing: false, weight: 1 };
      this.#keep(cell);
      this.#noteDirty(cell);
      // What lies below knows the value before.
      journal.push(() => {
        cell.isDirty = false;
        this.#recent.delete(key);
        this.#older.delete(key);
      });
      return;
    }
    const { value: before, isDirty: wasDirty } = found;
    journal.push(() => {
      found.value = before;
      found.isDirty = wasDirty;
    });
    found.value = value;
    if (wasDirty) return;
    found.isDirty = true;
    this.#noteDirty(found);
  }

  #noteDirty(cell: Cell<V>): void {
    if (this.#dirty.length === 0) this.#host.written(this);
    this.#dirty.push(cell);
  }

  #fromOlder(key: string): Cell<V> | undefined {
    const cell = this.#older.get(key);
    if (cell === undefined) return undefined;
    this.#older.delete(key);
    this.#keep(cell);
    return cell;
  }

  #keep(cell: Cell<V>): void {
    this.#host.makeRoom(cell.weight);
    this.#recent.set(cell.key, cell);
  }

  #isAbsent(key: string): boolean {
    return this.#beganEmpty && (this.#forgotten === null || !this.#forgotten.mayHold(key));
  }

  #text(key: string): string | undefined {
    return this.#host.backend.get(this.#path + key);
  }

  #decoded(text: string | undefined): V | undefined {
    return text === undefined ? undefined : this.#host.codec.decode(text);
  }
}
