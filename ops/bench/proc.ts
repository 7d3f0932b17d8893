/** What Linux says about a process, and what a Prometheus page says. */
import { readFileSync } from 'node:fs';

/** Clock ticks of the kernel's accounting; fixed by its interface to programs. */
const TICKS_PER_SECOND = 100;

/** CPU of all threads since the start, in seconds. Throws when the process is gone. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The name (field 2) is in brackets and may contain anything, so fields are counted from its end.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

export interface ResidentMemory {
  readonly mib: number;
  /** Of it what no file holds: the kernel can take back the rest (the program, tables of the state) at any time. */
  readonly ownMiB: number;
}

/** Resident memory now. Throws when the process is gone. */
export function residentMemory(pid: number): ResidentMemory {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const mibOf = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? Number.NaN) / 1_024;
  return { mib: mibOf('VmRSS'), ownMiB: mibOf('RssAnon') };
}

/** Sum of all series of a metric that have these labels; 0 without any. `name` with its prefix. */
export function totalOf(page: string, name: string, labels: Readonly<Record<string, string>> = {}): number {
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  let total = 0;
  for (const line of page.split('\n')) {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (match?.[1] !== name) continue;
    const found = match[2]?.split(',') ?? [];
    if (wanted.every((label) => found.includes(label))) total += Number(match[3]);
  }
  return total;
}

/** The greatest of each minute that has samples, in order. `minute` may be a fraction: where a sample lies. */
export function peaksByMinute(
  points: readonly { readonly minute: number; readonly mib: number }[],
): readonly number[] {
  const minutes = Map.groupBy(points, ({ minute }) => Math.floor(minute));
  return [...minutes].sort(([a], [b]) => a - b).map(([, of]) => Math.max(...of.map(({ mib }) => mib)));
}

/** Least-squares slope in MiB a minute; 0 for fewer than two points. */
export function slopePerMinute(points: readonly { readonly minute: number; readonly mib: number }[]): number {
  const n = points.length;
  if (n < 2) return 0;
  const meanX = points.reduce((sum, { minute }) => sum + minute, 0) / n;
  const meanY = points.reduce((sum, { mib }) => sum + mib, 0) / n;
  let [xy, xx] = [0, 0];
  for (const { minute, mib } of points) {
    xy += (minute - meanX) * (mib - meanY);
    xx += (minute - meanX) ** 2;
  }
  return xx === 0 ? 0 : xy / xx;
}
