/** Numbers as people read them. */

/** `12,345`. */
export const grouped = (count: number): string => Math.round(count).toLocaleString('en-US');

/** Such as `340 ms`, `12.3 s`, `4 min`, `2.5 h`. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${Math.round(ms / 60_000)} min`;
  return `${(ms / 3_600_000).toFixed(1)} h`;
}

/** Such as `0.4 MB`, `1,230 MB`. */
export const megabytes = (bytes: number): string =>
  `${bytes < 100e6 ? (bytes / 1e6).toFixed(1) : grouped(bytes / 1e6)} MB`;

/** ISO text of epoch milliseconds; `-` for what is no time. */
export const timestamp = (ms: number): string =>
  Number.isFinite(ms) && Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : '-';
