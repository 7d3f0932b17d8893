import { describe, expect, test } from 'vitest';
import type { TaskWait } from '#pipeline/runtime/waits.ts';
import { showWaits, waitNotices } from './wait-notices.ts';

const idle = (task: string): TaskWait => ({
  task,
  halted: null,
  waitsFor: null,
  writer: null,
  logTimeMs: null,
  sinceMs: null,
  slowest: null,
});
const forRaw = (task: string, sinceMs = 0): TaskWait => ({
  ...idle(task),
  waitsFor: 'raw.evm.v1/0',
  logTimeMs: 1,
  sinceMs,
});
const forTask = (task: string, writer: string, sinceMs = 0): TaskWait => ({
  ...idle(task),
  waitsFor: `chain.transfers.v1/0/${writer}`,
  writer,
  logTimeMs: 1,
  sinceMs,
});
const halted = (task: string): TaskWait => ({
  ...idle(task),
  halted: { place: 'raw.evm.v1/0/332', cause: 'no such field' },
  logTimeMs: 1,
  sinceMs: 0,
});
const texts = (waits: readonly TaskWait[], nowMs: number) =>
  waitNotices(waits, nowMs).map(({ text }) => text);

describe('notices', () => {
  test('say nothing of short waits', () => {
    expect(texts([idle('detect-0'), forRaw('evm-0', 1_000)], 5_900)).toEqual([]);
    expect(texts([forTask('detect-0', 'evm-0', 1_000), idle('evm-0')], 30_900)).toEqual([]);
  });

  test('name the partition at which it began once, with all who wait and the next step', () => {
    const waits = [forTask('detect-0', 'evm-0', 3_000), forRaw('evm-0', 1_000), forRaw('evm-1', 2_000)];
    expect(texts(waits, 13_300)).toEqual([
      'detect-0, evm-0, evm-1 have waited 12.3 s for raw.evm.v1/0: no tick shows that nothing earlier follows there. Is Kafka up? "baleen doctor" checks it; where that partition cannot be mended soon, "baleen exclude raw.evm.v1/0" goes on without it',
    ]);
  });

  test('name a halted task at once, with record, cause and who waits for it', () => {
    expect(texts([forTask('detect-0', 'evm-0'), halted('evm-0')], 1)).toEqual([
      'evm-0 is halted before raw.evm.v1/0/332: no such field; detect-0 waits for it. Correct the processor, or let its onError put the record aside, and start again; where neither can be, "baleen exclude evm-0" lets the others go on without it',
    ]);
  });

  test('name the partition from which a task hears nothing, once that is no matter of moments', () => {
    const silent = { ...idle('evm-0'), slowest: { name: 'raw.evm.v1/0', writer: null } };
    const waits = [forTask('detect-0', 'evm-0', 1_000), silent];
    expect(texts(waits, 30_900)).toEqual([]);
    expect(texts(waits, 61_000)).toEqual([
      expect.stringContaining('detect-0 has waited 1 min for raw.evm.v1/0: no tick'),
    ]);
  });

  test('name a task that is behind', () => {
    expect(texts([forTask('detect-0', 'evm-0', 1_000), idle('evm-0')], 61_000)).toEqual([
      'detect-0 has waited 1 min for evm-0, which is behind. "baleen status" shows its lag',
    ]);
  });
});

test('a wait is said once, again after a minute, and when it is over', () => {
  let nowMs = 0;
  const lines: string[] = [];
  const show = showWaits(
    { warn: (text) => lines.push(`warning ${text.slice(0, 12)}`), note: (text) => lines.push(text) },
    { nowMs: () => nowMs },
  );
  const waits = [forRaw('evm-0')];
  for (nowMs = 0; nowMs <= 70_000; nowMs += 1_000) show(waits);
  expect(lines).toEqual(['warning evm-0 has wa', 'warning evm-0 has wa']);
  show([idle('evm-0')]);
  show([idle('evm-0')]);
  expect(lines.slice(2)).toEqual(['nobody waits for raw.evm.v1/0 any more']);
});
