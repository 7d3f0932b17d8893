/**
 * The changelog of a task: groups of writes, each from one step of the fold to another (engine rules, section 9).
 *
 * Copies and zombies of a task write to the same partition, interleaved. So a group is known by its instance and number,
 * counts only once its end marker and everything before it are there, and is applied by its steps, never by its place.
 *
 * A record of a group: header `group` = `instance;number;from;to;kind;index`, value = JSON of [[key, value | null], ...].
 * Its end: the same header, a header `end` = number of records before it, value = the checkpoint's contents.
 */
import { PipelineError } from '#pipeline/errors.ts';
import type { Entry, KafkaRecord } from '#pipeline/kafka/types.ts';
import type { WriteOperation } from './backend.ts';
import { META_KEY } from './task-state.ts';

const GROUP_HEADER = 'group';
const END_HEADER = 'end';

export interface GroupName {
  /** One start of one process. */
  readonly instance: string;
  readonly number: number;
  readonly from: number;
  readonly to: number;
  /** A snapshot replaces everything. */
  readonly kind: 'delta' | 'snapshot';
}

/** A complete group. */
export interface Group extends GroupName {
  readonly operations: readonly WriteOperation[];
  /** Contents of the checkpoint at `to`. */
  readonly meta: string;
  /** Offset of its first record. */
  readonly offset: number;
}

/** Records of a group, its end marker last. `operations` holds no meta: `meta` goes into the end marker. */
export function* encodeGroup(
  group: GroupName,
  operations: Iterable<WriteOperation>,
  options: { readonly meta: string; readonly logTimeMs: number; readonly maxRecordChars: number },
): Generator<Entry> {
  const { meta, logTimeMs, maxRecordChars } = options;
  const record = (index: number, value: string, end: readonly (readonly [string, Buffer])[] = []): Entry => {
    const { instance, number, from, to, kind } = group;
    const name = `${instance};${number};${from};${to};${kind};${index}`;
    return {
      timestampMs: logTimeMs,
      key: null,
      value: Buffer.from(value),
      headers: [[GROUP_HEADER, Buffer.from(name, 'latin1')], ...end],
    };
  };
  let index = 0;
  let texts: string[] = [];
  let chars = 0;
  for (const { key, value } of operations) {
    const text = JSON.stringify([key, value]);
    if (chars > 0 && chars + text.length > maxRecordChars) {
      yield record(index, `[${texts.join()}]`);
      index += 1;
      texts = [];
      chars = 0;
    }
    texts.push(text);
    chars += text.length;
  }
  if (texts.length > 0) {
    yield record(index, `[${texts.join()}]`);
    index += 1;
  }
  yield record(index, meta, [[END_HEADER, Buffer.from(String(index), 'latin1')]]);
}

interface Partial {
  readonly name: GroupName;
  readonly offset: number;
  readonly parts: Map<number, readonly WriteOperation[]>;
  end: { readonly count: number; readonly meta: string } | null;
}

/** Puts groups together as their records come by. */
export class GroupAssembler {
  readonly #open = new Map<string, Partial>();
  /** Instance -> its last complete group. It begins the next one only after that. */
  readonly #complete = new Map<string, number>();
  #highest = 0;

  /** Highest `to` of a complete group so far. */
  get highest(): number {
    return this.#highest;
  }

  /** Where the first group begins that is not complete yet; null: there is none. */
  get firstOpen(): number | null {
    let first: number | null = null;
    for (const { offset } of this.#open.values()) if (first === null || offset < first) first = offset;
    return first;
  }

  /** Highest `to` of the groups that began before `offset` and are not complete yet: a deletion there would cut them. */
  highestCut(offset: number): number {
    let highest = 0;
    for (const open of this.#open.values())
      if (open.offset < offset) highest = Math.max(highest, open.name.to);
    return highest;
  }

  /** The group that this record completes, or null. Throws CHANGELOG_BROKEN. */
  add(record: KafkaRecord, place: string): Group | null {
    const { name, index, end } = readGroupRecord(record, place);
    // A request sent again brings its records again: the first of each counts.
    if (name.number <= (this.#complete.get(name.instance) ?? 0)) return null;
    const id = `${name.instance};${name.number}`;
    let open = this.#open.get(id);
    if (open === undefined) {
      open = { name, offset: record.offset, parts: new Map(), end: null };
      this.#open.set(id, open);
    }
    const { parts, offset } = open;
    const value = record.value?.toString() ?? '';
    if (end !== null) open.end ??= { count: end, meta: value };
    else if (!parts.has(index)) parts.set(index, readOperations(value, place));
    if (open.end === null || parts.size < open.end.count) return null;
    this.#open.delete(id);
    this.#complete.set(name.instance, name.number);
    this.#highest = Math.max(this.#highest, name.to);
    const { count, meta } = open.end;
    const operations = Array.from({ length: count }, (_, at) => parts.get(at) ?? []).flat();
    return { ...name, operations, meta, offset };
  }
}

/** How a group changes a state at `step`; null: not at all. */
export function applicable(group: GroupName, step: number): 'apply' | 'replace' | null {
  if (group.kind === 'snapshot') return group.to > step ? 'replace' : null;
  return group.from <= step && step < group.to ? 'apply' : null;
}

/** The writes of a group with its contents. */
export const withMeta = (group: Group): readonly WriteOperation[] => [
  ...group.operations,
  { key: META_KEY, value: group.meta },
];

const PATTERN = /^([\w-]{1,64});(\d{1,15});(\d{1,15});(\d{1,15});(delta|snapshot);(\d{1,15})$/;

function readGroupRecord({ headers }: KafkaRecord, place: string) {
  const text = headers.find(([name]) => name === GROUP_HEADER)?.[1].toString('latin1') ?? '';
  const match = PATTERN.exec(text);
  if (match === null) throw broken(place, 'a header group as tasks write it', text.slice(0, 80) || 'none');
  const [, instance = '', number, from, to, kind, index] = match;
  const name: GroupName = {
    instance,
    number: Number(number),
    from: Number(from),
    to: Number(to),
    kind: kind === 'snapshot' ? 'snapshot' : 'delta',
  };
  const end = headers.find(([header]) => header === END_HEADER)?.[1].toString('latin1');
  if (end !== undefined && !/^\d{1,15}$/.test(end))
    throw broken(place, 'a number of records at the end of a group', end.slice(0, 80));
  return { name, index: Number(index), end: end === undefined ? null : Number(end) };
}

function readOperations(text: string, place: string): readonly WriteOperation[] {
  try {
    const pairs = JSON.parse(text) as readonly (readonly [string, string | null])[];
    return pairs.map(([key, value]) => ({ key, value }));
  } catch {
    throw broken(place, 'JSON of keys and values', text.slice(0, 80));
  }
}

const broken = (place: string, expected: string, found: string): PipelineError =>
  new PipelineError(
    'CHANGELOG_BROKEN',
    `${place}: expected ${expected}, found ${found}; something else wrote to the changelog: start with --fresh, or rebuild from the raw topics with baleen replay`,
  );
