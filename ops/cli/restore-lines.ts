/** What `up` shows while a task takes its state from its changelog: nothing for a moment, then how far it is. */
import type { RestoreStatus } from '#ops/admin/status.ts';
import type { Display } from './display.ts';
import { grouped, megabytes } from './quantities.ts';

const MOMENT_MS = 1_000;
/** Where there is no live line. */
const LINE_EVERY_MS = 5_000;

/** To be called with each progress; `elapsedMs` is since the task began. */
export function createRestoreLines(display: Pick<Display, 'service' | 'note'>, isTerminal: boolean) {
  const lastLineMs = new Map<string, number>();
  return (status: RestoreStatus, elapsedMs: number): void => {
    if (elapsedMs < MOMENT_MS) return;
    const { task, isDone } = status;
    if (isDone) {
      display.service(task, 'ready', `restored ${amountOf(status, elapsedMs)}`, elapsedMs);
      lastLineMs.delete(task);
      return;
    }
    const text = `restoring ${amountOf(status, elapsedMs)}, ${grouped(status.remaining)} changelog records left`;
    if (isTerminal) display.service(task, text, '', elapsedMs);
    else if (elapsedMs - (lastLineMs.get(task) ?? 0) >= LINE_EVERY_MS) {
      lastLineMs.set(task, elapsedMs);
      display.note(`${task} ${text}`);
    }
  };
}

const amountOf = ({ entries, bytes }: RestoreStatus, elapsedMs: number): string =>
  `${grouped(entries)} entries, ${megabytes(bytes)}, ${grouped((entries * 1_000) / Math.max(1, elapsedMs))} entries/s`;
