import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isPipelineError } from '#pipeline/errors.ts';
import { jsonCodec } from '#pipeline/state/store.ts';
import { createStoreHarness } from '#pipeline/testing/store-harness.ts';
import { names, total } from '#pipeline/testing/windows/sample-aggregates.ts';
import { type SlidingCountOptions, slidingCount } from './sliding-count.ts';

/** What is emitted as `key result of records #revision`. */
function open<In, State, Out>(options: Omit<SlidingCountOptions<In, State, Out>, 'changed'>) {
  const out: string[] = [];
  const harness = createStoreHarness(
    slidingCount({
      ...options,
      changed: ({ key, result, records, revision }) =>
        out.push(`${key} ${result} of ${records} #${revision}`),
    }),
  );
  return { harness, out, taken: () => out.splice(0) };
}

const numbers = { aggregate: total, inputCodec: jsonCodec<number>() } as const;

describe('a window by count', () => {
  test('holds the last records of each key', () => {
    const { harness, taken } = open({ ...numbers, count: 3, emit: 'always' });
    for (const input of [1, 2, 4, 8]) harness.handle.add('k', input);
    harness.handle.add('j', 100);
    harness.handle.add('k', 16);
    expect(taken()).toEqual([
      'k 1 of 1 #0',
      'k 3 of 2 #1',
      'k 7 of 3 #2',
      'k 14 of 3 #3',
      'j 100 of 1 #0',
      'k 28 of 3 #4',
    ]);
    expect(harness.handle.get('k')).toEqual({ result: 28, records: 3 });
    expect(harness.handle.get('other')).toBeUndefined();
  });

  test('may wait until it is full', () => {
    const { harness, taken } = open({ ...numbers, count: 3, emit: 'when-full' });
    for (const input of [1, 2, 4, 8]) harness.handle.add('k', input);
    expect(taken()).toEqual(['k 7 of 3 #2', 'k 14 of 3 #3']);
  });

  test('forgets a key without a record for longer than the retention, and nothing earlier', () => {
    const { harness, taken } = open({ ...numbers, count: 3, emit: 'always', retentionMs: 100 });
    const at = (logMs: number, key: string, input: number) => {
      harness.logTime(logMs);
      harness.handle.add(key, input);
    };
    at(1_010, 'k', 1);
    at(1_020, 'idle', 1);
    // The next segment of log time: the key comes along.
    at(1_110, 'k', 2);
    at(1_121, 'idle', 2);
    at(1_210, 'k', 4);
    at(1_310, 'k', 8);
    expect(taken()).toEqual([
      'k 1 of 1 #0',
      'idle 1 of 1 #0',
      'k 3 of 2 #1',
      'idle 2 of 1 #0',
      'k 7 of 3 #2',
      'k 14 of 3 #3',
    ]);
    expect(harness.handle.get('idle')).toBeUndefined();
    harness.logTime(2_000);
    expect(harness.handle.get('k')).toBeUndefined();
    expect(harness.entries()).toEqual([]);
  });
});

test.each([true, false])(
  'gives what the tail of a list gives, through restarts and refused records (can undo: %s)',
  (canRemove) => {
    const commands = fc.array(
      fc.record({
        kind: fc.constantFrom('add', 'add', 'add', 'add', 'refuse', 'restart', 'wait'),
        key: fc.constantFrom('', 'a', '#0#'),
        byMs: fc.integer({ min: 0, max: 60 }),
      }),
      { maxLength: 80 },
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.boolean(), commands, (count, isKept, script) => {
        const { harness, out } = open({
          aggregate: names({ canRemove }),
          inputCodec: jsonCodec<string>(),
          count,
          emit: 'always',
          ...(isKept ? {} : { retentionMs: 100 }),
        });
        const lists = new Map<string, { rows: string[]; writtenMs: number }>();
        const expected: string[] = [];
        let logMs = 1_000;
        harness.logTime(logMs);
        for (const [step, { kind, key, byMs }] of script.entries()) {
          if (kind === 'restart') harness.restart();
          else if (kind === 'refuse') {
            harness.refuse(() => harness.handle.add(key, 'refused'));
            out.pop();
          } else if (kind === 'wait') {
            logMs += byMs;
            harness.logTime(logMs);
          } else {
            harness.handle.add(key, `r${step}`);
            const known = lists.get(key);
            const isForgotten = known === undefined || (!isKept && known.writtenMs + 100 < logMs);
            const rows = [...(isForgotten ? [] : known.rows), `r${step}`];
            lists.set(key, { rows, writtenMs: logMs });
            const last = rows.slice(-count);
            expected.push(`${key} ${last.sort().join('+')} of ${last.length} #${rows.length - 1}`);
          }
          expect(out).toEqual(expected);
        }
      }),
      { numRuns: 300 },
    );
  },
);

test('a wrong declaration is refused with all that is wrong', () => {
  let error: unknown;
  try {
    slidingCount({ ...numbers, count: 0, emit: 'always', retentionMs: -1, changed: () => {} });
  } catch (caught) {
    error = caught;
  }
  expect(isPipelineError(error, 'GRAPH_INVALID')).toBe(true);
  expect(String(error)).toContain('slidingCount.count: found 0');
  expect(String(error)).toContain('slidingCount.retentionMs: found -1');
});
