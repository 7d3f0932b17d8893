/** The versions of the pipeline, as the plan lists them: each begins at a cut that the one before folds up to. */

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
    const { kind, epoch, fingerprint, startOffsets, dropped, description, atMs, note } = decision;
    const isNext =
      kind === 'genesis' ? versions.length === 0 : kind === 'cut' && isCutTo(decision, versions.at(-1));
    if (!isNext) continue;
    versions.push({
      epoch,
      fingerprint,
      cut: kind === 'cut' ? { offset, logTimeMs } : null,
      startOffsets: new Map(Object.entries(startOffsets).map(([name, first]) => [name, Number(first)])),
      dropped,
      description: description === null ? null : readDescription(description),
      atMs,
      note,
    });
  }
  return versions;
}

/** A cut ends the version before it, and no other. */
export const isCutTo = (
  { kind, epoch }: Pick<PlacedDecision['decision'], 'kind' | 'epoch'>,
  present: Pick<Version, 'epoch'> | undefined,
): boolean => kind === 'cut' && present !== undefined && epoch === present.epoch + 1;
