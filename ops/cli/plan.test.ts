import { describe, expect, test } from 'vitest';
import type { Mark } from '#pipeline/poison/gate.ts';
import type { NoteName } from '#pipeline/poison/notes.ts';
import { type Plan, UNSAID } from '#schemas/plan.ts';
import { decisionLine } from './plan.ts';
import { suspectsIn } from './skip.ts';

const decision: Plan = {
  ...UNSAID,
  ...{ kind: 'cut', epoch: 2, fingerprint: 'abcdef0123456789', atMs: 0, note: 'faster' },
};

describe('decisions of the plan', () => {
  test('are one line each, with where they hold', () => {
    const line = decisionLine({ offset: 4, logTimeMs: Date.UTC(2026, 0, 2, 3, 4, 5), decision });
    expect(line).toMatch(/2026-01-02.03:04:05.* cut +version 2 \(abcdef012345\): faster$/);
  });

  test('name what a version does without, and whom a cut was forced for', () => {
    const line = (change: Partial<Plan>) =>
      decisionLine({ offset: 4, logTimeMs: 1, decision: { ...decision, note: null, ...change } });
    expect(line({ excluded: ['detect-2', 'raw.a.v1/3'] })).toMatch(/ without detect-2, raw\.a\.v1\/3$/);
    expect(line({ kind: 'force', tasks: ['detect-2', 'score-0'] })).toMatch(
      /force +version 2 \(abcdef012345\) for detect-2, score-0$/,
    );
  });

  test('of what is passed over name task, place and processor, and print nothing that moves the cursor', () => {
    const skip = {
      ...{ writer: 'detect-1', processor: 'score', place: 'enrich/timer/\u001b[2J@7', step: 9n },
      ...{ logTimeMs: 7, digest: '0000002a' },
    };
    const line = decisionLine({
      ...{ offset: 5, logTimeMs: 8 },
      decision: { ...decision, kind: 'skip', note: null, skip },
    });
    expect(line).toContain('detect-1 passes over enrich/timer/');
    expect(line).toContain('in score');
    expect(line).not.toContain('\u001b');
  });
});

test('what a process died at, and what it folds now, can be passed over by hand, each once', () => {
  const mark = (place: string): Mark => ({
    ...{ writer: 'detect-1', processor: 'score', place, step: 9, logTimeMs: 7, digest: '0000002a' },
    sequences: {},
  });
  const noted = (suspect: Mark | null) => ({ step: 9, starts: 4, suspect, deaths: 1 });
  const texts: Record<NoteName, unknown> = {
    starts: { 'detect-1': noted(mark('a/0/3')), 'detect-2': noted(null) },
    mark: mark('a/0/3'),
  };
  const read = (name: NoteName) => JSON.stringify(texts[name]);
  expect(suspectsIn({ read })).toEqual([mark('a/0/3')]);
  texts.mark = mark('a/0/4');
  expect(suspectsIn({ read })).toEqual([mark('a/0/3'), mark('a/0/4')]);
});
