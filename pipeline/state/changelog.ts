/**
 * The changelog of a task: groups of writes, each from one step of the fold to another (engine rules, section 9).
 *
 * Copies and zombies of a task write to the same partition, interleaved. So a group is known by its instance and number,
 * counts only once its end marker and everything before it are there, and is applied by its steps, never by its place.
 *
 * A record of a group: header `group` = `instance;number;from;to;kind;index`, value = packed writes (`packed.ts`).
 * Its end: the same header, a header `end` = number of records before it, value = the checkpoint's contents.
 */
import { PipelineError } from '#pipeline/errors.ts';
import type { Entry, KafkaRecord } from '#pipeline/kafka/types.ts';
import type { WriteOperation } from './backend.ts';
import { countPacked, createPacker, unpackTexts } from './packed.ts';
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
  /** Packed writes, in order. */
  readonly parts: readonly Buffer[];
  /** How many writes there are. */
  readonly count: number;
  /** Contents of the checkpoint at `to`. */
  readonly meta: string;
  /** Offset of its first record. */
  readonly offset: number;
}

/** Makes the records of one group out of its writes. */
export interface GroupEncoder {
  /** A record that is full; null: none is yet. */
  add(operation: WriteOperation): Entry | null;
  /** The rest, the end marker last. `meta`, the contents of the checkpoint, goes into that. */
  end(meta: string): readonly Entry[];
}

/** `maxRecordBytes`: of one record; a single larger write goes alone. */
export function createGroupEncoder(
  { instance, number, from, to, kind }: GroupName,
  { logTimeMs, maxRecordBytes }: { readonly logTimeMs: number; readonly maxRecordBytes: number },
): GroupEncoder {
  const packer = createPacker();
  let index = 0;
  const record = (value: Buffer, end: readonly (readonly [string, Buffer])[] = []): Entry => {
    const name = `${instance};${number};${from};${to};${kind};${index}`;
    if (end.length === 0) index += 1;
    return {
      timestampMs: logTimeMs,
      key: null,
      value,
      headers: [[GROUP_HEADER, Buffer.from(name, 'latin1')], ...end],
    };
  };
  return {
    add: (operation) => {
      const before = packer.sizeBytes;
      const added = packer.add(operation);
      return before > 0 && before + added > maxRecordBytes ? record(packer.take(before)) : null;
    },
    end: (meta) => {
      const rest = packer.sizeBytes > 0 ? [record(packer.take(packer.sizeBytes))] : [];
      return [...rest, record(Buffer.from(meta), [[END_HEADER, Buffer.from(String(index), 'latin1')]])];
    },
  };
}

/** Records of a group, its end marker last. `operations` holds no meta. */
export function* encodeGroup(
  group: GroupName,
  operations: Iterable<WriteOperation>,
  options: { readonly meta: string; readonly logTimeMs: number; readonly maxRecordBytes: number },
): Generator<Entry> {
  const encoder = createGroupEncoder(group, options);
  for (const operation of operations) {
    const full = encoder.add(operation);
    if (full !== null) yield full;
  }
  yield* encoder.end(options.meta);
}

/**
 * Says that from here on, groups of earlier versions than `epoch` do not count. Where it lies between the groups is the same
 * for all who read the changelog. It is a group without steps, so who does not know it passes over it.
 */
export function closingEntry(epoch: number, instance: string, logTimeMs: number): Entry {
  const group = { instance, number: 1, from: 0, to: 0, kind: 'delta' as const };
  const [entry] = createGroupEncoder(group, { logTimeMs, maxRecordBytes: 0 }).end(String(epoch));
  if (entry === undefined) throw new PipelineError('INVARIANT_BROKEN', 'a group without an end');
  return entry;
}

const isClosing = ({ kind, from, to }: GroupName): boolean => kind === 'delta' && from === to;

