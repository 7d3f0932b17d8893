/** The live line of `up`, and what is said about tasks that wait. */
import type { Clock } from '#pipeline/clock.ts';
import type { Pipeline } from '#topology/main.ts';
import type { Display } from './display.ts';
import { showWaits } from './wait-notices.ts';
import type { AlertWatch } from './watch-alerts.ts';

const SUMMARY_MS = 1_000;

/** Redraws the summary until the returned function is called. */
export function summarise(pipeline: Pipeline, display: Display, clock: Clock, watch: AlertWatch): () => void {
  const sayWaits = showWaits(display, clock);
  let lastFolded = 0;
  let lastMs = clock.nowMs();
  return clock.every(SUMMARY_MS, () => {
    const { tasks, waits } = pipeline.processing;
    sayWaits(waits());
    const folded = tasks.reduce((sum, { step }) => sum + step, 0);
    const nowMs = clock.nowMs();
    const recordsPerSecond =
      lastFolded === 0 ? 0 : ((folded - lastFolded) * 1000) / Math.max(1, nowMs - lastMs);
    lastFolded = folded;
    lastMs = nowMs;
    const waiting = pipeline.connectors.get('evm')?.status().detail ?? '';
    display.summary({
      recordsPerSecond,
      lag: tasks.reduce((sum, { lag }) => sum + lag, 0),
      alerts: watch.count(),
      waiting,
    });
  });
}
