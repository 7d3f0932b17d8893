/** What operators should know of the version that runs: what it does without, and which cuts were forced. */
import { z } from 'zod';
import type { Version } from '#pipeline/plan/versions.ts';
import type { Genesis } from '#pipeline/runtime/plan.ts';

const excludedSchema = z.object({
  /** Task (`detect-2`) or partition of a raw topic (`raw.trades.v1/3`). */
  name: z.string(),
  /** Of the first version that did without it, and all since. */
  epoch: z.int(),
  /** Log time of the cut to that version. */
  sinceMs: z.number(),
});

/** As the plan was when the process started. */
export const versionStatusSchema = z.object({
  epoch: z.int(),
  fingerprint: z.string(),
  excluded: z.array(excludedSchema),
  /** Cuts up to this version to which tasks were brought by decree. */
  forced: z.array(
    z.object({
      epoch: z.int(),
      /** Log time of the cut. */
      cutMs: z.number(),
      tasks: z.array(z.string()),
    }),
  ),
});

export type VersionStatus = Readonly<z.infer<typeof versionStatusSchema>>;
export type Excluded = Readonly<z.infer<typeof excludedSchema>>;

/** What the last of these versions does without, and since when. */
export function excludedSince(versions: readonly Version[]): readonly Excluded[] {
  return (versions.at(-1)?.excluded ?? []).flatMap((name) => {
    const before = versions.findLastIndex(({ excluded }) => !excluded.includes(name));
    const first = versions[before + 1];
    return first === undefined ? [] : [{ name, epoch: first.epoch, sinceMs: first.cut?.logTimeMs ?? 0 }];
  });
}

/** Of the version that runs here. */
export function versionStatusOf({ epoch, fingerprint, versions = [] }: Genesis): VersionStatus {
  const own = versions.filter((version) => version.epoch <= epoch);
  return {
    epoch,
    fingerprint,
    excluded: [...excludedSince(own)],
    forced: own
      .filter(({ forced }) => forced.length > 0)
      .map(({ epoch, cut, forced }) => ({ epoch, cutMs: cut?.logTimeMs ?? 0, tasks: [...forced] })),
  };
}
