/** The versions of the pipeline, as the plan lists them: each begins at a cut that the one before folds up to. */
import type { Fence } from '#pipeline/merge/fence.ts';
import { byCodeUnits } from '#pipeline/state/byte-order.ts';
import type { PlacedDecision } from './decisions.ts';
import { type Description, readDescription } from './description.ts';

/** Place of a decision in the order of everything. */
export interface Cut {
  /** In the plan. */
  readonly offset: number;
  /** Effective log time. */
  readonly logTimeMs: number;
}

export interface Version {
  /** 1 for the first; stands in the position of all that its tasks write. */
  readonly epoch: number;
  readonly fingerprint: string;
  /** Null: it began with the first record. */
  readonly cut: Cut | null;
  /** `topic/partition` -> first offset for a task that reads it for the first time. */
  readonly startOffsets: ReadonlyMap<string, number>;
  /** `processor.store` whose state ended with the version before. */
  readonly dropped: readonly string[];
  /** Tasks of the version before that were brought to the cut by decree, in order; none: all came there themselves. */
  readonly forced: readonly string[];
  /** `topic/partition/writer` -> offset of the fence behind which those tasks write as this version alone. */
  readonly fences: ReadonlyMap<string, number>;
  /** Tasks (`detect-2`) and partitions of raw topics (`raw.trades.v1/3`) that it does without, in order. */
  readonly excluded: readonly string[];
  /** Null: it began before descriptions were kept, or nobody can read them any more. */
  readonly description: Description | null;
  /** Wall clock of the one who decided. */
  readonly atMs: number;
  readonly note: string | null;
}

/**
 * In the order of their epochs. The first genesis counts, and of two cuts to the same epoch the first: so all who
 * decide at once, and a request that was sent again, lead to one plan.
 */
export function versionsOf(decisions: readonly PlacedDecision[]): readonly Version[] {
  const versions: Version[] = [];
  for (const { offset, logTimeMs, decision } of decisions) {
    if (decision.kind === 'force') {
      const at = versions.findIndex(({ epoch }) => epoch === decision.epoch);
      const version = versions[at];
      if (version !== undefined) versions[at] = withForce(version, decision);
      continue;
    }
    const { kind, epoch, fingerprint, startOffsets, dropped, description, atMs, note } = decision;
    const excluded = [...new Set(decision.excluded)].sort(byCodeUnits);
    const isNext =
      kind === 'genesis' ? versions.length === 0 : kind === 'cut' && isCutTo(decision, versions.at(-1));
    if (!isNext) continue;
    versions.push({
      epoch,
      fingerprint,
      cut: kind === 'cut' ? { offset, logTimeMs } : null,
      startOffsets: new Map(Object.entries(startOffsets).map(([name, first]) => [name, Number(first)])),
      dropped,
      forced: [],
      fences: new Map(),
      excluded,
      description: description === null ? null : readDescription(description),
      atMs,
      note,
    });
  }
  return versions;
}

/** Who repeats a decision that was cut short finds the same fences, and may find fewer tasks. */
const withForce = (version: Version, { tasks, fences }: PlacedDecision['decision']): Version => ({
  ...version,
  forced: [...new Set([...version.forced, ...tasks])].sort(byCodeUnits),
  fences: new Map([
    ...Object.entries(fences).map(([name, offset]) => [name, Number(offset)] as const),
    ...version.fences,
  ]),
});

/** All fences of the plan, as readers of derived topics need them: `topic/partition/writer` -> fences. */
export function fencesOf(versions: readonly Version[]): ReadonlyMap<string, readonly Fence[]> {
  const found = new Map<string, Fence[]>();
  for (const { epoch, fences } of versions)
    for (const [name, offset] of fences) found.set(name, [...(found.get(name) ?? []), { epoch, offset }]);
  return found;
}

/** A cut ends the version before it, and no other. */
export const isCutTo = (
  { kind, epoch }: Pick<PlacedDecision['decision'], 'kind' | 'epoch'>,
  present: Pick<Version, 'epoch'> | undefined,
): boolean => kind === 'cut' && present !== undefined && epoch === present.epoch + 1;
