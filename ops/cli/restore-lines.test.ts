import { describe, expect, test } from 'vitest';
import type { RestoreStatus } from '#ops/admin/status.ts';
import { createRestoreLines } from './restore-lines.ts';

const status = (entries: number, isDone = false): RestoreStatus => ({
  task: 'detect-2',
  isDone,
  entries,
  bytes: entries * 100,
  remaining: isDone ? 0 : 3_400,
  startedAtMs: 0,
  endedAtMs: isDone ? 1 : null,
});

function lines(isTerminal: boolean) {
  const shown: string[] = [];
  const show = createRestoreLines(
    {
      service: (name, state, detail) => shown.push(`${name} ${state} ${detail}`.trimEnd()),
      note: (text) => shown.push(text),
    },
    isTerminal,
  );
  return { shown, show };
}

describe('restores', () => {
  test('that take a moment are not shown', () => {
    const { shown, show } = lines(true);
    show(status(0), 0);
    show(status(100), 900);
    show(status(200, true), 999);
    expect(shown).toEqual([]);
  });

  test('on a terminal move the live line, and end with one line', () => {
    const { shown, show } = lines(true);
    show(status(120_000), 2_000);
    show(status(240_000, true), 4_000);
    expect(shown).toEqual([
      'detect-2 restoring 120,000 entries, 12.0 MB, 60,000 entries/s, 3,400 changelog records left',
      'detect-2 ready restored 240,000 entries, 24.0 MB, 60,000 entries/s',
    ]);
  });

  test('elsewhere write a line every 5 s', () => {
    const { shown, show } = lines(false);
    for (let elapsedMs = 0; elapsedMs <= 11_000; elapsedMs += 500) show(status(1_000), elapsedMs);
    expect(shown).toHaveLength(2);
    show(status(2_000, true), 12_000);
    expect(shown.at(-1)).toContain('ready restored 2,000 entries');
  });
});