export interface Closing {
  /** Groups of earlier versions do not count behind it. */
  readonly epoch: number;
  readonly offset: number;
}

interface Partial {
  readonly name: GroupName;
  readonly offset: number;
  readonly parts: Map<number, Part>;
  end: { readonly count: number; readonly meta: string } | null;
}

interface Part {
  readonly packed: Buffer;
  readonly count: number;
}

const NOTHING: Part = { packed: Buffer.alloc(0), count: 0 };

/**
 * Puts groups together as their records come by. `keeps: false`: only looks which groups there are; theirs come without
 * their writes.
 */
export class GroupAssembler {
  readonly #keeps: boolean;
  readonly #open = new Map<string, Partial>();
  /** Instance -> its last complete group. It begins the next one only after that. */
  readonly #complete = new Map<string, number>();
  readonly #closings: Closing[] = [];
  #highest = 0;

  constructor({ keeps = true }: { readonly keeps?: boolean } = {}) {
    this.#keeps = keeps;
  }

  /** The first closing so far behind which groups of version `epoch` do not count; null: they do. */
  closingAfter(epoch: number): Closing | null {
    return this.#closings.find((closing) => closing.epoch > epoch) ?? null;
  }

  /** Highest `to` of a complete group so far that counts. */
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

  /** The group that this record completes, if it counts, or null. Throws CHANGELOG_BROKEN. */
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
    if (end !== null) open.end ??= { count: end, meta: record.value?.toString() ?? '' };
    else if (!parts.has(index)) parts.set(index, this.#keeps ? readPart(record.value, place) : NOTHING);
    if (open.end === null || parts.size < open.end.count) return null;
    this.#open.delete(id);
    this.#complete.set(name.instance, name.number);
    const { meta } = open.end;
    if (isClosing(name)) {
      this.#closings.push({ epoch: Number(meta), offset: record.offset });
      return null;
    }
    if (this.#closings.length > 0 && this.closingAfter(epochOf(meta)) !== null) return null;
    this.#highest = Math.max(this.#highest, name.to);
    const inOrder = Array.from({ length: open.end.count }, (_, at) => parts.get(at) ?? NOTHING);
    const count = inOrder.reduce((sum, part) => sum + part.count, 0);
    return { ...name, parts: inOrder.map(({ packed }) => packed), count, meta, offset };
  }
}

/** Contents are those of a checkpoint, as JSON. */
const epochOf = (meta: string): number => (JSON.parse(meta) as { readonly epoch: number }).epoch;

/** How a group changes a state at `step`; null: not at all. */
export function applicable(group: GroupName, step: number): 'apply' | 'replace' | null {
  if (group.kind === 'snapshot') return group.to > step ? 'replace' : null;
  return group.from <= step && step < group.to ? 'apply' : null;
}

/** The writes of a group as text, for those who need not be fast. */
export const operationsOf = ({ parts }: Pick<Group, 'parts'>): readonly WriteOperation[] =>
  parts.flatMap(unpackTexts);

/** The writes of a group with its contents. */
export const withMeta = (group: Group): readonly WriteOperation[] => [
  ...operationsOf(group),
  metaOperation(group.meta),
];

/** Says that the state before it is that of a step. */
export const metaOperation = (meta: string): WriteOperation => ({ key: META_KEY, value: meta });

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

/** A copy: what was read points into the answer of the broker. */
function readPart(value: Buffer | null, place: string): Part {
  const packed = Buffer.from(value ?? NOTHING.packed);
  const count = countPacked(packed);
  if (count !== null) return { packed, count };
  throw broken(place, 'lengths, keys and values', packed.toString('latin1', 0, 80));
}

const broken = (place: string, expected: string, found: string): PipelineError =>
  new PipelineError(
    'CHANGELOG_BROKEN',
    `${place}: expected ${expected}, found ${found}; something else wrote to the changelog: start with --fresh, or rebuild from the raw topics with baleen replay`,
  );
