import { describe, expect, test } from 'vitest';
import type { Aggregate } from '#pipeline/aggregates/aggregate.ts';
import { greatest, total } from '#pipeline/testing/windows/sample-aggregates.ts';
import { codeOf, messageOf, recordWindows } from '#pipeline/testing/windows/window-recorder.ts';
import { hopping, tumbling } from './shapes.ts';
import { windows } from './windows.ts';

const TEN = { ten: tumbling({ sizeMs: 10 }) };
const onClose = { graceMs: 5, emit: 'on-close', close: { by: 'event-time' } } as const;

describe('a declaration', () => {
  test('with wrong numbers is refused with all of them', () => {
    const wrong = () =>
      windows({
        of: { 'a b': tumbling({ sizeMs: 0 }), gaps: hopping({ sizeMs: 10, advanceMs: 20 }) },
        aggregate: greatest,
        graceMs: -1,
        emit: 'on-close',
        close: { by: 'either', delayMs: 0.5 },
        retentionMs: 1e15,
        retracts: true,
        changed: () => {},
      });
    expect(codeOf(wrong)).toBe('GRAPH_INVALID');
    const message = messageOf(wrong);
    for (const part of [
      'windows.of.a b: found a name',
      'windows.of.a b.sizeMs: found 0',
      'windows.of.gaps.advanceMs: found 20, expected at most sizeMs (10)',
      'windows.graceMs: found -1',
      'windows.close.delayMs: found 0.5',
      'windows.retentionMs: found 1000000000000000',
      'windows.inputCodec: found none',
    ]) {
      expect(message).toContain(part);
    }
  });

  test('whose windows share only tiny slices is refused with a hint', () => {
    const of = { hour: hopping({ sizeMs: 3_600_000, advanceMs: 7 }) };
    expect(messageOf(() => windows({ of, aggregate: total, ...onClose, changed: () => {} }))).toContain(
      'found 3600000 slices of 1 ms, expected at most 10080',
    );
    expect(messageOf(() => windows({ of: {}, aggregate: total, ...onClose, changed: () => {} }))).toContain(
      'found no windows',
    );
  });

  test('says all that decides what comes out', () => {
    const { kind, settings } = windows({ of: TEN, aggregate: total, ...onClose, changed: () => {} });
    expect({ kind, settings }).toEqual({
      kind: 'windows',
      settings: {
        of: { ten: { sizeMs: 10, advanceMs: 10 } },
        aggregate: 'total',
        graceMs: 5,
        emit: 'on-close',
        close: { by: 'event-time' },
        retentionMs: 0,
        retracts: false,
      },
    });
  });

  test('takes any aggregate of the same inputs', () => {
    const both: Aggregate<number, number, string> = { ...total, result: (state) => `sum ${state}` };
    const { harness, add, taken } = recordWindows({ of: TEN, aggregate: both, ...onClose });
    add('k', 5, 1);
    harness.streamTime(15);
    expect(taken()).toEqual(['ten k [0,10) sum 1 #0 final']);
  });
});
