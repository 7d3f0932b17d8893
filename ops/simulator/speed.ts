/** Pace of everything served: a factor of the recorded pace, or no pauses at all. */
export type Speed = number | 'max';

/** Milliseconds to wait for `ms` of recorded time. */
export const scaledMs = (ms: number, speed: Speed): number => (speed === 'max' ? 0 : ms / speed);

/** How far one stream has been delivered; `total` is null for one without end. */
export interface Progress {
  readonly provider: string;
  readonly sent: number;
  readonly total: number | null;
  readonly isDone: boolean;
}
