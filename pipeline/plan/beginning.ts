/** Where a task of a version begins: at the cut, with what the version before left there (engine rules, 11.2). */
import type { ResumePoint } from '#pipeline/merge/inbound.ts';
import type { CheckpointContents } from '#pipeline/runtime/checkpoint.ts';
import { type Graph, type TaskId, taskName } from '#pipeline/runtime/graph.ts';
import type { Genesis } from '#pipeline/runtime/plan.ts';
import { LAST_KEY, type StateBackend } from '#pipeline/state/backend.ts';
import { storePrefix } from '#pipeline/state/task-state.ts';
import { timerPrefix } from '#pipeline/state/timer-queue.ts';
import type { Layer } from '#schemas/topics.ts';
import type { Version } from './versions.ts';

/** The version that runs here; null where the plan was not read and none other is known. */
export const ownVersion = ({ versions, epoch }: Genesis): Version | null =>
  versions?.find((version) => version.epoch === epoch) ?? null;

/** Tasks and partitions that the version that runs here does without (`exclude.ts`). */
export const excludedHere = (genesis: Genesis): ReadonlySet<string> =>
  new Set(ownVersion(genesis)?.excluded ?? []);

/** Tasks that the version that runs here has. */
export const tasksHere = (graph: Graph, genesis: Genesis): readonly TaskId[] => {
  const excluded = excludedHere(genesis);
  return graph.tasks().filter((task) => !excluded.has(taskName(task)));
};

/** Fingerprints of states that this version can go on from, or that another one has made of them. */
export const knownFingerprints = ({
  fingerprint,
  versions,
}: Pick<Genesis, 'fingerprint' | 'versions'>): readonly string[] => [
  fingerprint,
  ...(versions ?? []).map((version) => version.fingerprint),
];

/**
 * What a version can do with the state of a task: `ready`, go on from it; `early`, nothing yet: the version before has
 * not come to the cut; `over`, nothing any more: it is at a later version.
 */
export type Standing = 'ready' | 'early' | 'over';

/** `saved`: what its last checkpoint says; null: there is none. */
export function standingOf(
  saved: Pick<CheckpointContents, 'epoch' | 'nextEpoch'> | null,
  genesis: Genesis,
  subTopology: string,
): Standing {
  const { epoch } = genesis;
  if (saved === null) return epoch === 1 || isNew(genesis, subTopology) ? 'ready' : 'early';
  if (saved.epoch > epoch) return 'over';
  return saved.epoch === epoch || saved.nextEpoch === epoch ? 'ready' : 'early';
}

/** No version before had it. One whose description is lost may have had it. */
const isNew = ({ versions, epoch }: Genesis, subTopology: string): boolean =>
  versions === undefined ||
  versions
    .filter((version) => version.epoch < epoch)
    .every(
      ({ description }) => description?.subTopologies.every(({ name }) => name !== subTopology) === true,
    );

/** Contents to go on from; null: from the first record. A task that is new at a cut has folded nothing before it. */
export function contentsToBegin(
  saved: CheckpointContents | null,
  genesis: Genesis,
  planTopic: string,
): CheckpointContents | null {
  const cut = ownVersion(genesis)?.cut ?? null;
  if (saved !== null || cut === null) return saved;
  const { offset, logTimeMs } = cut;
  return {
    fingerprint: genesis.fingerprint,
    epoch: genesis.epoch,
    step: 0,
    logTimeMs,
    lastKey: { logTimeMs, rank: 0, order: offset },
    inputs: { [`${planTopic}/0`]: { offset: offset + 1, maximumMs: logTimeMs, digest: 0 } },
    channels: {},
    destinations: {},
    streamTimes: {},
  };
}

/**
 * Where a task reads a raw, fact or history partition that no checkpoint of it names. At a cut: facts from the first,
 * as if all had come at the cut, for a table must be whole; others from where the partition ended when it was decided.
 */
export function firstResume(name: string, layer: Layer, genesis: Genesis): ResumePoint {
  const version = ownVersion(genesis);
  const cut = version?.cut ?? null;
  if (cut === null || layer === 'plan')
    return { offset: genesis.startOffsets.get(name) ?? 0, maximumMs: 0, digest: 0 };
  const { startOffsets } = version ?? genesis;
  return { offset: startOffsets.get(name) ?? 0, maximumMs: cut.logTimeMs, digest: 0 };
}

/** What ends where `version` begins, as ranges of keys. */
const droppedRanges = ({ dropped }: Version): readonly (readonly [first: string, end: string])[] =>
  dropped.flatMap((name) => {
    const at = name.indexOf('.');
    const [processor, store] = [name.slice(0, at), name.slice(at + 1)];
    return [storePrefix(processor, store), timerPrefix(processor, store)].map(
      (prefix) => [prefix, prefix + LAST_KEY] as const,
    );
  });

/** Clears what ended at the cuts after `fromEpoch`, up to `toEpoch`. Done twice it is done once. */
export async function crossCuts(
  backend: Pick<StateBackend, 'clear'>,
  { versions }: Pick<Genesis, 'versions'>,
  fromEpoch: number,
  toEpoch: number,
): Promise<void> {
  for (const version of versions ?? []) {
    if (version.epoch <= fromEpoch || version.epoch > toEpoch) continue;
    for (const [first, end] of droppedRanges(version)) await backend.clear(first, end);
  }
}
