/** Faults in the order of input, in tasks that move, and in the hop. */
import type { PlantedBug } from './bug.ts';

export const ORDER_BUGS: readonly PlantedBug[] = [
  // The order of input.
  {
    name: 'tie-by-time-only',
    file: 'merge/merge.ts',
    from: 'if (timeMs < least.timeMs) {',
    to: 'if (timeMs <= least.timeMs) {',
  },
  {
    name: 'tick-one-early',
    file: 'runtime/task.ts',
    from: 'outputs.tick(tickedMs);',
    to: 'outputs.tick(tickedMs + 1);',
  },
  {
    name: 'raw-tick-inclusive',
    file: 'merge/inbound.ts',
    from: 'if (isTick(record.headers)) return false;',
    to: 'if (isTick(record.headers)) { channel.frontierMs += 1; return false; }',
  },
  {
    name: 'tick-ignores-sequence',
    file: 'merge/inbound.ts',
    from: 'if (tick === null || channel.last.sequence < tick.sequence) return;',
    to: 'if (tick === null) return;',
  },
  {
    name: 'tick-of-one-record-less',
    file: 'runtime/outputs.ts',
    from: 'if (sequence > 0) sequences[name] = sequence;',
    to: 'if (sequence > 0) sequences[name] = sequence - 1;',
  },
  {
    name: 'tick-not-repeated',
    file: 'runtime/turns.ts',
    from: 'task.emitTick(true)',
    to: 'task.emitTick(false)',
  },
  { name: 'nobody-asks-for-ticks', file: 'runtime/turns.ts', from: 'ticker.want(waitsForMs);', to: '' },
  {
    name: 'duplicates-kept',
    file: 'merge/inbound.ts',
    from: 'position.sequence <= channel.stored.sequence) return true;',
    to: 'position.sequence < channel.stored.sequence) return true;',
  },
  {
    name: 'pause-whatever-is-needed',
    file: 'runtime/inputs.ts',
    from: 'input.readers.every(({ inbound }) => inbound.canPause())',
    to: 'input.readers.length > 0',
  },
  // Tasks that move between processes.
  {
    name: 'newcomer-reads-from-where-the-others-are',
    file: 'runtime/inputs.ts',
    from: 'if (known !== undefined && nextOffset >= known.takenOffset) {',
    to: 'if (known !== undefined) {',
  },
  {
    name: 'nobody-elsewhere-is-asked-for-ticks',
    file: 'runtime/processing.ts',
    from: 'if (dependsOnOthers) wishes.want(logTimeMs);',
    to: '',
  },
  {
    name: 'openings-share-their-group-numbers',
    file: 'runtime/processing.ts',
    from: 'openings += 1;',
    to: '',
  },
  {
    name: 'two-checkpoints-of-a-task-at-once',
    file: 'runtime/checkpoints.ts',
    from: 'const done = busy.then(work);',
    to: 'const done = Promise.resolve().then(work);',
  },
  {
    name: 'a-task-that-left-is-fetched-for',
    file: 'runtime/inputs.ts',
    from: 'byName.delete(name);',
    to: '',
  },
  // The hop in memory.
  {
    name: 'hop-takes-out-of-order',
    file: 'merge/handover.ts',
    from: 'if (sequence === last.sequence + 1) {\n    if (handed.digestBefore >>> 0 !== last.digest >>> 0)',
    to: 'if (sequence > last.sequence) {\n    if (sequence === last.sequence + 1 && handed.digestBefore >>> 0 !== last.digest >>> 0)',
  },
  {
    name: 'hop-early-whenever',
    file: 'merge/handover.ts',
    from: 'if (early.first?.order !== channel.last.sequence + 1) return;',
    to: '',
  },
  {
    name: 'hop-checkpoint-before-acknowledgement',
    file: 'runtime/checkpoint.ts',
    from: "yield { name: 'outputs', wait: 'acknowledged' };",
    to: "if (Object.keys(contents.channels).every((name) => name.endsWith('/'))) yield { name: 'outputs', wait: 'acknowledged' };",
  },
  {
    name: 'hop-offset-missing',
    file: 'merge/handover.ts',
    from: 'if (pending !== undefined) pending.offset = offset;',
    to: '',
  },
  {
    name: 'hop-skips-digest-check',
    file: 'merge/handover.ts',
    from: 'if (expected >>> 0 !== digest >>> 0) throw forked(channel, sequence);',
    to: '',
  },
  {
    name: 'hop-resumes-at-the-wrong-offset',
    file: 'merge/inbound.ts',
    from: 'let offset = firstOfLater ?? nextOffset;\n',
    to: 'let offset = nextOffset + channels.reduce((sum, { unseen, queue }) => sum + Math.max(0, unseen.length - queue.length), 0);\n',
  },
  {
    name: 'hop-promises-too-much',
    file: 'runtime/task.ts',
    from: 'acceptTick(channel, boundMs, sequence, clock.nowMs())',
    to: 'acceptTick(channel, boundMs, 0, clock.nowMs())',
  },
  {
    name: 'what-was-forgotten-is-held-for-absent',
    file: 'state/segment-cells.ts',
    from: 'this.#forgotten.add(cell.key);',
    to: '',
  },
  {
    name: 'segments-of-before-held-for-empty',
    file: 'state/entries.ts',
    from: 'stored === null || (stored !== undefined && compareUtf8(own, stored) > 0)',
    to: 'true',
  },
];
