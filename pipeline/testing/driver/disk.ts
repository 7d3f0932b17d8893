/** Where a task of the driver keeps its state: the text that its folder would hold, and how the changelog brings it up. */
import { PipelineError } from '#pipeline/errors.ts';
import type { KafkaRecord } from '#pipeline/kafka/types.ts';
import { readCheckpoint } from '#pipeline/runtime/checkpoint.ts';
import { LAST_KEY, type WriteOperation } from '#pipeline/state/backend.ts';
import { applicable, GroupAssembler, withMeta } from '#pipeline/state/changelog.ts';
import { META_KEY } from '#pipeline/state/task-state.ts';

/** Text whose order by code units is the order of the UTF-8 bytes of `key`. */
const bytesOf = (key: string): string => Buffer.from(key).toString('latin1');

/** Entries in the order of the UTF-8 bytes of their keys. */
export class Disk {
  readonly #texts: Map<string, string>;
  readonly #keys: { readonly bytes: string; readonly key: string }[];

  /** Empty, or a copy. */
  constructor(from?: Disk) {
    this.#texts = new Map(from === undefined ? [] : from.#texts);
    this.#keys = from === undefined ? [] : [...from.#keys];
  }

  get(key: string): string | undefined {
    return this.#texts.get(key);
  }

  write(operations: Iterable<WriteOperation>): void {
    for (const { key, value } of operations) {
      const isThere = this.#texts.has(key);
      if (value === null) {
        if (isThere) this.#keys.splice(this.#place(bytesOf(key)), 1);
        this.#texts.delete(key);
        continue;
      }
      const bytes = bytesOf(key);
      if (!isThere) this.#keys.splice(this.#place(bytes), 0, { bytes, key });
      // A folder holds UTF-8: half of a surrogate pair does not survive there.
      this.#texts.set(key, value.toWellFormed());
    }
  }

  /** Entries with keys in `[first, end)`. */
  scan(first = '', end = LAST_KEY): readonly (readonly [key: string, text: string])[] {
    return this.#keys
      .slice(this.#place(bytesOf(first)), this.#place(bytesOf(end)))
      .map(({ key }) => [key, this.#texts.get(key) ?? '']);
  }

  clear(first: string, end: string): void {
    this.write(this.scan(first, end).map(([key]) => ({ key, value: null })));
  }

  /** Index of the first key at or after these bytes. */
  #place(bytes: string): number {
    let [low, high] = [0, this.#keys.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#keys[middle]?.bytes ?? '') < bytes) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Brings a disk to the highest step of a changelog partition, as a start does. Throws CHANGELOG_BROKEN. */
export function restoreDisk(options: {
  disk: Disk;
  /** `topic/partition`, for messages. */
  place: string;
  records: readonly KafkaRecord[];
  fingerprint: string;
}): void {
  const { disk, place, records, fingerprint } = options;
  const stepOf = () => readCheckpoint(disk.get(META_KEY), fingerprint)?.step ?? 0;
  const groups = new GroupAssembler();
  for (const record of records) {
    const group = groups.add(record, `${place}/${record.offset}`);
    const how = group === null ? null : applicable(group, stepOf());
    if (group === null || how === null) continue;
    if (how === 'replace') disk.clear('', LAST_KEY);
    disk.write(withMeta(group));
  }
  if (stepOf() < groups.highest) {
    throw new PipelineError(
      'CHANGELOG_BROKEN',
      `${place}: expected groups that lead to step ${groups.highest}, found a way to step ${stepOf()} alone`,
    );
  }
}
