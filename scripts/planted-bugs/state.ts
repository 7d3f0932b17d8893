/** Faults in state, timers, windows and delivery. */
import type { PlantedBug } from './bug.ts';

export const STATE_BUGS: readonly PlantedBug[] = [
  // State, timers, retention.
  {
    name: 'failed-writes-stay',
    file: 'runtime/fold.ts',
    from: "      state.rollback(mark);\n      const kind = runtime.hasFailedOutput ? 'output' : 'logic';\n      fail(error, kind, [step]",
    to: "      const kind = runtime.hasFailedOutput ? 'output' : 'logic';\n      fail(error, kind, [step]",
  },
  {
    name: 'failed-outputs-stay',
    file: 'runtime/processor-runtime.ts',
    from: '    this.#clear();\n',
    to: '',
  },
  {
    name: 'ahead-of-all-for-ever',
    file: 'merge/merge.ts',
    from: '(head.logTimeMs < this.#secondMs ||',
    to: '(head.logTimeMs <= this.#secondMs ||',
  },
  {
    name: 'timer-at-the-tick',
    file: 'runtime/task.ts',
    from: 'logTimeMs = Math.max(logTimeMs, timer.atMs);',
    to: 'logTimeMs = Math.max(logTimeMs, timeMs);',
  },
  {
    name: 'timer-after-its-records',
    file: 'runtime/task.ts',
    from: 'if (state.timers.nextLogMs <= timeMs) {',
    to: 'if (state.timers.nextLogMs < timeMs) {',
  },
  {
    name: 'promise-past-a-timer',
    file: 'runtime/task.ts',
    from: 'Math.min(merge.bound(), state.timers.nextLogMs)',
    to: 'merge.bound()',
  },
  {
    name: 'timers-in-order-of-setting',
    file: 'state/timer-queue.ts',
    from: '  compareUtf8(a.key, b.key) ||\n',
    to: '',
  },
  {
    name: 'event-time-after-the-record',
    file: 'runtime/fold.ts',
    from: 'const timer = state.timers.takeEvent(name, eventTimeMs);',
    to: 'const timer = state.timers.takeEvent(name, before);',
  },
  {
    name: 'retention-too-short-by-one',
    file: 'state/key-value.ts',
    from: 'entry.writtenMs + retentionMs < access.context.logTimeMs',
    to: 'entry.writtenMs + retentionMs <= access.context.logTimeMs',
  },
  {
    name: 'segment-dropped-too-early',
    file: 'state/key-value.ts',
    from: 'entries.dropBelow(previous);',
    to: 'entries.dropBelow(prefix(segment));',
  },
  // Windows.
  {
    name: 'open-windows-not-loaded',
    file: 'windows/window-store.ts',
    from: 'load: slices.load,',
    to: 'load: () => {},',
  },
  {
    name: 'a-window-without-its-last-slice',
    file: 'windows/window-store.ts',
    from: 'for (let atMs = startMs; atMs < endMs; atMs += grid.sliceMs) {\n      const slice',
    to: 'for (let atMs = startMs; atMs < endMs - grid.sliceMs; atMs += grid.sliceMs) {\n      const slice',
  },
  {
    name: 'quiet-windows-stay-open',
    file: 'windows/closing.ts',
    from: "if (usesLog) timers.set('log', key, endMs + logGraceMs);",
    to: '',
  },
  {
    name: 'stream-time-closes-nothing',
    file: 'windows/closing.ts',
    from: 'return usesEvent ? Math.max(byLogMs, context.streamTimeMs - graceMs) : byLogMs;',
    to: 'return byLogMs;',
  },
  // Delivery.
  {
    name: 'sink-takes-duplicates',
    file: 'runtime/delivery.ts',
    from: 'if (sequence <= last.sequence || !isHeard) {',
    to: 'if (sequence < last.sequence || !isHeard) {',
  },
];
