/** What `bench` measures, and how figures of many runs become one. */
import { z } from 'zod';

/** A workload with how it is driven. Paced by `ratePerSecond`, or as fast as it goes when that is null. */
export interface Case {
  readonly workload: 'enrich' | 'windows' | 'chain' | 'chain-fused';
  readonly ratePerSecond: number | null;
}

/** Such as `enrich` or `chain 5000/s`. */
export const caseName = ({ workload, ratePerSecond }: Case): string =>
  ratePerSecond === null ? workload : `${workload} ${ratePerSecond}/s`;

export const ALL_CASES: readonly Case[] = [
  { workload: 'enrich', ratePerSecond: null },
  { workload: 'windows', ratePerSecond: null },
  { workload: 'chain', ratePerSecond: 1_000 },
  { workload: 'chain', ratePerSecond: 5_000 },
  { workload: 'chain', ratePerSecond: 10_000 },
];

const figure = z.number().nullish();

/** One line of JSON of the yardstick; its README says what the figures are. */
const lineSchema = z.object({
  workload: z.enum(['enrich', 'windows', 'chain', 'chain-fused']),
  contender: z.string(),
  count: z.number(),
  rate: figure,
  perSecond: figure,
  steadyPerSecond: figure,
  cpuSecondsPerMillion: figure,
  brokerCpuSecondsPerMillion: figure,
  peakRssMiB: figure,
  p50Ms: figure,
  p99Per10s: z.array(z.number()).default([]),
  sendLateP99Ms: figure,
  duplicates: z.number(),
  missing: z.number(),
  wrong: z.number(),
});

/** Figures that are kept, with what is better and by how much a ratio may fall before it counts as worse. */
export const FIGURES = {
  cpuSecondsPerMillion: { better: 'less', tolerance: 0.15 },
  steadyPerSecond: { better: 'more', tolerance: 0.25 },
  p50Ms: { better: 'less', tolerance: 0.3 },
  p99Ms: { better: 'less', tolerance: 0.5 },
  peakRssMiB: { better: 'less', tolerance: 0.15 },
} as const satisfies Record<string, { readonly better: 'less' | 'more'; readonly tolerance: number }>;

export type FigureName = keyof typeof FIGURES;
export const FIGURE_NAMES = Object.keys(FIGURES) as readonly FigureName[];

/** One run of one contender. */
export interface Run {
  readonly case: string;
  readonly contender: string;
  readonly count: number;
  /** Null: not measured in this kind of run, or void because the output was not right. */
  readonly figures: Readonly<Record<FigureName, number | null>>;
  /** Records that should not be, or should be and are not. */
  readonly mistakes: number;
  /** How far the generator itself was late, part of every latency; null when not paced. */
  readonly sendLateP99Ms: number | null;
}

/** The last 30 seconds: what comes before is warming up, of the broker too. */
const STEADY_PARTS = 3;

/** Null for a line that is no run, such as the yardstick's own comparison. `nameOf` shortens a command to a name. */
export function readRun(line: string, nameOf: (contender: string) => string): Run | null {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    return null;
  }
  const read = lineSchema.safeParse(json);
  if (!read.success) return null;
  const { workload, rate, contender, count, p99Per10s, sendLateP99Ms, ...found } = read.data;
  const steady = p99Per10s.slice(-STEADY_PARTS);
  return {
    case: caseName({ workload, ratePerSecond: rate ?? null }),
    contender: nameOf(contender),
    count,
    figures: {
      cpuSecondsPerMillion: found.cpuSecondsPerMillion ?? null,
      steadyPerSecond: found.steadyPerSecond ?? null,
      p50Ms: found.p50Ms ?? null,
      p99Ms: steady.length === 0 ? null : Math.max(...steady),
      peakRssMiB: found.peakRssMiB ?? null,
    },
    mistakes: found.duplicates + found.missing + found.wrong,
    sendLateP99Ms: sendLateP99Ms ?? null,
  };
}

/** Medians of all runs of a contender in a case. */
export interface Summary extends Omit<Run, 'sendLateP99Ms'> {
  readonly rounds: number;
}

/** By case and contender, in the order in which they first ran. */
export function summarise(runs: readonly Run[]): readonly Summary[] {
  return [...Map.groupBy(runs, (run) => `${run.case}\n${run.contender}`).values()].flatMap((group) => {
    const [first] = group;
    if (first === undefined) return [];
    const figures = Object.fromEntries(
      FIGURE_NAMES.map((name) => [name, median(group.flatMap((run) => run.figures[name] ?? []))]),
      // Made of all names.
    ) as Summary['figures'];
    const mistakes = group.reduce((sum, run) => sum + run.mistakes, 0);
    return [
      {
        case: first.case,
        contender: first.contender,
        count: first.count,
        figures,
        mistakes,
        rounds: group.length,
      },
    ];
  });
}

/** Null of no values. */
function median(values: readonly number[]): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return low === undefined || high === undefined ? null : (low + high) / 2;
}
