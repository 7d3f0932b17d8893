/** State before the first record: what is on the disk, brought up by the changelog, or made from it anew. */
import { isPipelineError, PipelineError } from '#pipeline/errors.ts';
import type { Kafka } from '#pipeline/kafka/types.ts';
import { crossCuts, knownFingerprints } from '#pipeline/plan/beginning.ts';
import { LAST_KEY, type StateBackend, type WriteOperation } from '#pipeline/state/backend.ts';
import { applicable, type Group, GroupAssembler, metaOperation } from '#pipeline/state/changelog.ts';
import { META_KEY } from '#pipeline/state/task-state.ts';
import { readCheckpoint } from './checkpoint.ts';
import type { Genesis } from './plan.ts';
import { readPartition } from './read-topic.ts';

/** Keys that say something about this folder alone: not part of the state. */
export const LOCAL_PREFIX = '\u0000';
/** Everything complete before this offset of the changelog is in the folder. */
const READ_KEY = `${LOCAL_PREFIX}changelog`;

/** Packed bytes of a large group that are written at once. */
const PIECE_BYTES = 1024 * 1024;

/** The first may be due to what the folder has and the changelog no longer shows; from its start, there must be none. */
const MAX_HOLES = 3;

export interface RestoreProgress {
  /** Records of the changelog still to be read. */
  readonly remaining: number;
  /** Entries and bytes applied so far. */
  readonly entries: number;
  readonly bytes: number;
}

export interface RestoreOptions extends Pick<Genesis, 'fingerprint' | 'versions'> {
  readonly kafka: Kafka;
  /** Physical name. */
  readonly topic: string;
  readonly partition: number;
  readonly backend: StateBackend;
  readonly onProgress?: (progress: RestoreProgress) => void;
}

/**
 * Brings `backend` to the highest complete step of the changelog, over the cuts between versions. Local state counts only
 * if it is of a version of the plan; a deletion met on the way starts again, empty, from the new start. Throws
 * FINGERPRINT_CHANGED or CHANGELOG_BROKEN.
 */
export async function restore(options: RestoreOptions): Promise<RestoreProgress> {
  const { kafka, topic, partition, backend } = options;
  const onProgress = options.onProgress ?? (() => {});
  let entries = 0;
  let bytes = 0;
  const known = knownFingerprints(options);
  const contentsOf = (meta: string | undefined) => readCheckpoint(meta, ...known);
  const stepOf = () => contentsOf(backend.get(META_KEY))?.step ?? 0;

  const apply = async (group: Group): Promise<void> => {
    const how = applicable(group, stepOf());
    if (how === null) return;
    const contents = [metaOperation(group.meta)];
    const [before, after] = [contentsOf(backend.get(META_KEY)), contentsOf(group.meta)];
    if (how === 'replace') await replace(group, contents);
    else {
      if (before !== null && after !== null) await crossCuts(backend, options, before.epoch, after.epoch);
      await backend.writePacked(group.parts, contents);
    }
    entries += group.count;
    for (const part of group.parts) bytes += part.length;
  };

  /** In pieces: without contents, which come last, a folder counts as empty. */
  const replace = async ({ parts }: Group, contents: readonly WriteOperation[]): Promise<void> => {
    await backend.clear('', LAST_KEY);
    let writing = Promise.resolve();
    for (const pieces of piecesOf(parts)) {
      // The next is made ready while this one is written.
      const next = backend.writePacked(pieces, []);
      // Its failure is met when it is awaited, also when the one before it failed.
      next.catch(() => {});
      await writing;
      writing = next;
    }
    await writing;
    await backend.write(contents);
  };

  /** False: what is there from `from` on does not reach the highest step, or the folder had what may not count. */
  const readFrom = async (from: number, isFolderUsed: boolean): Promise<boolean> => {
    const groups = new GroupAssembler();
    const { end } = await range();
    let next = from;
    onProgress({ remaining: Math.max(0, end - next), entries, bytes });
    for await (const record of readPartition(kafka, topic, partition, from)) {
      const group = groups.add(record, `${topic}/${partition}/${record.offset}`);
      next = record.offset + 1;
      if (group === null) continue;
      await apply(group);
      onProgress({ remaining: Math.max(0, end - next), entries, bytes });
    }
    if (stepOf() < groups.highest) return false;
    // What the folder has may lie behind it.
    const closing = groups.closingAfter(contentsOf(backend.get(META_KEY))?.epoch ?? 0);
    if (closing !== null && isFolderUsed) return false;
    // The rest of a group that a copy is in the midst of comes later, and is nothing without its beginning; and what is
    // behind a closing must be seen to be so next time.
    const read = Math.min(groups.firstOpen ?? next, closing?.offset ?? next);
    await backend.write([{ key: READ_KEY, value: String(read) }]);
    return true;
  };

  const range = async () => {
    const admin = kafka.admin();
    const ranges = await admin.offsets(topic).finally(() => admin.close());
    return ranges.find((one) => one.partition === partition) ?? { start: 0, end: 0 };
  };

  // Without contents there may be pieces of a state that was being made.
  if (backend.get(META_KEY) === undefined) await backend.clear(META_KEY, LAST_KEY);
  let holes = 0;
  for (let isFirst = true; holes < MAX_HOLES; isFirst = false) {
    const { start } = await range();
    const isFolderUsed = isFirst && stepOf() > 0;
    const known = isFolderUsed ? Number(backend.get(READ_KEY) ?? start) : start;
    if (!isFirst) await backend.clear('', LAST_KEY);
    try {
      if (await readFrom(Math.max(start, known), isFolderUsed)) return { remaining: 0, entries, bytes };
      holes += 1;
    } catch (error) {
      // Deleted while it was read, because a snapshot behind it says the same: however often, that is no hole.
      if (!isPipelineError(error, 'OFFSET_OUT_OF_RANGE')) throw error;
    }
  }
  throw new PipelineError(
    'CHANGELOG_BROKEN',
    `${topic}/${partition}: expected groups that lead to its highest step, found a hole; start with --fresh, or rebuild from the raw topics with baleen replay`,
  );
}

/** The parts of a group, as many together as make a piece. */
function* piecesOf(parts: readonly Buffer[]): Generator<readonly Buffer[]> {
  let piece: Buffer[] = [];
  let sizeBytes = 0;
  for (const part of parts) {
    piece.push(part);
    sizeBytes += part.length;
    if (sizeBytes < PIECE_BYTES) continue;
    yield piece;
    piece = [];
    sizeBytes = 0;
  }
  if (piece.length > 0) yield piece;
}
