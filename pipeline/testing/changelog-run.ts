/** A changelog of a small known fold, and disks that are restored from it: for tests of restore and snapshots. */
import type { Entry } from '#pipeline/kafka/types.ts';
import { LOCAL_PREFIX, type RestoreProgress, restore } from '#pipeline/runtime/restore.ts';
import type { WriteOperation } from '#pipeline/state/backend.ts';
import { encodeGroup, type GroupName } from '#pipeline/state/changelog.ts';
import { createMemoryBackend } from '#pipeline/state/memory.ts';
import { META_KEY } from '#pipeline/state/task-state.ts';
import { createSmallKafka } from './small-kafka.ts';

/** Physical name. */
export const TOPIC = 'changelog.p.v1';

/** What step `n` of the fold writes. */
const writeOf = (step: number): WriteOperation => ({
  key: `p.s\u001fk${(step * 7) % 5}`,
  value: step % 6 === 0 ? null : String(step),
});
/** All that a restore reads of a checkpoint. */
export const metaOf = (step: number, fingerprint = 'one', epoch = 1): string =>
  JSON.stringify({ fingerprint, epoch, step });
/** The last write of each key in the steps after `from`. */
export const writesOf = (from: number, to: number): readonly WriteOperation[] => {
  const last = new Map<string, WriteOperation>();
  for (let step = from + 1; step <= to; step += 1) last.set(writeOf(step).key, writeOf(step));
  return [...last.values()];
};
/** What a disk holds after a step. */
export const stateAt = (step: number): ReadonlyMap<string, string> => {
  const state = new Map<string, string>();
  for (const { key, value } of writesOf(0, step)) if (value !== null) state.set(key, value);
  if (step > 0) state.set(META_KEY, metaOf(step));
  return state;
};
/** The records of a group, in several small ones. */
export const encode = (
  {
    instance = 'one',
    number = 1,
    from = 0,
    to,
    kind = 'delta',
    epoch = 1,
  }: Partial<GroupName> & { readonly to: number; readonly epoch?: number },
  operations = writesOf(from, to),
  fingerprint = 'one',
): readonly Entry[] => [
  ...encodeGroup({ instance, number, from, to, kind }, operations, {
    meta: metaOf(to, fingerprint, epoch),
    logTimeMs: 7,
    maxRecordBytes: 30,
  }),
];

/** A disk without what is of this folder alone. */
export const shared = (disk: ReadonlyMap<string, string>): ReadonlyMap<string, string> =>
  new Map([...disk].filter(([key]) => !key.startsWith(LOCAL_PREFIX)));

/** A changelog, and the restore of a disk from it. */
export function openChangelog() {
  const kafka = createSmallKafka();
  const append = (entries: readonly Entry[]): void => {
    for (const entry of entries) kafka.append(TOPIC, 0, entry);
  };
  const run = (disk: Map<string, string>, onProgress?: (progress: RestoreProgress) => void) =>
    restore({
      kafka,
      topic: TOPIC,
      partition: 0,
      backend: createMemoryBackend(disk),
      fingerprint: 'one',
      ...(onProgress === undefined ? {} : { onProgress }),
    });
  return { kafka, append, run };
}

/** What a snapshot of a step holds. */
export const allAt = (step: number): readonly WriteOperation[] =>
  [...stateAt(step)].flatMap(([key, value]) => (key === META_KEY ? [] : [{ key, value }]));
