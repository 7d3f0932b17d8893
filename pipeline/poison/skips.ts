/**
 * What the plan passes over: a record, or a timer, that ends the process of whoever folds it (engine rules, 11.4). An error
 * that logic throws is none of this: it is an output already.
 */
import { formatDigest, nextDigest } from '#pipeline/merge/position.ts';
import type { PlacedDecision } from '#pipeline/plan/decisions.ts';
import type { Plan } from '#schemas/plan.ts';

export interface Skip {
  /** The task. */
  readonly writer: string;
  /** That does not handle it; empty: its bytes are not even decoded. */
  readonly processor: string;
  /** As in `InputRecord.place`. */
  readonly place: string;
  /** Records and timers that the task had folded before it. */
  readonly step: number;
  readonly logTimeMs: number;
  /** `digestOf`. */
  readonly digest: string;
}

/** The same in every copy, restart and replay: a replay with another version may come to it at another step. */
export const skipName = ({
  processor,
  place,
  digest,
}: Pick<Skip, 'processor' | 'place' | 'digest'>): string => `${processor} ${place} ${digest}`;

/** Of a record, or of the key of a timer; 8 hex digits. */
export const digestOf = (logTimeMs: number, key: Buffer | null, value: Buffer | null): string =>
  formatDigest(nextDigest(0, logTimeMs, key, value));

/** Null: a decision of another kind. */
export function skipIn({ kind, skip }: Pick<Plan, 'kind' | 'skip'>): Skip | null {
  return kind !== 'skip' || skip === null ? null : { ...skip, step: Number(skip.step) };
}

/** In the order of the plan; what was decided twice counts once. */
export function skipsOf(decisions: readonly PlacedDecision[]): readonly Skip[] {
  const skips = new Map<string, Skip>();
  for (const { decision } of decisions) {
    const skip = skipIn(decision);
    if (skip === null) continue;
    const name = `${skip.writer} ${skipName(skip)}`;
    if (!skips.has(name)) skips.set(name, skip);
  }
  return [...skips.values()];
}
