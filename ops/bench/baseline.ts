/**
 * How many times better than a peer we were, kept in `baseline.json`. Ratios of one invocation, never times: another
 * machine, or the same one under load, changes both sides.
 */
import { z } from 'zod';
import { FIGURE_NAMES, FIGURES, type FigureName, type Summary } from './cases.ts';

export const OURS = 'baleen';

/** Case -> figure -> how many times better than the peer; 1 is equal, above 1 is better whatever the figure. */
export type Advantages = Readonly<Record<string, Readonly<Partial<Record<FigureName, number>>>>>;

export interface Baseline {
  readonly peer: string;
  readonly advantages: Advantages;
}

const baselineSchema = z.object({
  peer: z.string(),
  advantages: z.record(z.string(), z.partialRecord(z.enum(FIGURE_NAMES as [FigureName]), z.number())),
});

/** Throws what zod throws when the text is no baseline. */
export const readBaseline = (text: string): Baseline => baselineSchema.parse(JSON.parse(text)) as Baseline;

/** Leaves out what one of the two has no figure for. */
export function advantagesOver(peer: string, summaries: readonly Summary[]): Advantages {
  const advantages: Record<string, Partial<Record<FigureName, number>>> = {};
  for (const ours of summaries.filter(({ contender }) => contender === OURS)) {
    const theirs = summaries.find((one) => one.case === ours.case && one.contender === peer);
    if (theirs === undefined) continue;
    const times: Partial<Record<FigureName, number>> = {};
    for (const name of FIGURE_NAMES) {
      const [own, other] = [ours.figures[name], theirs.figures[name]];
      if (own === null || other === null || own === 0 || other === 0) continue;
      times[name] = Number((FIGURES[name].better === 'more' ? own / other : other / own).toPrecision(3));
    }
    advantages[ours.case] = times;
  }
  return advantages;
}

/** One line for each advantage that fell by more than its tolerance, and for each that could not be measured any more. */
export function losses(baseline: Advantages, present: Advantages): readonly string[] {
  return Object.entries(present).flatMap(([name, times]) =>
    FIGURE_NAMES.flatMap((figure) => {
      const before = baseline[name]?.[figure];
      if (before === undefined) return [];
      const now = times[figure];
      if (now === undefined)
        return [`${name}: ${figure} was ${before} times the peer's, now it has no figure`];
      const { tolerance } = FIGURES[figure];
      if (now >= before * (1 - tolerance)) return [];
      return [
        `${name}: ${figure} was ${before} times better than the peer's, now ${now} times; ${tolerance * 100} % are tolerated`,
      ];
    }),
  );
}
